//! How a refused `connect` is told: code, message, details, close reason, in upstream's words.

use serde_json::{Value, json};

use super::ConnectRefusal;
use crate::domain::event::Event;
use crate::wire::connect::ConnectParams;
use crate::wire::error::{ErrorCode, ErrorShape};

/// Most bytes of a close reason.
const REASON_BYTES: usize = 120;

/// A refusal with `details`; the close reason is the message.
pub(super) fn refuse(code: ErrorCode, message: impl Into<String>, details: Value) -> ConnectRefusal {
    let message = message.into();
    ConnectRefusal {
        close_code: 1008,
        close_reason: cut(&message),
        error: Box::new(ErrorShape {
            code,
            message,
            details: Some(details),
            retryable: None,
            retry_after_ms: None,
        }),
        events: Vec::new(),
    }
}

/// A refusal that names a pending request in its close reason and publishes `events`.
pub(super) fn refuse_pairing(message: &str, request_id: &str, details: Value, events: Vec<Event>) -> ConnectRefusal {
    let mut refusal = refuse(ErrorCode::NotPaired, message, details);
    refusal.close_reason = cut(&format!("{message} (requestId: {request_id})"));
    refusal.events = events;
    refusal
}

/// The text cut to what a close frame takes, at a character boundary.
fn cut(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Why credentials were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    TokenMissing,
    TokenMismatch,
    TokenNotConfigured,
    PasswordMissing,
    PasswordMismatch,
    PasswordNotConfigured,
    BootstrapInvalid,
    DeviceTokenMismatch,
    RateLimited,
    /// Trusted-proxy reasons and everything else that gets the generic text.
    Other(&'static str),
}

impl Reason {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenMismatch => "token_mismatch",
            Self::TokenNotConfigured => "token_missing_config",
            Self::PasswordMissing => "password_missing",
            Self::PasswordMismatch => "password_mismatch",
            Self::PasswordNotConfigured => "password_missing_config",
            Self::BootstrapInvalid => "bootstrap_token_invalid",
            Self::DeviceTokenMismatch => "device_token_mismatch",
            Self::RateLimited => "rate_limited",
            Self::Other(name) => name,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::TokenMissing => "AUTH_TOKEN_MISSING",
            Self::TokenMismatch => "AUTH_TOKEN_MISMATCH",
            Self::TokenNotConfigured => "AUTH_TOKEN_NOT_CONFIGURED",
            Self::PasswordMissing => "AUTH_PASSWORD_MISSING",
            Self::PasswordMismatch => "AUTH_PASSWORD_MISMATCH",
            Self::PasswordNotConfigured => "AUTH_PASSWORD_NOT_CONFIGURED",
            Self::BootstrapInvalid => "AUTH_BOOTSTRAP_TOKEN_INVALID",
            Self::DeviceTokenMismatch => "AUTH_DEVICE_TOKEN_MISMATCH",
            Self::RateLimited => "AUTH_RATE_LIMITED",
            Self::Other(_) => "AUTH_UNAUTHORIZED",
        }
    }
}

/// The refusal for wrong credentials. `can_retry`: the client may try a stored device token next.
pub(super) fn unauthorized(params: &ConnectParams, reason: Reason, can_retry: bool) -> ConnectRefusal {
    let client = params.client.id.as_str();
    let (token_hint, password_hint) = match client {
        "cli" => (
            "set gateway.remote.token to match gateway.auth.token",
            "set gateway.remote.password to match gateway.auth.password",
        ),
        "openclaw-control-ui" | "webchat" | "webchat-ui" => (
            "open the dashboard URL and paste the token in Control UI settings",
            "enter the password in Control UI settings",
        ),
        _ => ("provide gateway auth token", "provide gateway auth password"),
    };
    let message = match reason {
        Reason::TokenMissing => format!("unauthorized: gateway token missing ({token_hint})"),
        Reason::TokenMismatch => format!("unauthorized: gateway token mismatch ({token_hint})"),
        Reason::TokenNotConfigured => {
            "unauthorized: gateway token not configured on gateway (set gateway.auth.token)".to_owned()
        }
        Reason::PasswordMissing => format!("unauthorized: gateway password missing ({password_hint})"),
        Reason::PasswordMismatch => format!("unauthorized: gateway password mismatch ({password_hint})"),
        Reason::PasswordNotConfigured => {
            "unauthorized: gateway password not configured on gateway (set gateway.auth.password)".to_owned()
        }
        Reason::BootstrapInvalid => {
            "unauthorized: bootstrap token invalid or expired (scan a fresh setup code)".to_owned()
        }
        Reason::DeviceTokenMismatch => "unauthorized: device token mismatch (rotate/reissue device token)".to_owned(),
        Reason::RateLimited => "unauthorized: too many failed authentication attempts (retry later)".to_owned(),
        Reason::Other(_) => "unauthorized".to_owned(),
    };
    let next = match reason {
        Reason::TokenMismatch | Reason::PasswordMismatch if can_retry => "retry_with_device_token",
        Reason::TokenMismatch | Reason::PasswordMismatch | Reason::DeviceTokenMismatch => "update_auth_credentials",
        Reason::TokenMissing | Reason::TokenNotConfigured | Reason::PasswordMissing | Reason::PasswordNotConfigured => {
            "update_auth_configuration"
        }
        Reason::RateLimited => "wait_then_retry",
        Reason::BootstrapInvalid | Reason::Other(_) => "review_auth_configuration",
    };
    let details = json!({
        "code": reason.code(),
        "authReason": reason.name(),
        "canRetryWithDeviceToken": can_retry,
        "recommendedNextStep": next,
    });
    refuse(ErrorCode::InvalidRequest, message, details)
}
