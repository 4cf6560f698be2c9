//! Turning a request into a WebSocket: the HTTP half. What is spoken afterwards is behind the [`Sockets`] port.

use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::reply::{self, close_connection};
use super::{Body, Peer, fault};
use crate::domain::{Fault, FaultKind};
use crate::lifecycle::Lifecycle;

/// What is known about a WebSocket before it speaks.
#[derive(Debug, Clone)]
pub struct SocketFacts {
    /// The other end.
    pub peer: Peer,
    /// Headers of the upgrade request.
    pub headers: HeaderMap,
}

/// Serves one socket to its end.
pub type SocketTask = Box<dyn FnOnce(TokioIo<Upgraded>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Takes WebSocket connections over.
pub trait Sockets: Send + Sync {
    /// Admits a socket (limits are kept by what the task captures), or refuses it before the upgrade.
    fn open(&self, facts: SocketFacts) -> Result<SocketTask, Fault>;
}

/// Whether the request asks for a WebSocket.
pub(super) fn is_wanted(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers
            .get(header::UPGRADE)
            .is_some_and(|value| has_token(value, "websocket"))
}

/// Answers an upgrade request and starts the socket's task once the response is out.
pub(super) fn accept<B>(
    sockets: &dyn Sockets,
    lifecycle: &Lifecycle,
    peer: Peer,
    request: Request<B>,
) -> Response<Body> {
    // The canvas socket has its own authentication upstream; without a canvas host nobody can pass it.
    let path = request.uri().path();
    if path == "/__openclaw__/ws" || path.starts_with("/__openclaw__/cap/") {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        close_connection(response.headers_mut());
        return response;
    }
    accept_with(lifecycle, peer, request, |facts| sockets.open(facts))
}

/// Answers an upgrade request with the socket that `open` has for it.
pub(super) fn accept_with<B>(
    lifecycle: &Lifecycle,
    peer: Peer,
    mut request: Request<B>,
    open: impl FnOnce(SocketFacts) -> Result<SocketTask, Fault>,
) -> Response<Body> {
    let key = match handshake_key(&request) {
        Ok(key) => derive_accept_key(key.as_bytes()),
        Err(refusal) => return *refusal,
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let facts = SocketFacts {
        peer,
        headers: std::mem::take(request.headers_mut()),
    };
    let task = match open(facts) {
        Ok(task) => task,
        Err(refusal) => {
            // WebSocket clients read a status and a line of text; only a lock-out has a body of its own.
            let mut response = match refusal.kind {
                FaultKind::Unavailable => reply::text(StatusCode::SERVICE_UNAVAILABLE, refusal.message),
                _ => fault::shape_a(&refusal),
            };
            close_connection(response.headers_mut());
            return response;
        }
    };
    let stop = lifecycle.stop.clone();
    lifecycle.tasks.spawn(async move {
        let upgraded = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            upgraded = upgrade => upgraded,
        };
        match upgraded {
            Ok(io) => task(TokioIo::new(io)).await,
            Err(error) => tracing::debug!(target: "ws", peer = %peer.addr, %error, "upgrade did not complete"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// The client's key, if the handshake is one.
fn handshake_key<B>(request: &Request<B>) -> Result<&str, Box<Response<Body>>> {
    let bad = |text: &'static str| Box::new(reply::text(StatusCode::BAD_REQUEST, text));
    if request.method() != Method::GET {
        return Err(Box::new(reply::method_not_allowed("GET")));
    }
    let headers = request.headers();
    if !headers
        .get_all(header::CONNECTION)
        .iter()
        .any(|value| has_token(value, "upgrade"))
    {
        return Err(bad("Connection header must include Upgrade"));
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let mut response = reply::text(StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13");
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(response));
    }
    headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok())
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or_else(|| bad("Sec-WebSocket-Key is missing or invalid"))
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    value
        .to_str()
        .is_ok_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}
