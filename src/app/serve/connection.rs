//! One connection from its first byte to its end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio_util::sync::CancellationToken;

use super::framing::Length;
use super::pace::{Deadlines, Pace, Verdict};
use super::socket::Socket;
use super::{Handler, Limits};
use crate::http::{Body, Peer};

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;
/// Streams that a peer opened and reset before we looked at them; more is an attack.
const MAX_PENDING_RESETS: usize = 64;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What the driver needs besides the socket.
pub(super) struct Terms {
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// Limits at the time of `accept`.
    pub limits: Limits,
    /// Finish what is in flight, then close.
    pub graceful: CancellationToken,
    /// Close now.
    pub force: CancellationToken,
}

/// The protocol settings for these limits.
pub(super) fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Slow heads are our own pace's business: this timer would also end idle connections.
        .header_read_timeout(None)
        .max_buf_size(limits.max_header_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Serves the connection until it ends, is told to, or breaks a deadline.
pub(super) async fn drive<H: Handler>(socket: Socket, terms: Terms, handler: H) {
    let (pace, framing) = (Arc::clone(socket.pace()), Arc::clone(socket.framing()));
    let builder = protocol(&terms.limits);
    let peer = Peer {
        addr: terms.peer,
        secure: terms.secure,
    };
    let deadlines = Deadlines {
        head: terms.limits.header_timeout,
        idle: terms.limits.idle_timeout,
    };
    let service = {
        let pace = Arc::clone(&pace);
        service_fn(move |request: Request<Incoming>| {
            let length = framing.judge(&request);
            pace.begin(request.version() == Version::HTTP_2);
            let busy = Busy(Arc::clone(&pace));
            let (handler, framing) = (handler.clone(), Arc::clone(&framing));
            async move {
                let mut response = match length {
                    Length::Ambiguous => ambiguous(),
                    Length::Clear | Length::Unseen => handler.handle(peer, request).await,
                };
                if length != Length::Clear {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    framing.changes();
                }
                Ok::<_, Infallible>(response.map(|body| Tracked { body, _busy: busy }))
            }
        })
    };
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(socket), service));
    let mut retired = false;
    let mut look = pin!(tokio::time::sleep(deadlines.head.min(deadlines.idle)));
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(target: "gateway", peer = %terms.peer, %error, "connection ended");
                }
                return;
            }
            () = terms.force.cancelled() => return,
            () = terms.graceful.cancelled(), if !retired => {
                retired = true;
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => match pace.judge(&deadlines) {
                Verdict::Wait(until) => look.as_mut().reset(until),
                Verdict::Retire if !retired => {
                    retired = true;
                    connection.as_mut().graceful_shutdown();
                    look.as_mut().reset(tokio::time::Instant::now() + deadlines.head);
                }
                Verdict::Retire | Verdict::Drop => {
                    tracing::debug!(target: "gateway", peer = %terms.peer, "connection dropped: too slow or idle");
                    return;
                }
            },
        }
    }
}

/// Nobody knows where the request ends, so nobody is asked what it wants.
fn ambiguous() -> Response<Body> {
    let mut response = Response::new(Body::full("Content-Length and Transfer-Encoding exclude each other\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Ends a request's time in flight when dropped.
struct Busy(Arc<Pace>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A response body that keeps its request in flight.
struct Tracked {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Accepts TLS within a deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    force: &CancellationToken,
    work: impl Future<Output = std::io::Result<T>>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = force.cancelled() => None,
        outcome = tokio::time::timeout(deadline, work) => outcome.ok()?.ok(),
    }
}
