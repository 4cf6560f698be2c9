//! `connect`: who the command line says it is, and what it sends to prove it.

use serde_json::{Map, Value, json};

use super::Endpoint;
use super::error::CallError;
use crate::base::{Clock, Secret, SystemClock};
use crate::wire::device::{DeviceKey, DevicePayload};

/// Oldest and newest protocol spoken.
const PROTOCOLS: (u32, u32) = (3, 4);
const ROLE: &str = "operator";

/// The client that a command presents itself as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `client.id`.
    pub id: &'static str,
    /// `client.mode`.
    pub mode: &'static str,
    /// `client.displayName`.
    pub display_name: Option<String>,
    /// Requested scopes.
    pub scopes: Vec<&'static str>,
    /// Whether the device key signs the connection.
    pub device: bool,
}

impl Caller {
    /// A connection probe, as `gateway status` makes it. It proves that the gateway answers and accepts the secret.
    ///
    /// Without a shared secret only a device can connect, so then the device key is used.
    pub fn probe(endpoint: &Endpoint) -> Self {
        Self {
            id: "cli",
            mode: "probe",
            display_name: None,
            scopes: vec!["operator.read"],
            device: !endpoint.has_secret(),
        }
    }

    /// The caller of one method from one command.
    ///
    /// On loopback with a shared secret the connection counts as a local back end: it keeps the scopes it asks for and
    /// needs no pairing, so a command with a larger scope is never held up by what an earlier one was granted.
    /// Everywhere else the device key signs, and the gateway may ask for pairing.
    pub fn for_command(endpoint: &Endpoint, command: &str, scope: &'static str) -> Self {
        let backend = endpoint.has_secret() && endpoint.is_loopback();
        if backend {
            Self {
                id: "gateway-client",
                mode: "backend",
                display_name: Some(format!("gateway:{command}")),
                scopes: vec![scope],
                device: false,
            }
        } else {
            Self {
                id: "cli",
                mode: "cli",
                display_name: None,
                scopes: vec![scope],
                device: true,
            }
        }
    }
}

/// What one attempt to connect sends.
pub struct Attempt {
    identity: Option<DeviceKey>,
    stored_token: Option<Secret>,
    /// Whether the stored device token goes along with the shared secret.
    pub with_device_token: bool,
}

impl Attempt {
    /// Loads the device key if this caller uses one.
    ///
    /// # Errors
    /// `Local` when the key cannot be loaded or made.
    pub fn prepare(endpoint: &Endpoint, caller: &Caller) -> Result<Self, CallError> {
        let folder = endpoint.identity.as_ref().filter(|_| caller.device);
        let identity = folder.map(|folder| folder.load_or_create()).transpose()?;
        let stored_token = folder
            .zip(identity.as_ref())
            .and_then(|(folder, identity)| folder.token(identity.id(), ROLE));
        Ok(Self {
            with_device_token: !endpoint.has_secret(),
            identity,
            stored_token,
        })
    }

    /// Whether a second attempt with the stored device token makes sense.
    pub fn can_add_device_token(&self) -> bool {
        self.stored_token.is_some() && !self.with_device_token
    }

    /// Params of `connect`.
    pub fn params(&self, endpoint: &Endpoint, caller: &Caller, nonce: &str) -> Value {
        let platform = platform();
        let device_token = self.stored_token.as_ref().filter(|_| self.with_device_token);
        let mut auth = Map::new();
        for (name, secret) in [
            ("token", endpoint.token.as_ref()),
            ("password", endpoint.password.as_ref()),
            ("deviceToken", device_token),
        ] {
            if let Some(secret) = secret {
                auth.insert(name.to_owned(), Value::from(secret.expose()));
            }
        }
        let mut params = json!({
            "minProtocol": PROTOCOLS.0,
            "maxProtocol": PROTOCOLS.1,
            "client": {
                "id": caller.id,
                "version": env!("CARGO_PKG_VERSION"),
                "platform": platform,
                "mode": caller.mode,
            },
            "role": ROLE,
            "scopes": caller.scopes,
            "caps": [],
        });
        if let Some(name) = &caller.display_name {
            set(&mut params, "/client", "displayName", Value::from(name.as_str()));
        }
        if !auth.is_empty() {
            set(&mut params, "", "auth", Value::Object(auth));
        }
        if let Some(identity) = &self.identity {
            let token = endpoint.token.as_ref().or(device_token);
            let scopes: Vec<String> = caller.scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let block = identity.block(&DevicePayload {
                device_id: identity.id(),
                client_id: caller.id,
                client_mode: caller.mode,
                role: ROLE,
                scopes: &scopes,
                signed_at: SystemClock.now_ms(),
                token: token.map_or("", Secret::expose),
                nonce,
                platform,
                device_family: "",
            });
            set(&mut params, "", "device", json!(block));
        }
        params
    }

    /// Keeps the device token of a successful `connect`. A folder that cannot be written costs a pairing later, not this call.
    pub fn keep_token(&self, endpoint: &Endpoint, hello: &Value) {
        let (Some(folder), Some(identity)) = (&endpoint.identity, &self.identity) else {
            return;
        };
        let Some(token) = hello.pointer("/auth/deviceToken").and_then(Value::as_str) else {
            return;
        };
        let scopes = hello.pointer("/auth/scopes").cloned().unwrap_or_else(|| json!([]));
        drop(folder.remember(identity.id(), ROLE, token, &scopes));
    }
}

fn set(document: &mut Value, pointer: &str, name: &str, value: Value) {
    if let Some(Value::Object(object)) = document.pointer_mut(pointer) {
        object.insert(name.to_owned(), value);
    }
}

/// The platform in the names that JavaScript clients use.
pub fn platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}
