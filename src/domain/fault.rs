//! The one error that surfaces show to callers.
//!
//! Every module has its own typed errors; at the edge they become a [`Fault`], and each surface maps [`FaultKind`]
//! to its own code: WebSocket error shape, OpenAI error object and HTTP status, gRPC status.

use std::time::Duration;

use serde_json::Value;

/// What went wrong, in terms that a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The request is wrong and will stay wrong. HTTP 400, WS `INVALID_REQUEST`.
    InvalidRequest,
    /// Credentials are missing or wrong. HTTP 401.
    Unauthenticated,
    /// The caller lacks a scope. HTTP 403; WS `INVALID_REQUEST` (protocol 3) or `FORBIDDEN` (protocol 4).
    Forbidden,
    /// The named thing does not exist. HTTP 404, WS `INVALID_REQUEST`.
    NotFound,
    /// The request collides with the present state. HTTP 409, WS `INVALID_REQUEST`.
    Conflict,
    /// The body is larger than allowed. HTTP 413.
    TooLarge,
    /// Too many requests or failures from this caller, or from us at the provider. HTTP 429, WS `UNAVAILABLE`.
    RateLimited,
    /// The gateway cannot do it now: draining, starting, storage failing, not configured. HTTP 503, WS `UNAVAILABLE`.
    Unavailable,
    /// The provider refused us, broke the stream or answered nonsense. HTTP 502, WS `UNAVAILABLE`.
    Upstream,
    /// The provider did not answer in time. HTTP 504, WS `UNAVAILABLE`.
    UpstreamTimeout,
    /// A defect of ours. HTTP 500, WS `UNAVAILABLE`.
    Internal,
}

impl FaultKind {
    /// The label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Upstream => "upstream",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }
}

/// An error for a caller. `message` is public: it names the thing and the remedy and holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The class, which decides the code on every surface.
    pub kind: FaultKind,
    /// Machine-readable code of the OpenAI error object (`model_not_found`, `rate_limit_exceeded`, ...), if it has one.
    pub code: Option<&'static str>,
    /// The request field at fault, for OpenAI's `param`.
    pub param: Option<String>,
    /// Text for the caller.
    pub message: String,
    /// `details` of the WebSocket error shape.
    pub details: Option<Value>,
    /// When the same request may succeed.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault of `kind` with a public message.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            param: None,
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    /// A request that is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FaultKind::InvalidRequest, message)
    }

    /// Something that cannot be done now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Unavailable, message)
    }

    /// A missing scope, in upstream's words.
    pub fn missing_scope(scope: &str) -> Self {
        let mut fault = Self::new(FaultKind::Forbidden, format!("missing scope: {scope}"));
        fault.details = Some(serde_json::json!({
            "code": "MISSING_SCOPE",
            "missingScope": scope,
            "requiredScopes": [scope],
        }));
        fault
    }

    /// Sets the machine-readable code.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Sets the request field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Sets the WebSocket `details`.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Sets the time after which a retry makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}
