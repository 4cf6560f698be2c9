//! The key of this command line as a device, and the tokens that gateways issued to it.
//!
//! Two files in `<state>/identity`, both mode 0600, in upstream's format so that either program can use them:
//! `device.json` (Ed25519 key pair) and `device-auth.json` (token per role).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::error::CallError;
use crate::base::{Clock, Secret, SystemClock};

/// DER of an Ed25519 PKCS#8 v1 key up to the 32 bytes of the seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// DER of an Ed25519 public key up to its 32 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// `<state>/identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFolder(PathBuf);

/// A device key.
pub struct DeviceIdentity {
    key: SigningKey,
    /// Lower-case hex SHA-256 of the public key.
    pub device_id: String,
}

/// The parts of `connect` that a device signs.
pub struct SignedParts<'a> {
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// Role.
    pub role: &'a str,
    /// Scopes in the order sent.
    pub scopes: &'a [&'a str],
    /// Unix ms.
    pub signed_at_ms: i64,
    /// `auth.token`, else `auth.deviceToken`, else empty.
    pub token: &'a str,
    /// The challenge.
    pub nonce: &'a str,
    /// `client.platform`.
    pub platform: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    private_key_pem: String,
}

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
    pub fn load_or_create(&self) -> Result<DeviceIdentity, CallError> {
        let path = self.0.join("device.json");
        match fs::read_to_string(&path) {
            Ok(text) => parse_key(&text).ok_or_else(|| {
                CallError::Local(format!(
                    "device key {} is damaged: move it away to get a new one (it has to be paired again)",
                    path.display()
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let identity = DeviceIdentity::from_key(SigningKey::from_bytes(&rand::random::<[u8; 32]>()));
                self.write(&path, &identity.stored())?;
                Ok(identity)
            }
            Err(error) => Err(CallError::Local(format!(
                "cannot read device key {}: {error}",
                path.display()
            ))),
        }
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

    /// Writes beside the target and renames, so that a reader never sees half a file.
    fn write(&self, path: &Path, document: &Value) -> Result<(), CallError> {
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&self.0)?;
            // Temporary files are created with mode 0600, which the rename keeps.
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            serde_json::to_writer_pretty(&mut file, document)?;
            file.write_all(b"\n")?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|error| CallError::Local(format!("cannot write {}: {error}", path.display())))
    }
}

impl DeviceIdentity {
    fn from_key(key: SigningKey) -> Self {
        let device_id = hex::encode(Sha256::digest(key.verifying_key().as_bytes()));
        Self { key, device_id }
    }

    /// Base64url of the raw public key.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// `device` of `connect`: the v3 payload over `parts`, signed.
    pub fn device_block(&self, parts: &SignedParts<'_>) -> Value {
        let signature = self.key.sign(payload_v3(&self.device_id, parts).as_bytes());
        json!({
            "id": self.device_id,
            "publicKey": self.public_key(),
            "signature": URL_SAFE_NO_PAD.encode(signature.to_bytes()),
            "signedAt": parts.signed_at_ms,
            "nonce": parts.nonce,
        })
    }

    fn stored(&self) -> Value {
        let public = [SPKI_PREFIX.as_slice(), self.key.verifying_key().as_bytes()].concat();
        let private = [PKCS8_PREFIX.as_slice(), self.key.as_bytes()].concat();
        json!({
            "version": 1,
            "deviceId": self.device_id,
            "publicKeyPem": pem("PUBLIC KEY", &public),
            "privateKeyPem": pem("PRIVATE KEY", &private),
            "createdAtMs": SystemClock.now_ms(),
        })
    }
}

/// The text that a device signs. No device family is sent, so the last field is empty.
fn payload_v3(device_id: &str, parts: &SignedParts<'_>) -> String {
    let SignedParts {
        client_id,
        client_mode,
        role,
        scopes,
        signed_at_ms,
        token,
        nonce,
        platform,
    } = parts;
    let scopes = scopes.join(",");
    let platform = platform.trim().to_ascii_lowercase();
    format!("v3|{device_id}|{client_id}|{client_mode}|{role}|{scopes}|{signed_at_ms}|{token}|{nonce}|{platform}|")
}

fn parse_key(text: &str) -> Option<DeviceIdentity> {
    let stored: StoredKey = serde_json::from_str(text).ok()?;
    let body: String = stored
        .private_key_pem
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = STANDARD.decode(body).ok()?;
    Some(DeviceIdentity::from_key(SigningKey::from_pkcs8_der(&der).ok()?))
}

/// Both DER forms are short enough for a single line of base64.
fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Verifier};

    use super::*;

    fn parts<'a>(nonce: &'a str, scopes: &'a [&'a str]) -> SignedParts<'a> {
        SignedParts {
            client_id: "cli",
            client_mode: "cli",
            role: "operator",
            scopes,
            signed_at_ms: 1_795_358_339_811,
            token: "mytoken",
            nonce,
            platform: "Linux",
        }
    }

    #[test]
    fn the_signed_text_joins_its_fields_in_protocol_order() {
        let text = payload_v3("abc", &parts("n-1", &["operator.read", "operator.write"]));
        assert_eq!(
            text,
            "v3|abc|cli|cli|operator|operator.read,operator.write|1795358339811|mytoken|n-1|linux|"
        );
    }

    #[test]
    fn a_key_survives_its_file_and_its_signatures_verify() {
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::of_state(dir.path());
        let first = folder.load_or_create().unwrap();
        let second = folder.load_or_create().unwrap();
        assert_eq!(first.device_id, second.device_id);

        let block = second.device_block(&parts("n", &[]));
        let signature = URL_SAFE_NO_PAD.decode(block["signature"].as_str().unwrap()).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        let signed = payload_v3(&first.device_id, &parts("n", &[]));
        first.key.verifying_key().verify(signed.as_bytes(), &signature).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn identity_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::of_state(dir.path());
        let identity = folder.load_or_create().unwrap();
        folder
            .remember(&identity.device_id, "operator", "t1", &json!(["operator.read"]))
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

    #[test]
    fn a_damaged_key_is_reported_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::of_state(dir.path());
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join("device.json"), "{}").unwrap();
        assert!(matches!(folder.load_or_create(), Err(CallError::Local(text)) if text.contains("damaged")));
        assert_eq!(fs::read_to_string(folder.0.join("device.json")).unwrap(), "{}");
    }
}
