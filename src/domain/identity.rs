//! The gateway's own device identity, as `gateway.identity.get` shows it.

use crate::base::DeviceId;

/// Public half of the gateway's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayIdentity {
    /// Lower-case hex SHA-256 of the raw public key.
    pub device_id: DeviceId,
    /// Ed25519 public key, base64url without padding.
    pub public_key: String,
}
