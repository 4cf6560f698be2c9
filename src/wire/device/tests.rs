use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    name: String,
    client: ClientInfo,
    role: String,
    scopes: Vec<String>,
    auth: ConnectAuth,
    device: ConnectDevice,
}

impl Vector {
    fn payload(&self) -> DevicePayload<'_> {
        DevicePayload {
            device_id: &self.device.id,
            client_id: &self.client.id,
            client_mode: &self.client.mode,
            role: &self.role,
            scopes: &self.scopes,
            signed_at: self.device.signed_at,
            token: signed_token(Some(&self.auth)),
            nonce: &self.device.nonce,
            platform: &self.client.platform,
            device_family: self.client.device_family.as_deref().unwrap_or_default(),
        }
    }
}

/// Frames that real clients sent and the original gateway accepted.
fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

#[test]
fn captured_signatures_verify() {
    for vector in vectors() {
        let key = parse_public_key(&vector.device.public_key).unwrap();
        assert_eq!(device_id(&key), vector.device.id, "{}", vector.name);
        assert!(
            vector.payload().is_signed_by(&key, &vector.device.signature),
            "{}",
            vector.name
        );
    }
}

#[test]
fn a_signature_covers_every_field() {
    let vector = &vectors()[0];
    let key = parse_public_key(&vector.device.public_key).unwrap();
    let honest = vector.payload();
    let fewer = &vector.scopes[1..];
    let changed = [
        DevicePayload {
            device_id: "0",
            ..honest
        },
        DevicePayload {
            client_id: "test",
            ..honest
        },
        DevicePayload {
            client_mode: "ui",
            ..honest
        },
        DevicePayload { role: "node", ..honest },
        DevicePayload {
            scopes: fewer,
            ..honest
        },
        DevicePayload {
            signed_at: honest.signed_at + 1,
            ..honest
        },
        DevicePayload {
            token: "other",
            ..honest
        },
        DevicePayload {
            nonce: "other",
            ..honest
        },
        DevicePayload {
            platform: "darwin",
            ..honest
        },
        DevicePayload {
            device_family: "phone",
            ..honest
        },
    ];
    for payload in changed {
        assert!(!payload.is_signed_by(&key, &vector.device.signature), "{payload:?}");
    }
    assert!(!honest.is_signed_by(&[7; 32], &vector.device.signature));
    assert!(!honest.is_signed_by(&key, "AQEB"));
}

#[test]
fn the_captured_text_is_reproduced() {
    let vector = &vectors()[0];
    assert_eq!(
        vector.payload().text(PayloadVersion::V3),
        "v3|de7f79736504e8f87482b51b87e7d49ef246864ea0d71aade1e952a6ee0c2b04|cli|cli|operator|operator.admin,\
         operator.read,operator.write,operator.approvals,operator.pairing|1795358339811|mytoken|\
         724a6ded-43b3-4671-9ad5-70b577cfd265|linux|server"
    );
}

#[test]
fn every_form_of_a_key_is_understood() {
    let key = DeviceKey::from_seed(&[9; 32]);
    let raw = parse_public_key(&key.public_key()).unwrap();
    assert_eq!(parse_public_key(&format!(" {} ", STANDARD.encode(raw))), Some(raw));
    assert_eq!(parse_public_key(&key.public_pem()), Some(raw));
    assert_eq!(parse_public_key(&key.private_pem()), None);
    assert_eq!(parse_public_key("abc"), None);
    assert_eq!(parse_public_key(""), None);
}

#[test]
fn a_key_survives_its_pem() {
    let key = DeviceKey::from_seed(&[3; 32]);
    let again = DeviceKey::from_private_pem(&key.private_pem()).unwrap();
    assert_eq!(again.id(), key.id());
    assert!(DeviceKey::from_private_pem(&key.public_pem()).is_none());
    assert!(!format!("{key:?}").contains(&key.private_pem()));
}

#[test]
fn an_empty_credential_counts_as_present() {
    let auth = ConnectAuth {
        token: Some(String::new()),
        device_token: Some("d".to_owned()),
        ..ConnectAuth::default()
    };
    assert_eq!(signed_token(Some(&auth)), "");
    let auth = ConnectAuth {
        device_token: Some("d".to_owned()),
        bootstrap_token: Some("b".to_owned()),
        password: Some("p".to_owned()),
        ..ConnectAuth::default()
    };
    assert_eq!(signed_token(Some(&auth)), "d");
    assert_eq!(signed_token(None), "");
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        seed in any::<[u8; 32]>(),
        platform in ".{0,12}",
        family in proptest::option::of(".{0,12}"),
        scopes in proptest::collection::vec("[a-z.]{1,12}", 0..4),
        nonce in "[0-9a-f-]{1,36}",
    ) {
        let key = DeviceKey::from_seed(&seed);
        let client = ClientInfo {
            id: "cli".to_owned(),
            version: "1".to_owned(),
            platform,
            mode: "cli".to_owned(),
            display_name: None,
            device_family: family,
            model_identifier: None,
            instance_id: None,
            build_id: None,
            time_zone: None,
        };
        let device = sign_connect(&key, &client, "operator", &scopes, None, &nonce, 5);
        let payload = DevicePayload {
            device_id: &device.id,
            client_id: "cli",
            client_mode: "cli",
            role: "operator",
            scopes: &scopes,
            signed_at: 5,
            token: "",
            nonce: &nonce,
            platform: &client.platform,
            device_family: client.device_family.as_deref().unwrap_or_default(),
        };
        let raw = parse_public_key(&device.public_key).unwrap();
        prop_assert!(payload.is_signed_by(&raw, &device.signature));
    }

    #[test]
    fn parsing_keys_never_panics(text in ".{0,200}") {
        let _ignored = parse_public_key(&text);
        let _ignored = DeviceKey::from_private_pem(&text);
    }
}
