//! The error shape of WebSocket responses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Error codes of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// Validation, auth, unknown method, not found, conflict.
    InvalidRequest,
    /// Cannot be done now; may be retried.
    Unavailable,
    /// A device must be paired first.
    NotPaired,
    /// A scope is missing (protocol 4).
    Forbidden,
}

/// `error` of a `res` frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorShape {
    /// What kind.
    pub code: ErrorCode,
    /// Text for people.
    pub message: String,
    /// Machine-readable details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether the same request may succeed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// When, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
