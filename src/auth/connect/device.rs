//! The proof that a device is who it says: its key signed this very `connect`, just now.

use super::asking::Asking;
use super::refusal::DeviceFlaw;
use crate::wire::connect::ConnectDevice;
use crate::wire::device::{self, DevicePayload};

/// How far the device's clock may be off, ms.
const MAX_SKEW_MS: u64 = 120_000;

/// A device whose signature holds.
pub struct ProvenDevice<'a> {
    /// Its id.
    pub id: &'a str,
    key: [u8; 32],
}

impl ProvenDevice<'_> {
    /// Its key as it is stored, whatever form it was sent in.
    pub fn public_key(&self) -> String {
        device::encode_public_key(&self.key)
    }
}

/// Checks the device block; the order is the protocol's.
pub fn prove<'a>(asking: &Asking<'_>, device: &'a ConnectDevice, now_ms: i64) -> Result<ProvenDevice<'a>, DeviceFlaw> {
    let key = device::parse_public_key(&device.public_key).ok_or(DeviceFlaw::PublicKey)?;
    if device::device_id(&key) != device.id {
        return Err(DeviceFlaw::Id);
    }
    if now_ms.abs_diff(device.signed_at) > MAX_SKEW_MS {
        return Err(DeviceFlaw::Stale);
    }
    let nonce = device.nonce.trim();
    if nonce.is_empty() {
        return Err(DeviceFlaw::NonceMissing);
    }
    if nonce != asking.attempt.nonce {
        return Err(DeviceFlaw::NonceMismatch);
    }
    let client = asking.client();
    let payload = DevicePayload {
        device_id: &device.id,
        client_id: &client.id,
        client_mode: &client.mode,
        role: asking.role.as_str(),
        scopes: &asking.scopes,
        signed_at: device.signed_at,
        token: device::signed_token(asking.credentials()),
        nonce,
        platform: &client.platform,
        device_family: client.device_family.as_deref().unwrap_or_default(),
    };
    if !payload.is_signed_by(&key, &device.signature) {
        return Err(DeviceFlaw::Signature);
    }
    Ok(ProvenDevice { id: &device.id, key })
}
