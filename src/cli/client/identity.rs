//! The key of this command line as a device, and the tokens that gateways issued to it.
//!
//! Two files in `<state>/identity`, both mode 0600, in upstream's format so that either program can use them:
//! `device.json` (Ed25519 key pair) and `device-auth.json` (token per role).

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::CallError;
use crate::auth::load_or_create_identity;
use crate::base::fs::{create_private_dir, write_private};
use crate::base::{Clock, Secret, SystemClock};
use crate::wire::device::DeviceKey;

/// `<state>/identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFolder(PathBuf);

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredTokens {
    version: u32,
    device_id: String,
    tokens: Map<String, Value>,
}

impl IdentityFolder {
    /// The folder of the instance with this state directory.
    pub fn of_state(state_dir: &Path) -> Self {
        Self(state_dir.join("identity"))
    }

    /// The device key, made on first use.
    ///
    /// # Errors
    /// `Local` when the file is damaged or cannot be written; it names the file.
    pub fn load_or_create(&self) -> Result<DeviceKey, CallError> {
        load_or_create_identity(&self.0.join("device.json"), &SystemClock)
            .map_err(|error| CallError::Local(error.to_string()))
    }

    /// The token issued to `device_id` for `role`, if there is one.
    pub fn token(&self, device_id: &str, role: &str) -> Option<Secret> {
        let stored = self.tokens()?;
        if stored.device_id != device_id {
            return None;
        }
        let token = stored.tokens.get(role)?.get("token")?.as_str()?;
        Some(Secret::new(token))
    }

    /// Remembers a token that a gateway issued.
    ///
    /// # Errors
    /// `Local` when the file cannot be written.
    pub fn remember(&self, device_id: &str, role: &str, token: &str, scopes: &Value) -> Result<(), CallError> {
        let mut stored = self
            .tokens()
            .filter(|stored| stored.device_id == device_id)
            .unwrap_or_default();
        let known = stored.tokens.get(role);
        if known.is_some_and(|known| known.get("token").and_then(Value::as_str) == Some(token)) {
            return Ok(());
        }
        stored.version = 1;
        device_id.clone_into(&mut stored.device_id);
        stored.tokens.insert(
            role.to_owned(),
            json!({ "token": token, "role": role, "scopes": scopes, "updatedAtMs": SystemClock.now_ms() }),
        );
        self.write(&self.0.join("device-auth.json"), &json!(stored))
    }

    fn tokens(&self) -> Option<StoredTokens> {
        let text = fs::read_to_string(self.0.join("device-auth.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn write(&self, path: &Path, document: &Value) -> Result<(), CallError> {
        create_private_dir(&self.0)
            .and_then(|()| write_private(path, format!("{document:#}\n").as_bytes()))
            .map_err(|error| CallError::Local(format!("cannot write {}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn identity_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::of_state(dir.path());
        let identity = folder.load_or_create().unwrap();
        folder
            .remember(identity.id(), "operator", "t1", &json!(["operator.read"]))
            .unwrap();
        for name in ["device.json", "device-auth.json"] {
            let mode = fs::metadata(folder.0.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_token_belongs_to_one_device_and_role() {
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::of_state(dir.path());
        folder.remember("dev-a", "operator", "t1", &json!([])).unwrap();
        assert_eq!(folder.token("dev-a", "operator"), Some(Secret::new("t1")));
        assert_eq!(folder.token("dev-a", "node"), None);
        assert_eq!(folder.token("dev-b", "operator"), None);
    }
}
