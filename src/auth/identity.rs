//! The gateway's own key, made once and kept in the state directory.

use std::path::Path;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use crate::base::DeviceId;
use crate::base::fs::{ReadError, create_private, create_private_dir, read_capped};
use crate::domain::identity::GatewayIdentity;
use crate::wire::device::{device_id, public_key_text};

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file is there and cannot be used.
    #[error("gateway identity {path} cannot be used: {reason}; remove the file to get a new identity")]
    Unusable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file cannot be written.
    #[error("gateway identity {path} cannot be written: {reason}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    version: u32,
    /// Hex of the 32-byte seed.
    seed: String,
}

/// The key pair.
pub struct IdentityKey(SigningKey);

impl IdentityKey {
    /// The public half.
    pub fn public(&self) -> GatewayIdentity {
        let key = self.0.verifying_key().to_bytes();
        GatewayIdentity {
            device_id: DeviceId::new(device_id(&key)),
            public_key: public_key_text(&key),
        }
    }
}

/// Reads the key at `path`, or makes it (mode 0600).
///
/// # Errors
/// A damaged file is not replaced: clients may have pinned the identity.
pub fn load_or_create(path: &Path) -> Result<IdentityKey, IdentityError> {
    let shown = || path.display().to_string();
    match read_capped(path, 4096) {
        Ok(bytes) => parse(&bytes).ok_or_else(|| IdentityError::Unusable {
            path: shown(),
            reason: "it is damaged".to_owned(),
        }),
        Err(ReadError::Missing(_)) => {
            let key = SigningKey::from_bytes(&rand::random::<[u8; 32]>());
            let stored = Stored {
                version: 1,
                seed: hex::encode(key.to_bytes()),
            };
            let write = |reason: String| IdentityError::Write { path: shown(), reason };
            let text = serde_json::to_vec_pretty(&stored).map_err(|error| write(error.to_string()))?;
            if let Some(folder) = path.parent() {
                create_private_dir(folder).map_err(|error| write(error.to_string()))?;
            }
            create_private(path, &text).map_err(|error| write(error.to_string()))?;
            Ok(IdentityKey(key))
        }
        Err(error) => Err(IdentityError::Unusable {
            path: shown(),
            reason: error.to_string(),
        }),
    }
}

fn parse(bytes: &[u8]) -> Option<IdentityKey> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    let seed: [u8; 32] = hex::decode(stored.seed).ok()?.try_into().ok()?;
    Some(IdentityKey(SigningKey::from_bytes(&seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_stays_the_same_and_a_damaged_one_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity/gateway.json");
        let first = load_or_create(&path).unwrap().public();
        assert_eq!(load_or_create(&path).unwrap().public(), first);
        std::fs::write(&path, "{").unwrap();
        assert!(load_or_create(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }
}
