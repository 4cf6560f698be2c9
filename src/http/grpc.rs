//! Handing gRPC requests to their services, within bounds that the services do not keep themselves: a caller who has not
//! said who he is may neither send for ever nor watch without limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;
use tonic::service::Routes;
use tower::Service;

use super::body::{Body, BodyError};

/// Health needs no credentials, and a watch lives as long as its caller likes.
const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Most watches at the same time.
const MAX_WATCHES: usize = 256;

/// The gRPC services behind the listener; cheap to clone.
#[derive(Clone)]
pub(super) struct Grpc {
    routes: Routes,
    watches: Arc<Semaphore>,
}

impl Grpc {
    pub(super) fn new(routes: Routes) -> Self {
        Self {
            routes,
            watches: Arc::new(Semaphore::new(MAX_WATCHES)),
        }
    }

    /// Answers one request whose body may pause for at most `silence`.
    pub(super) async fn answer<B>(&self, request: Request<B>, silence: Duration) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let watch = if request.uri().path() == WATCH {
            let Ok(place) = Arc::clone(&self.watches).try_acquire_owned() else {
                return refused(Status::resource_exhausted("too many health watches are open"));
            };
            Some(place)
        } else {
            None
        };
        let request = request.map(|body| Impatient::new(body, silence));
        match self.routes.clone().call(request).await {
            Ok(response) => response.map(|body| {
                let body = body.map_frame(move |frame| {
                    // The place is given back with the body.
                    let _held = &watch;
                    frame
                });
                Body::stream(body.map_err(|status| -> BodyError { Box::new(status) }))
            }),
            Err(never) => match never {},
        }
    }
}

/// Whether the request is gRPC.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn refused(status: Status) -> Response<Body> {
    status.into_http::<()>().map(|()| Body::empty())
}

/// A request body that fails when its sender falls silent.
struct Impatient<B> {
    body: Pin<Box<B>>,
    silence: Duration,
    until: Pin<Box<Sleep>>,
}

impl<B> Impatient<B> {
    fn new(body: B, silence: Duration) -> Self {
        Self {
            body: Box::pin(body),
            silence,
            until: Box::pin(sleep(silence)),
        }
    }
}

impl<B> http_body::Body for Impatient<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) {
            let due = Instant::now() + this.silence;
            this.until.as_mut().reset(due);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.until.as_mut().poll(cx));
        let status = Status::deadline_exceeded("the request stopped before its end");
        Poll::Ready(Some(Err(Box::new(status))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use tonic_health::ServingStatus;
    use tonic_health::pb::health_server::HealthServer;
    use tonic_health::server::{HealthReporter, HealthService};

    use super::*;

    const SILENCE: Duration = Duration::from_secs(30);

    async fn health() -> Grpc {
        let reporter = HealthReporter::new();
        reporter.set_service_status("", ServingStatus::Serving).await;
        let service = HealthServer::new(HealthService::from_health_reporter(reporter));
        Grpc::new(Routes::new(service).prepare())
    }

    fn call<B>(path: &str, body: B) -> Request<B> {
        Request::post(path)
            .header(header::CONTENT_TYPE, "application/grpc")
            .body(body)
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_message_never_comes_is_ended() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let begin = Instant::now();
        let response = health()
            .await
            .answer(call("/grpc.health.v1.Health/Check", silent), SILENCE)
            .await;
        assert_eq!(response.headers()["grpc-status"], "4");
        assert_eq!(begin.elapsed(), SILENCE);
    }

    #[tokio::test]
    async fn watches_are_limited_and_give_their_place_back() {
        let grpc = health().await;
        let watch = async || {
            // One empty message.
            let body = Full::new(Bytes::from_static(&[0; 5]));
            grpc.answer(call(WATCH, body), SILENCE).await
        };
        let mut open = Vec::new();
        for _ in 0..MAX_WATCHES {
            let response = watch().await;
            assert!(!response.headers().contains_key("grpc-status"));
            open.push(response);
        }
        assert_eq!(watch().await.headers()["grpc-status"], "8");
        open.pop();
        assert!(!watch().await.headers().contains_key("grpc-status"));
    }
}
