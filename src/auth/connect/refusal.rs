//! Refusals of `connect` in the protocol's words.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::asking::Asking;
use crate::auth::ConnectRefusal;
use crate::auth::devices::record::{PairedDevice, PendingRequest};
use crate::auth::origin::OriginRefusal;
use crate::wire::error::{ErrorCode, ErrorShape};
use crate::wire::frame::close_reason;

/// A refusal whose text is also the close reason.
pub fn plain(code: ErrorCode, message: &str, details: Option<Value>) -> ConnectRefusal {
    ConnectRefusal {
        error: Box::new(ErrorShape {
            code,
            message: message.to_owned(),
            details,
            retryable: None,
            retry_after_ms: None,
        }),
        close_code: 1008,
        close_reason: close_reason(message).to_owned(),
        events: Vec::new(),
    }
}

/// The origin is not allowed.
pub fn origin(reason: OriginRefusal) -> ConnectRefusal {
    plain(
        ErrorCode::InvalidRequest,
        "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)",
        Some(json!({ "code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason.as_str() })),
    )
}

/// The Control UI cannot prove a device.
pub fn control_ui_without_device() -> ConnectRefusal {
    plain(
        ErrorCode::InvalidRequest,
        "control ui requires device identity (use HTTPS or localhost secure context)",
        Some(json!({ "code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED" })),
    )
}

/// Nobody else may come without a device either.
pub fn device_required() -> ConnectRefusal {
    plain(
        ErrorCode::NotPaired,
        "device identity required",
        Some(json!({ "code": "DEVICE_IDENTITY_REQUIRED" })),
    )
}

/// What is wrong with a device's proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFlaw {
    /// The key is none.
    PublicKey,
    /// The id is not that of the key.
    Id,
    /// Signed too long ago, or in the future.
    Stale,
    /// No nonce.
    NonceMissing,
    /// The nonce of another connection.
    NonceMismatch,
    /// The signature is of another key or text.
    Signature,
}

/// The device's proof does not hold.
pub fn device_flaw(flaw: DeviceFlaw) -> ConnectRefusal {
    let (message, code, reason) = match flaw {
        DeviceFlaw::PublicKey => (
            "device public key invalid",
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            "device-public-key",
        ),
        DeviceFlaw::Id => (
            "device identity mismatch",
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            "device-id-mismatch",
        ),
        DeviceFlaw::Stale => (
            "device signature expired",
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
        ),
        DeviceFlaw::NonceMissing => (
            "device nonce required",
            "DEVICE_AUTH_NONCE_REQUIRED",
            "device-nonce-missing",
        ),
        DeviceFlaw::NonceMismatch => (
            "device nonce mismatch",
            "DEVICE_AUTH_NONCE_MISMATCH",
            "device-nonce-mismatch",
        ),
        DeviceFlaw::Signature => (
            "device signature invalid",
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
        ),
    };
    plain(
        ErrorCode::InvalidRequest,
        message,
        Some(json!({ "code": code, "reason": reason })),
    )
}

/// Credentials are missing or wrong. `retry_with_device`: the device may have a token that is right.
pub fn unauthorized(
    asking: &Asking<'_>,
    reason: &str,
    retry_with_device: bool,
    retry_after: Option<Duration>,
) -> ConnectRefusal {
    let (code, next) = match reason {
        "token_missing" => ("AUTH_TOKEN_MISSING", "update_auth_configuration"),
        "token_mismatch" => ("AUTH_TOKEN_MISMATCH", "update_auth_credentials"),
        "token_missing_config" => ("AUTH_TOKEN_NOT_CONFIGURED", "update_auth_configuration"),
        "password_missing" => ("AUTH_PASSWORD_MISSING", "update_auth_configuration"),
        "password_mismatch" => ("AUTH_PASSWORD_MISMATCH", "update_auth_credentials"),
        "password_missing_config" => ("AUTH_PASSWORD_NOT_CONFIGURED", "update_auth_configuration"),
        "bootstrap_token_invalid" => ("AUTH_BOOTSTRAP_TOKEN_INVALID", "review_auth_configuration"),
        "device_token_mismatch" => ("AUTH_DEVICE_TOKEN_MISMATCH", "update_auth_credentials"),
        "rate_limited" => ("AUTH_RATE_LIMITED", "wait_then_retry"),
        _ => ("AUTH_UNAUTHORIZED", "review_auth_configuration"),
    };
    let next = if retry_with_device {
        "retry_with_device_token"
    } else {
        next
    };
    let details = json!({
        "code": code,
        "authReason": reason,
        "canRetryWithDeviceToken": retry_with_device,
        "recommendedNextStep": next,
    });
    let mut refusal = plain(
        ErrorCode::InvalidRequest,
        &unauthorized_message(asking, reason),
        Some(details),
    );
    // Clients of protocol 3 know no retry fields on these errors.
    if asking.attempt.protocol >= 4
        && let Some(after) = retry_after
    {
        refusal.error.retryable = Some(true);
        refusal.error.retry_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }
    refusal
}

fn unauthorized_message(asking: &Asking<'_>, reason: &str) -> String {
    let text = match reason {
        "token_missing" => format!("gateway token missing ({})", token_hint(asking)),
        "token_mismatch" => format!("gateway token mismatch ({})", token_hint(asking)),
        "password_missing" => format!("gateway password missing ({})", password_hint(asking)),
        "password_mismatch" => format!("gateway password mismatch ({})", password_hint(asking)),
        "token_missing_config" => "gateway token not configured on gateway (set gateway.auth.token)".to_owned(),
        "password_missing_config" => {
            "gateway password not configured on gateway (set gateway.auth.password)".to_owned()
        }
        "bootstrap_token_invalid" => "bootstrap token invalid or expired (scan a fresh setup code)".to_owned(),
        "device_token_mismatch" => "device token mismatch (rotate/reissue device token)".to_owned(),
        "rate_limited" => "too many failed authentication attempts (retry later)".to_owned(),
        _ => return "unauthorized".to_owned(),
    };
    format!("unauthorized: {text}")
}

fn token_hint(asking: &Asking<'_>) -> &'static str {
    if asking.client().mode == "cli" {
        "set gateway.remote.token to match gateway.auth.token"
    } else if asking.is_control_ui() || asking.is_webchat() {
        "open the dashboard URL and paste the token in Control UI settings"
    } else {
        "provide gateway auth token"
    }
}

fn password_hint(asking: &Asking<'_>) -> &'static str {
    if asking.client().mode == "cli" {
        "set gateway.remote.password to match gateway.auth.password"
    } else if asking.is_control_ui() || asking.is_webchat() {
        "enter the password in Control UI settings"
    } else {
        "provide gateway auth password"
    }
}

/// Why a person has to approve first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairingReason {
    /// The device is unknown.
    NotPaired,
    /// It comes in a role that is not in force.
    RoleUpgrade,
    /// It asks for more scopes than were approved.
    ScopeUpgrade,
    /// It says that it is another kind of device now.
    MetadataUpgrade,
}

impl PairingReason {
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::NotPaired => (
                "not-paired",
                "pairing required: device is not approved yet",
                "Approve this device from the pending pairing requests.",
            ),
            Self::RoleUpgrade => (
                "role-upgrade",
                "pairing required: device is asking for a higher role than currently approved",
                "Review the requested role upgrade, then approve the pending request.",
            ),
            Self::ScopeUpgrade => (
                "scope-upgrade",
                "pairing required: device is asking for more scopes than currently approved",
                "Review the requested scopes, then approve the pending upgrade.",
            ),
            Self::MetadataUpgrade => (
                "metadata-upgrade",
                "pairing required: device identity changed and must be re-approved",
                "Review the refreshed device details, then approve the pending request.",
            ),
        }
    }
}

/// A person has to approve `request` first.
pub fn pairing(
    asking: &Asking<'_>,
    reason: PairingReason,
    request: &PendingRequest,
    known: Option<&PairedDevice>,
) -> ConnectRefusal {
    let (name, message, hint) = reason.words();
    let mut details = Map::new();
    details.insert("code".to_owned(), "PAIRING_REQUIRED".into());
    details.insert("reason".to_owned(), name.into());
    details.insert("requestId".to_owned(), request.request_id.as_str().into());
    details.insert("remediationHint".to_owned(), hint.into());
    details.insert("deviceId".to_owned(), request.ask.device_id.as_str().into());
    details.insert("requestedRole".to_owned(), asking.role.as_str().into());
    details.insert("requestedScopes".to_owned(), asking.scopes.clone().into());
    if let Some(known) = known {
        details.insert("approvedRoles".to_owned(), known.ask.roles.clone().into());
        details.insert("approvedScopes".to_owned(), known.ask.scopes.clone().into());
    }
    let mut refusal = plain(ErrorCode::NotPaired, message, Some(Value::Object(details)));
    refusal.close_reason = close_reason(&format!("{message} (requestId: {})", request.request_id)).to_owned();
    refusal
}

/// The pairing state cannot be changed now.
pub fn unavailable(error: &impl std::fmt::Display) -> ConnectRefusal {
    let mut refusal = plain(ErrorCode::Unavailable, &error.to_string(), None);
    refusal.error.retryable = Some(true);
    refusal.close_code = 1013;
    refusal
}
