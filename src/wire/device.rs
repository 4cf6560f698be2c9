//! Device identity: Ed25519 keys in the forms that clients send, the text that a device signs, signing and verifying.
//!
//! Pure: no IO, no clock, no randomness. Used by the gateway to verify and by the command line to sign. A device id is
//! the lower-case hex SHA-256 of the raw public key, so a key can never speak for another device.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::connect::{ClientInfo, ConnectAuth, ConnectDevice};

/// DER of an Ed25519 public key up to its 32 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER of an Ed25519 private key (PKCS#8 v1) up to the 32 bytes of its seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Which text was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadVersion {
    /// Without platform and device family.
    V2,
    /// The present form.
    V3,
}

/// Everything that the signature of a `connect` covers.
#[derive(Debug, Clone, Copy)]
pub struct DevicePayload<'a> {
    /// `device.id`.
    pub device_id: &'a str,
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// Effective role.
    pub role: &'a str,
    /// Scopes in the order sent.
    pub scopes: &'a [String],
    /// `device.signedAt`, Unix ms.
    pub signed_at: i64,
    /// See [`signed_token`].
    pub token: &'a str,
    /// The challenge.
    pub nonce: &'a str,
    /// `client.platform`.
    pub platform: &'a str,
    /// `client.deviceFamily`; empty if absent.
    pub device_family: &'a str,
}

impl DevicePayload<'_> {
    /// The text to sign.
    pub fn text(&self, version: PayloadVersion) -> String {
        let Self {
            device_id,
            client_id,
            client_mode,
            role,
            signed_at,
            token,
            nonce,
            ..
        } = self;
        let scopes = self.scopes.join(",");
        let body = format!("{device_id}|{client_id}|{client_mode}|{role}|{scopes}|{signed_at}|{token}|{nonce}");
        match version {
            PayloadVersion::V2 => format!("v2|{body}"),
            PayloadVersion::V3 => format!(
                "v3|{body}|{}|{}",
                normal_metadata(self.platform),
                normal_metadata(self.device_family)
            ),
        }
    }

    /// Whether `signature` (base64url) was made over this payload, in its present or its previous form, by `key`.
    pub fn is_signed_by(&self, key: &[u8; 32], signature: &str) -> bool {
        let Some(signature) = decode(signature).and_then(|bytes| Signature::from_slice(&bytes).ok()) else {
            return false;
        };
        let Ok(key) = VerifyingKey::from_bytes(key) else {
            return false;
        };
        [PayloadVersion::V3, PayloadVersion::V2]
            .into_iter()
            .any(|version| key.verify_strict(self.text(version).as_bytes(), &signature).is_ok())
    }
}

/// The credential that a device signs: the first one present, even if it is empty. A password is never signed.
pub fn signed_token(auth: Option<&ConnectAuth>) -> &str {
    auth.and_then(|auth| {
        auth.token
            .as_deref()
            .or(auth.device_token.as_deref())
            .or(auth.bootstrap_token.as_deref())
    })
    .unwrap_or_default()
}

/// Platform and device family as they are signed and compared: trimmed, ASCII letters lower-cased.
pub fn normal_metadata(value: &str) -> String {
    value.trim().to_ascii_lowercase()
}

/// The raw key of `device.publicKey`: base64url or base64, with or without padding, or PEM.
pub fn parse_public_key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.contains("-----BEGIN") {
        let der = pem_body(text)?;
        return der.strip_prefix(&SPKI_PREFIX)?.try_into().ok();
    }
    decode(text)?.try_into().ok()
}

/// The id of the device with this raw public key.
pub fn device_id(key: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(key))
}

/// A raw public key as it is sent and stored.
pub fn encode_public_key(key: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// A device's key pair.
pub struct DeviceKey {
    signing: SigningKey,
    id: String,
}

impl DeviceKey {
    /// The key pair of a 32-byte seed, which must come from a secure generator.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let id = device_id(signing.verifying_key().as_bytes());
        Self { signing, id }
    }

    /// The key pair of a PKCS#8 PEM.
    pub fn from_private_pem(pem: &str) -> Option<Self> {
        let der = pem_body(pem)?;
        let seed: [u8; 32] = der.strip_prefix(&PKCS8_PREFIX)?.try_into().ok()?;
        Some(Self::from_seed(&seed))
    }

    /// The device id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, base64url.
    pub fn public_key(&self) -> String {
        encode_public_key(self.signing.verifying_key().as_bytes())
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &SPKI_PREFIX, self.signing.verifying_key().as_bytes())
    }

    /// The private key as PEM, for the identity file only.
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &PKCS8_PREFIX, &self.signing.to_bytes())
    }

    /// Base64url signature over `text`.
    pub fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.signing.sign(text.as_bytes()).to_bytes())
    }

    /// The `device` block of a `connect` that `payload` describes; its device must be this one.
    pub fn block(&self, payload: &DevicePayload<'_>) -> ConnectDevice {
        ConnectDevice {
            id: self.id.clone(),
            public_key: self.public_key(),
            signature: self.sign(&payload.text(PayloadVersion::V3)),
            signed_at: payload.signed_at,
            nonce: payload.nonce.to_owned(),
        }
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.id)
    }
}

/// The `device` block of a `connect` with these parts, signed at `signed_at` (Unix ms).
pub fn sign_connect(
    key: &DeviceKey,
    client: &ClientInfo,
    role: &str,
    scopes: &[String],
    auth: Option<&ConnectAuth>,
    nonce: &str,
    signed_at: i64,
) -> ConnectDevice {
    key.block(&DevicePayload {
        device_id: key.id(),
        client_id: &client.id,
        client_mode: &client.mode,
        role,
        scopes,
        signed_at,
        token: signed_token(auth),
        nonce,
        platform: &client.platform,
        device_family: client.device_family.as_deref().unwrap_or_default(),
    })
}

/// Both alphabets of base64, padding optional.
fn decode(text: &str) -> Option<Vec<u8>> {
    let standard: String = text
        .trim()
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    STANDARD_NO_PAD.decode(standard).ok()
}

fn pem_body(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    STANDARD.decode(body).ok()
}

/// Both DER forms are short enough for a single line of base64.
fn pem(label: &str, prefix: &[u8], key: &[u8; 32]) -> String {
    let body = STANDARD.encode([prefix, key.as_slice()].concat());
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[cfg(test)]
mod tests;
