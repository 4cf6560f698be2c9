//! One connection: challenge, `connect`, requests, close.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::{self, Message};

use super::error::{ABNORMAL_CLOSURE, CallError, ServerError};
use super::handshake::{Attempt, Caller};
use super::socket::{self, Socket};
use super::{Call, Endpoint};

/// How long to wait for the close frame that follows a refusal.
const REFUSAL_GRACE: Duration = Duration::from_millis(500);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(100);
/// Close code for a close frame without a code.
const NO_STATUS: u16 = 1005;
/// Pause before a new attempt while the gateway says that it is starting, unless it names another one.
const STARTING_PAUSE: Duration = Duration::from_millis(500);

/// A connection that was accepted.
pub struct Session {
    socket: Socket,
    /// Payload of `hello-ok`.
    pub hello: Value,
    next_id: u64,
}

/// Envelope of an incoming frame; the payload is parsed only when somebody wants it.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    id: Option<&'a str>,
    #[serde(borrow, default)]
    event: Option<&'a str>,
    #[serde(default)]
    ok: Option<bool>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ServerError>,
}

impl Session {
    /// Connects and authenticates. While the gateway says that it is still starting, tries again; when it refuses the
    /// shared secret but offers the device token, tries that once. The caller sets the deadline.
    ///
    /// # Errors
    /// `Unreachable`, `Closed` with the refusal, or `Local`.
    pub async fn connect(endpoint: &Endpoint, caller: &Caller) -> Result<Self, CallError> {
        let mut attempt = Attempt::prepare(endpoint, caller)?;
        loop {
            let error = match Self::connect_once(endpoint, caller, &attempt).await {
                Ok(session) => {
                    attempt.keep_token(endpoint, &session.hello);
                    return Ok(session);
                }
                Err(error) => error,
            };
            let Some(refusal) = error.refusal() else {
                return Err(error);
            };
            if refusal.retryable.unwrap_or(false) {
                let pause = refusal.retry_after_ms.map_or(STARTING_PAUSE, Duration::from_millis);
                tokio::time::sleep(pause).await;
            } else if refusal.allows_device_token_retry() && attempt.can_add_device_token() {
                attempt.with_device_token = true;
            } else {
                return Err(error);
            }
        }
    }

    async fn connect_once(endpoint: &Endpoint, caller: &Caller, attempt: &Attempt) -> Result<Self, CallError> {
        let mut session = Self {
            socket: socket::open(&endpoint.url, &endpoint.trust).await?,
            hello: Value::Null,
            next_id: 1,
        };
        let nonce = session.challenge().await?;
        let params = attempt.params(endpoint, caller, &nonce);
        match session.request(&Call::new("connect", params)).await {
            Ok(hello) => {
                session.hello = hello;
                Ok(session)
            }
            Err(CallError::Request(refusal)) => Err(session.refused(refusal).await),
            Err(other) => Err(other),
        }
    }

    /// One call. Events that arrive meanwhile are of no interest here.
    ///
    /// # Errors
    /// `Request` when the method fails, `Closed` when the connection ends first.
    pub async fn request(&mut self, call: &Call) -> Result<Value, CallError> {
        let id = self.next_id.to_string();
        self.next_id += 1;
        let frame = serde_json::json!({ "type": "req", "id": id, "method": call.method, "params": call.params });
        if let Err(error) = self.socket.send(Message::text(frame.to_string())).await {
            // A gateway that refuses may close before it reads; its close frame says more than the failed write.
            return Err(self.closing_words().await.unwrap_or_else(|| broken(&error)));
        }
        loop {
            let text = self.next_text().await?;
            let Some(frame) = parse(&text).filter(|frame| frame.kind == "res" && frame.id == Some(&id)) else {
                continue;
            };
            if frame.ok != Some(true) {
                return Err(CallError::Request(Box::new(frame.error.unwrap_or_else(|| {
                    ServerError {
                        code: "UNAVAILABLE".to_owned(),
                        message: "the gateway answered with an error that it did not name".to_owned(),
                        details: None,
                        retryable: None,
                        retry_after_ms: None,
                    }
                }))));
            }
            let payload = payload_of(&frame)?;
            let interim = call.expect_final && payload.get("status").and_then(Value::as_str) == Some("accepted");
            if !interim {
                return Ok(payload);
            }
        }
    }

    /// Says goodbye without waiting long for an answer.
    pub async fn close(mut self) {
        drop(tokio::time::timeout(FAREWELL, self.socket.close(None)).await);
    }

    async fn challenge(&mut self) -> Result<String, CallError> {
        loop {
            let text = self.next_text().await?;
            let Some(frame) = parse(&text).filter(|frame| frame.event == Some("connect.challenge")) else {
                continue;
            };
            return payload_of(&frame)?
                .get("nonce")
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| CallError::Unreachable("the peer sent a challenge without a nonce".to_owned()));
        }
    }

    async fn refused(&mut self, refusal: Box<ServerError>) -> CallError {
        match self.closing_words().await {
            Some(CallError::Closed { code, reason, .. }) => CallError::Closed {
                code,
                reason,
                refusal: Some(refusal),
            },
            _ => CallError::Closed {
                code: 1008,
                reason: refusal.message.clone(),
                refusal: Some(refusal),
            },
        }
    }

    /// Reads on until the close frame, for a short while.
    async fn closing_words(&mut self) -> Option<CallError> {
        let last = async {
            loop {
                if let Err(error) = self.next_text().await {
                    return error;
                }
            }
        };
        tokio::time::timeout(REFUSAL_GRACE, last).await.ok()
    }

    async fn next_text(&mut self) -> Result<String, CallError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((NO_STATUS, String::new()), |frame| {
                        (frame.code.into(), frame.reason.as_str().to_owned())
                    });
                    return Err(CallError::Closed {
                        code,
                        reason,
                        refusal: None,
                    });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(&error)),
                None => return Err(abnormal(String::new())),
            }
        }
    }
}

fn parse(text: &str) -> Option<Frame<'_>> {
    serde_json::from_str(text).ok()
}

fn payload_of(frame: &Frame<'_>) -> Result<Value, CallError> {
    frame
        .payload
        .map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get()))
        .map_err(|error| CallError::Unreachable(format!("the gateway sent a payload that is not JSON: {error}")))
}

fn broken(error: &tungstenite::Error) -> CallError {
    match error {
        tungstenite::Error::Capacity(error) => abnormal(format!("answer too large: {error}")),
        _ => abnormal(String::new()),
    }
}

const fn abnormal(reason: String) -> CallError {
    CallError::Closed {
        code: ABNORMAL_CLOSURE,
        reason,
        refusal: None,
    }
}
