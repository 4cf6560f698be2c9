//! Whether a device really holds the key that it names. Pure.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::json;

use super::ConnectRefusal;
use super::refusal::refuse;
use crate::wire::connect::ConnectParams;
use crate::wire::device::{decode_base64, device_id, public_key_bytes, signed_payloads};
use crate::wire::error::ErrorCode;

/// How far a device's clock may be off, ms.
const MAX_SKEW_MS: i64 = 120_000;

fn device_fault(message: &str, code: &str, reason: &str) -> ConnectRefusal {
    refuse(
        ErrorCode::InvalidRequest,
        message,
        json!({"code": code, "reason": reason}),
    )
}

/// Verifies the device block; returns the raw public key.
pub(super) fn verify(
    params: &ConnectParams,
    role: &str,
    scopes: &[String],
    nonce: &str,
    now_ms: i64,
) -> Result<[u8; 32], ConnectRefusal> {
    let invalid = || {
        device_fault(
            "device signature invalid",
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
        )
    };
    let Some(device) = &params.device else {
        return Err(invalid());
    };
    let Some(key) = public_key_bytes(&device.public_key) else {
        return Err(device_fault(
            "device public key invalid",
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            "device-public-key",
        ));
    };
    if device_id(&key) != device.id {
        return Err(device_fault(
            "device identity mismatch",
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            "device-id-mismatch",
        ));
    }
    if device.signed_at.saturating_sub(now_ms).saturating_abs() > MAX_SKEW_MS {
        return Err(device_fault(
            "device signature expired",
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
        ));
    }
    match device.nonce.trim() {
        "" => {
            return Err(device_fault(
                "device nonce required",
                "DEVICE_AUTH_NONCE_REQUIRED",
                "device-nonce-missing",
            ));
        }
        given if given != nonce => {
            return Err(device_fault(
                "device nonce mismatch",
                "DEVICE_AUTH_NONCE_MISMATCH",
                "device-nonce-mismatch",
            ));
        }
        _ => {}
    }
    let verifier = VerifyingKey::from_bytes(&key).map_err(|_| invalid())?;
    let bytes: [u8; 64] = decode_base64(&device.signature)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(invalid)?;
    let signature = Signature::from_bytes(&bytes);
    let payloads = signed_payloads(params, role, scopes, nonce).ok_or_else(invalid)?;
    let verified = payloads
        .iter()
        .any(|payload| verifier.verify_strict(payload.as_bytes(), &signature).is_ok());
    if verified { Ok(key) } else { Err(invalid()) }
}
