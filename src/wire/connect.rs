//! `connect` parameters (protocols 3 and 4).
//!
//! The order of the fields is the order in which errors are reported.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `client.id` of every known program.
pub const CLIENT_IDS: [&str; 17] = [
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-ios",
    "openclaw-android",
    "node-host",
    "test",
    "fingerprint",
    "openclaw-probe",
    "openclaw-browser-copilot",
    "openclaw-linux",
    "openclaw-watchos",
    "openclaw-worker",
];

/// Every known `client.mode`.
pub const CLIENT_MODES: [&str; 8] = ["webchat", "cli", "ui", "backend", "node", "probe", "test", "worker"];

/// Parameters of `connect`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectParams {
    /// Lowest protocol the client speaks.
    #[schemars(range(min = 1))]
    pub min_protocol: u32,
    /// Highest protocol the client speaks.
    #[schemars(range(min = 1))]
    pub max_protocol: u32,
    /// Who connects.
    pub client: ClientInfo,
    /// Capabilities; only `tool-events` matters to the gateway.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub caps: Option<Vec<String>>,
    /// Commands a node offers.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub commands: Option<Vec<String>>,
    /// Node permissions.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, bool>>")]
    pub permissions: Option<serde_json::Map<String, serde_json::Value>>,
    /// Informational.
    #[serde(default)]
    pub path_env: Option<String>,
    /// `operator` (default) or `node`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub role: Option<String>,
    /// Requested scopes.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub scopes: Option<Vec<String>>,
    /// Device identity.
    #[serde(default)]
    pub device: Option<ConnectDevice>,
    /// Credentials.
    #[serde(default)]
    pub auth: Option<ConnectAuth>,
    /// Informational.
    #[serde(default)]
    pub locale: Option<String>,
    /// Informational.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// Protocol 4, ignored.
    #[serde(default)]
    pub model_catalog: Option<serde_json::Value>,
    /// Protocol 4, ignored.
    #[serde(default)]
    pub computer_use: Option<serde_json::Value>,
    /// Protocol 4, ignored.
    #[serde(default)]
    pub worker_runs: Option<serde_json::Value>,
}

/// `connect.client`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientInfo {
    /// One of the known client ids.
    #[schemars(extend("enum" = CLIENT_IDS))]
    pub id: String,
    /// Shown in presence.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub display_name: Option<String>,
    /// Client version.
    #[schemars(length(min = 1))]
    pub version: String,
    /// Operating system.
    #[schemars(length(min = 1))]
    pub platform: String,
    /// `iPhone`, `server`, ...
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub device_family: Option<String>,
    /// Hardware model.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub model_identifier: Option<String>,
    /// One of the known modes.
    #[schemars(extend("enum" = CLIENT_MODES))]
    pub mode: String,
    /// Key of presence.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub instance_id: Option<String>,
    /// Protocol 4, ignored.
    #[serde(default)]
    pub build_id: Option<String>,
    /// Protocol 4, shown in presence.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// `connect.auth`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectAuth {
    /// Shared token, or a device token.
    #[serde(default)]
    pub token: Option<String>,
    /// One-time token of a setup code.
    #[serde(default)]
    pub bootstrap_token: Option<String>,
    /// Token of a paired device.
    #[serde(default)]
    pub device_token: Option<String>,
    /// Shared password.
    #[serde(default)]
    pub password: Option<String>,
    /// Protocol 4, ignored.
    #[serde(default)]
    pub approval_runtime_token: Option<String>,
    /// Protocol 4, refused.
    #[serde(default)]
    pub agent_runtime_identity_token: Option<String>,
}

impl std::fmt::Debug for ConnectAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectAuth([redacted])")
    }
}

/// `connect.device`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectDevice {
    /// Hex SHA-256 of the raw public key.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Ed25519 key, base64url (or PEM, or padded base64).
    #[schemars(length(min = 1))]
    pub public_key: String,
    /// Base64url signature over the device payload.
    #[schemars(length(min = 1))]
    pub signature: String,
    /// Unix ms.
    #[schemars(range(min = 0))]
    pub signed_at: i64,
    /// The challenge nonce.
    #[schemars(length(min = 1))]
    pub nonce: String,
}
