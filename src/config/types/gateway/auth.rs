//! `gateway.auth`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::SecretInput;
use crate::config::snapshot::AuthMode;

/// Who may connect.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayAuth {
    /// Kind of credential; absent: password if there is one, else token.
    pub mode: Option<AuthModeName>,
    /// Shared token; absent in mode `token`: one is generated and kept in the state folder.
    pub token: Option<SecretInput>,
    /// Shared password.
    pub password: Option<SecretInput>,
    /// Whether Tailscale identity headers are believed.
    pub allow_tailscale: Option<bool>,
    /// Lock-out after failures; absent: off.
    pub rate_limit: Option<RateLimitSection>,
    /// Identity from a reverse proxy.
    pub trusted_proxy: Option<TrustedProxySection>,
}

/// Kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthModeName {
    /// None: everybody is accepted.
    None,
    /// A shared token.
    Token,
    /// A shared password.
    Password,
    /// A reverse proxy names the user.
    TrustedProxy,
}

impl From<AuthModeName> for AuthMode {
    fn from(name: AuthModeName) -> Self {
        match name {
            AuthModeName::None => Self::None,
            AuthModeName::Token => Self::Token,
            AuthModeName::Password => Self::Password,
            AuthModeName::TrustedProxy => Self::TrustedProxy,
        }
    }
}

/// Lock-out after failures.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimitSection {
    /// Failures that lock a caller out; absent: 10.
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// Time in which they count, ms; absent: 60000.
    #[schemars(range(min = 1))]
    pub window_ms: Option<u64>,
    /// How long the lock lasts, ms; absent: 300000.
    #[schemars(range(min = 1))]
    pub lockout_ms: Option<u64>,
    /// Whether this machine is never locked out; absent: yes.
    pub exempt_loopback: Option<bool>,
}

/// Identity from a reverse proxy.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustedProxySection {
    /// Header with the user.
    pub user_header: String,
    /// Headers that must be there.
    pub required_headers: Vec<String>,
    /// Users that are let in; empty: all.
    pub allow_users: Vec<String>,
    /// Whether the proxy may be on this machine.
    pub allow_loopback: bool,
}
