//! What can go wrong between the command line and a gateway, and the wording that people script against.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// `error` of a response. The code is kept as text: another release may send codes that we do not know.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerError {
    /// `INVALID_REQUEST`, `UNAVAILABLE`, ...
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// Machine-readable details.
    #[serde(default)]
    pub details: Option<Value>,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: Option<bool>,
    /// When, ms.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl ServerError {
    /// `details.<name>` if it is a string.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.as_ref()?.get(name)?.as_str()
    }

    /// Whether a device token may be tried instead of the shared secret.
    pub fn allows_device_token_retry(&self) -> bool {
        self.details
            .as_ref()
            .and_then(|details| details.get("canRetryWithDeviceToken"))
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }
}

/// Why a call gave no payload.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// No connection: refused, no such host, TLS, not a WebSocket endpoint.
    #[error("{0}")]
    Unreachable(String),
    /// The gateway closed the connection before it answered.
    #[error("gateway closed ({code})")]
    Closed {
        /// Close code; 1006 when there was no close frame.
        code: u16,
        /// Close reason.
        reason: String,
        /// Its answer to `connect`, when that was an error.
        refusal: Option<Box<ServerError>>,
    },
    /// The deadline passed.
    #[error("gateway timeout after {}ms", .0.as_millis())]
    Timeout(Duration),
    /// The method answered with an error.
    #[error("{}", .0.message)]
    Request(Box<ServerError>),
    /// Nothing was sent: the local side is not in order.
    #[error("{0}")]
    Local(String),
}

/// Close code for a connection that ended without a close frame.
pub const ABNORMAL_CLOSURE: u16 = 1006;

impl CallError {
    /// Stable name for programs.
    pub fn code(&self) -> String {
        match self {
            Self::Unreachable(_) => "GATEWAY_UNREACHABLE".to_owned(),
            Self::Closed {
                refusal: Some(refusal), ..
            } => refusal.detail("code").unwrap_or(&refusal.code).to_owned(),
            Self::Closed { .. } => "GATEWAY_CLOSED".to_owned(),
            Self::Timeout(_) => "GATEWAY_TIMEOUT".to_owned(),
            Self::Request(error) => error.detail("code").unwrap_or(&error.code).to_owned(),
            Self::Local(_) => "CLIENT_SETUP".to_owned(),
        }
    }

    /// First line of the block that every command prints.
    pub fn headline(&self) -> String {
        match self {
            Self::Unreachable(_) => closed_line(ABNORMAL_CLOSURE, ""),
            Self::Closed { code, reason, .. } => closed_line(*code, reason),
            other => other.to_string(),
        }
    }

    /// The class name that upstream puts before the headline.
    pub const fn class(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable(_) | Self::Closed { .. } | Self::Timeout(_) => Some("GatewayTransportError"),
            Self::Request(_) => Some("GatewayClientRequestError"),
            Self::Local(_) => None,
        }
    }

    /// One line that says what a probe met.
    pub fn probe_line(&self) -> String {
        match self {
            Self::Unreachable(detail) => detail.clone(),
            Self::Closed {
                refusal: Some(refusal), ..
            } => refusal.message.clone(),
            Self::Timeout(_) => "timeout".to_owned(),
            other => other.headline(),
        }
    }

    /// The gateway's answer to `connect`, when it refused.
    pub fn refusal(&self) -> Option<&ServerError> {
        match self {
            Self::Closed { refusal, .. } => refusal.as_deref(),
            _ => None,
        }
    }

    /// Whether trying again later may help without anybody changing anything: the gateway is away or starting.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(_) => true,
            Self::Closed { code, refusal, .. } => match refusal {
                Some(refusal) => refusal.retryable.unwrap_or(false),
                None => matches!(code, 1000 | 1001 | 1006 | 1011 | 1012 | 1013),
            },
            Self::Request(error) => error.retryable.unwrap_or(false),
            Self::Local(_) => false,
        }
    }

    /// Code and reason of the close, as a probe reports them.
    pub fn close(&self) -> Option<(u16, &str)> {
        match self {
            Self::Unreachable(_) => Some((ABNORMAL_CLOSURE, "")),
            Self::Closed { code, reason, .. } => Some((*code, reason)),
            _ => None,
        }
    }
}

fn closed_line(code: u16, reason: &str) -> String {
    let hint = match code {
        1000 => " normal closure",
        ABNORMAL_CLOSURE => " abnormal closure (no close frame)",
        _ => "",
    };
    let reason = match reason.trim() {
        "" => "no close reason",
        text => text,
    };
    format!("gateway closed ({code}{hint}): {reason}")
}
