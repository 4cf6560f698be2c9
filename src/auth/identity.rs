//! The key file of a device, in upstream's format: the gateway's own identity, and the command line's.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use crate::base::fs::{self, ReadError};
use crate::base::{Clock, DeviceId};
use crate::domain::identity::GatewayIdentity;
use crate::wire::device::DeviceKey;

const MAX_BYTES: u64 = 64 * 1024;

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error("device key: {0}")]
    Unreadable(#[from] ReadError),
    /// The file holds no key.
    #[error("device key {0} is damaged: move it away to get a new one (the device has to be paired again)")]
    Damaged(PathBuf),
    /// The file cannot be created.
    #[error("cannot create device key {path}: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    private_key_pem: String,
}

/// The key at `path` (`<state>/identity/device.json`), made on first use, mode 0600. Blocking.
pub fn load_or_create_identity(path: &Path, clock: &dyn Clock) -> Result<DeviceKey, IdentityError> {
    match load(path) {
        Err(IdentityError::Unreadable(ReadError::Missing(_))) => {}
        other => return other,
    }
    let key = DeviceKey::from_seed(&rand::random());
    let document = json!({
        "version": 1,
        "deviceId": key.id(),
        "publicKeyPem": key.public_pem(),
        "privateKeyPem": key.private_pem(),
        "createdAtMs": clock.now_ms(),
    });
    let unwritable = |source| IdentityError::Unwritable {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_private_dir(folder).map_err(unwritable)?;
    }
    match fs::create_private(path, format!("{document:#}\n").as_bytes()) {
        Ok(()) => Ok(key),
        // Another process was faster; its key counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(unwritable(error)),
    }
}

/// What the gateway shows of its own key.
pub fn public_identity(key: &DeviceKey) -> GatewayIdentity {
    GatewayIdentity {
        device_id: DeviceId::new(key.id()),
        public_key: key.public_key(),
    }
}

fn load(path: &Path) -> Result<DeviceKey, IdentityError> {
    let bytes = fs::read_capped(path, MAX_BYTES)?;
    serde_json::from_slice::<Stored>(&bytes)
        .ok()
        .and_then(|stored| DeviceKey::from_private_pem(&stored.private_key_pem))
        .ok_or_else(|| IdentityError::Damaged(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity/device.json");
        let clock = ManualClock::at(7);
        let first = load_or_create_identity(&path, &clock).unwrap();
        let second = load_or_create_identity(&path, &clock).unwrap();
        assert_eq!(first.id(), second.id());
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(document["deviceId"], first.id());
        assert_eq!(document["createdAtMs"], 7);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_reported_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.json");
        std::fs::write(&path, "{}").unwrap();
        let error = load_or_create_identity(&path, &ManualClock::at(0)).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged(_)));
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
    }
}
