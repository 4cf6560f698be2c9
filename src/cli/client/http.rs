//! One HTTP request to the gateway's port, over the same connection and trust as the WebSocket client.

use http::request::Builder;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::Endpoint;
use super::error::CallError;
use super::socket;

/// Largest answer that is read: a long text from a model.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Sends `body` as JSON with the endpoint's credentials. The answer's body is `Null` if it is not JSON.
///
/// # Errors
/// `Unreachable` with a one-line reason, `Local` when the URL or the credentials cannot be sent.
pub async fn post(endpoint: &Endpoint, path: &str, body: &Value) -> Result<(StatusCode, Value), CallError> {
    exchange(endpoint, with_body(endpoint, path, body)?).await
}

/// Asks for `path` without credentials. The answer's body is `Null` if it is not JSON.
///
/// # Errors
/// As [`post`].
pub async fn get(endpoint: &Endpoint, path: &str) -> Result<(StatusCode, Value), CallError> {
    let request = builder(endpoint, Method::GET, path).body(Full::default());
    exchange(endpoint, request.map_err(|error| unusable(endpoint, &error))?).await
}

async fn exchange(endpoint: &Endpoint, request: Request<Full<Bytes>>) -> Result<(StatusCode, Value), CallError> {
    let secure = endpoint.url.scheme() == "wss";
    let stream = socket::connect(&endpoint.url, &endpoint.trust, secure).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let exchange = async {
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(unreachable)?.into_parts();
        let bytes = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| CallError::Unreachable(error.to_string()))?
            .to_bytes();
        Ok((head.status, serde_json::from_slice(&bytes).unwrap_or_default()))
    };
    // The connection makes the exchange go on; whichever ends first, the answer is there or never comes.
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(unreachable(error)),
        },
    }
}

fn builder(endpoint: &Endpoint, method: Method, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, endpoint.url.authority())
}

fn with_body(endpoint: &Endpoint, path: &str, body: &Value) -> Result<Request<Full<Bytes>>, CallError> {
    let mut builder = builder(endpoint, Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    if let Some(secret) = endpoint.token.as_ref().or(endpoint.password.as_ref()) {
        let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose()))
            .map_err(|_| CallError::Local("the token or password cannot be sent in a header".to_owned()))?;
        value.set_sensitive(true);
        builder = builder.header(header::AUTHORIZATION, value);
    }
    builder
        .body(Full::from(body.to_string()))
        .map_err(|error| unusable(endpoint, &error))
}

fn unusable(endpoint: &Endpoint, error: &http::Error) -> CallError {
    CallError::Local(format!("gateway url {}: {error}", endpoint.url))
}

fn unreachable(error: hyper::Error) -> CallError {
    CallError::Unreachable(error.to_string())
}
