//! What a device signs to prove itself, and the forms in which its key travels. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::connect::ConnectParams;

/// DER in front of the 32 bytes of an Ed25519 public key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The 32 raw bytes of a public key given as base64url, padded base64 or PEM.
pub fn public_key_bytes(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if let Some(pem) = text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
        let body: String = pem.split("-----END").next()?.split_whitespace().collect();
        let der = STANDARD.decode(body).ok()?;
        return der.strip_prefix(&SPKI_PREFIX)?.try_into().ok();
    }
    decode_base64(text)?.try_into().ok()
}

/// Bytes of base64url without padding or of standard base64.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .or_else(|_| STANDARD.decode(text))
        .ok()
}

/// The device id of a public key: lower-case hex SHA-256.
pub fn device_id(public_key: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(public_key))
}

/// A public key as it is stored and shown: base64url without padding.
pub fn public_key_text(public_key: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(public_key)
}

/// The texts that a valid signature of this `connect` may cover: version 3, then version 2. `scopes` are those in force
/// (possibly cleared), in the order sent.
pub fn signed_payloads(params: &ConnectParams, role: &str, scopes: &[String], nonce: &str) -> Option<[String; 2]> {
    let device = params.device.as_ref()?;
    let auth = params.auth.as_ref();
    // An empty string counts as given; only an absent field falls through.
    let token = auth
        .and_then(|auth| {
            auth.token
                .as_ref()
                .or(auth.device_token.as_ref())
                .or(auth.bootstrap_token.as_ref())
        })
        .map_or("", String::as_str);
    let client = &params.client;
    let common = format!(
        "{}|{}|{}|{role}|{}|{}|{token}|{nonce}",
        device.id,
        client.id,
        client.mode,
        scopes.join(","),
        device.signed_at,
    );
    let folded = |text: Option<&str>| text.map(|text| text.trim().to_ascii_lowercase()).unwrap_or_default();
    let platform = folded(Some(&client.platform));
    let family = folded(client.device_family.as_deref());
    Some([format!("v3|{common}|{platform}|{family}"), format!("v2|{common}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_form() {
        let url = "TXug5ShSUJdC9afh3uq0gQ67YFlJOMDc2dCg1g_tBnY";
        let padded = "TXug5ShSUJdC9afh3uq0gQ67YFlJOMDc2dCg1g/tBnY=";
        let key = public_key_bytes(url).unwrap();
        assert_eq!(public_key_bytes(padded), Some(key));
        assert_eq!(
            device_id(&key),
            "de7f79736504e8f87482b51b87e7d49ef246864ea0d71aade1e952a6ee0c2b04"
        );
        assert_eq!(public_key_text(&key), url);
        let mut der = SPKI_PREFIX.to_vec();
        der.extend(key);
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        assert_eq!(public_key_bytes(&pem), Some(key));
        assert_eq!(public_key_bytes("AAAA"), None);
    }
}
