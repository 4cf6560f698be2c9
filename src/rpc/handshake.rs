//! From an upgraded connection to an admitted caller: challenge, `connect`, refusal or grant.
//!
//! The order of the checks is fixed by the protocol: frame, params, phase of the process, protocol range, role, and then
//! everything that the authenticator decides. What it needs of the process it gets through [`Gate`].

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::validation::Shape;
use super::ws::{Driver, Step};
use crate::auth::{ConnectGrant, ConnectRefusal};
use crate::domain::event::Event;
use crate::lifecycle::Phase;
use crate::wire::connect::ConnectParams;
use crate::wire::error::{ErrorCode, ErrorShape};
use crate::wire::frame::{self, FrameError};

/// Lowest and highest protocol served.
pub const PROTOCOLS: (u32, u32) = (3, 4);
/// Largest message before `connect` succeeded.
pub const MESSAGE_LIMIT: u64 = 65_536;

/// Facts of the upgrade that a `connect` is judged on.
#[derive(Debug)]
pub struct Origin {
    /// Socket peer.
    pub peer: SocketAddr,
    /// Upgrade request headers.
    pub headers: HeaderMap,
}

/// What the handshake needs of the process.
pub trait Gate: Sync {
    /// Where the process is in its life.
    fn phase(&self) -> Phase;

    /// From the upgrade to an accepted `connect`.
    fn timeout(&self) -> Duration;

    /// Wall clock, ms.
    fn now_ms(&self) -> i64;

    /// Cancelled when connections must end.
    fn stop(&self) -> &CancellationToken;

    /// Judges a `connect` whose params, protocol and role are in order.
    fn judge(
        &self,
        origin: &Origin,
        params: &ConnectParams,
        nonce: &str,
        protocol: u8,
    ) -> impl Future<Output = Verdict> + Send;

    /// Publishes pairing events of a verdict.
    fn publish(&self, events: Vec<Event>);
}

/// What became of a `connect`.
#[derive(Debug)]
pub enum Verdict {
    /// Let in.
    Granted(Box<Entry>),
    /// Answer this and close.
    Refused(ConnectRefusal),
    /// Credentials changed while it was judged: close 4001 without an answer.
    Outdated,
}

/// A grant with the generation of the shared secret it rests on.
#[derive(Debug)]
pub struct Entry {
    /// The authenticator's grant.
    pub grant: ConnectGrant,
    /// `ResolvedAuth::shared_generation`, if a shared secret let the caller in.
    pub shared_generation: Option<String>,
}

/// An accepted `connect`.
#[derive(Debug)]
pub struct Admission {
    /// Id of the request, for the answer.
    pub request_id: String,
    /// Its params.
    pub params: ConnectParams,
    /// Session protocol, 3 or 4.
    pub protocol: u8,
    /// Who it is.
    pub entry: Entry,
}

static SHAPE: LazyLock<Shape<ConnectParams>> = LazyLock::new(Shape::new);

/// Shakes hands. `None`: the connection has ended, and was closed as the protocol says.
pub async fn shake<IO, G>(driver: &mut Driver<IO>, origin: &Origin, gate: &G) -> Option<Admission>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
    G: Gate,
{
    let nonce = uuid::Uuid::new_v4().to_string();
    let challenge = json!({ "nonce": nonce, "ts": gate.now_ms() }).to_string();
    let mut text = frame::event_head("connect.challenge", &challenge);
    text.push('}');
    driver.send(text);
    let ending = tokio::select! {
        biased;
        () = gate.stop().cancelled() => Ending::close(1012, "service restart"),
        outcome = tokio::time::timeout(gate.timeout(), talk(driver, origin, gate, &nonce)) => match outcome {
            Ok(Ok(admission)) => return Some(*admission),
            Ok(Err(ending)) => ending,
            Err(_) => Ending::close(1000, ""),
        },
    };
    if let Some(text) = ending.answer {
        driver.send(text);
    }
    driver.outbox().close(ending.code, &ending.reason);
    driver.finish().await;
    None
}

/// How a handshake fails.
#[derive(Debug)]
struct Ending {
    answer: Option<String>,
    code: u16,
    reason: Cow<'static, str>,
}

impl Ending {
    fn close(code: u16, reason: &'static str) -> Self {
        Self {
            answer: None,
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    fn answer(id: &str, error: &ErrorShape, code: u16, reason: String) -> Self {
        Self {
            answer: Some(frame::failure(&Value::from(id), error, None)),
            code,
            reason: Cow::Owned(reason),
        }
    }

    /// An answer whose text is also the close reason.
    fn invalid(id: &str, message: String, details: Option<Value>, code: u16) -> Self {
        let error = ErrorShape {
            code: ErrorCode::InvalidRequest,
            message: message.clone(),
            details,
            retryable: None,
            retry_after_ms: None,
        };
        Self::answer(id, &error, code, message)
    }
}

async fn talk<IO, G>(driver: &mut Driver<IO>, origin: &Origin, gate: &G, nonce: &str) -> Result<Box<Admission>, Ending>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
    G: Gate,
{
    let text = match driver.next().await {
        Step::Message(text) => text,
        Step::Gone => return Err(Ending::close(1000, "")),
    };
    let request = frame::parse_request(&text).map_err(|error| match error {
        FrameError::NotJson => Ending::close(1000, ""),
        FrameError::Invalid { .. } => Ending::close(1008, "invalid request frame"),
    })?;
    let id = request.id.as_ref();
    if request.method != "connect" {
        let message = "invalid handshake: first request must be connect".to_owned();
        return Err(Ending::invalid(id, message, None, 1008));
    }
    let params = parse_params(request.params).map_err(|message| Ending::invalid(id, message, None, 1008))?;
    if gate.phase() == Phase::Starting {
        return Err(starting(id));
    }
    let protocol = negotiate(&params).ok_or_else(|| {
        let details = json!({
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": params.min_protocol,
            "clientMaxProtocol": params.max_protocol,
            "expectedProtocol": PROTOCOLS.1,
            "minimumProbeProtocol": PROTOCOLS.0,
        });
        Ending::invalid(id, "protocol mismatch".to_owned(), Some(details), 1002)
    })?;
    if !matches!(params.role.as_deref(), None | Some("operator" | "node")) {
        return Err(Ending::invalid(id, "invalid role".to_owned(), None, 1008));
    }
    match gate.judge(origin, &params, nonce, protocol).await {
        Verdict::Granted(mut entry) => {
            gate.publish(std::mem::take(&mut entry.grant.events));
            Ok(Box::new(Admission {
                request_id: id.to_owned(),
                params,
                protocol,
                entry: *entry,
            }))
        }
        Verdict::Refused(mut refusal) => {
            gate.publish(std::mem::take(&mut refusal.events));
            Err(Ending::answer(
                id,
                &refusal.error,
                refusal.close_code,
                refusal.close_reason,
            ))
        }
        Verdict::Outdated => Err(Ending::close(4001, "gateway auth changed")),
    }
}

fn parse_params(raw: Option<&RawValue>) -> Result<ConnectParams, String> {
    let empty = RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
    SHAPE
        .parse("connect", raw.unwrap_or(&empty))
        .map_err(|fault| fault.message)
}

/// The session protocol: the highest that both sides speak.
fn negotiate(params: &ConnectParams) -> Option<u8> {
    let (lowest, highest) = PROTOCOLS;
    let served =
        params.max_protocol >= lowest && params.min_protocol <= highest && params.min_protocol <= params.max_protocol;
    served.then_some(if params.max_protocol >= highest { 4 } else { 3 })
}

fn starting(id: &str) -> Ending {
    let error = ErrorShape {
        code: ErrorCode::Unavailable,
        message: "gateway starting; retry shortly".to_owned(),
        details: Some(json!({ "reason": "startup-sidecars" })),
        retryable: Some(true),
        retry_after_ms: Some(500),
    };
    Ending::answer(id, &error, 1013, "gateway starting".to_owned())
}
