//! `connect` parameters (protocols 3 and 4).

use serde::{Deserialize, Serialize};

/// Parameters of `connect`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectParams {
    /// Lowest protocol the client speaks.
    pub min_protocol: u32,
    /// Highest protocol the client speaks.
    pub max_protocol: u32,
    /// Who connects.
    pub client: ClientInfo,
    /// `operator` (default) or `node`.
    #[serde(default)]
    pub role: Option<String>,
    /// Requested scopes.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Capabilities; only `tool-events` matters to the gateway.
    #[serde(default)]
    pub caps: Option<Vec<String>>,
    /// Commands a node offers.
    #[serde(default)]
    pub commands: Option<Vec<String>>,
    /// Node permissions.
    #[serde(default)]
    pub permissions: Option<serde_json::Map<String, serde_json::Value>>,
    /// Informational.
    #[serde(default)]
    pub path_env: Option<String>,
    /// Informational.
    #[serde(default)]
    pub locale: Option<String>,
    /// Informational.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// Credentials.
    #[serde(default)]
    pub auth: Option<ConnectAuth>,
    /// Device identity.
    #[serde(default)]
    pub device: Option<ConnectDevice>,
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
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientInfo {
    /// One of the known client ids.
    pub id: String,
    /// Client version.
    pub version: String,
    /// Operating system.
    pub platform: String,
    /// One of the known modes.
    pub mode: String,
    /// Shown in presence.
    #[serde(default)]
    pub display_name: Option<String>,
    /// `iPhone`, `server`, ...
    #[serde(default)]
    pub device_family: Option<String>,
    /// Hardware model.
    #[serde(default)]
    pub model_identifier: Option<String>,
    /// Key of presence.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// Protocol 4, ignored.
    #[serde(default)]
    pub build_id: Option<String>,
    /// Protocol 4, shown in presence.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// `connect.auth`.
#[derive(Clone, Default, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectDevice {
    /// Hex SHA-256 of the raw public key.
    pub id: String,
    /// Ed25519 key, base64url (or PEM, or padded base64).
    pub public_key: String,
    /// Base64url signature over the device payload.
    pub signature: String,
    /// Unix ms.
    pub signed_at: i64,
    /// The challenge nonce.
    pub nonce: String,
}
