//! The immutable result of loading configuration, and the handle that swaps it.

mod handle;
mod providers;

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

pub use self::handle::SnapshotHandle;
pub use self::providers::{AccountSettings, ModelEntry, ModelOverride, ProviderSettings, RestPolicy};

use super::bind::Listen;
use super::env::Env;
use super::paths::Paths;
use super::secrets::SecretTable;
use super::types::{Config, SecretInput};
use crate::base::{AgentId, Secret};

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted; something will not work or is not used.
    Warning,
}

/// A finding about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Dotted key path; empty for the root.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// Error or warning.
    pub severity: Severity,
}

impl Issue {
    /// Something that makes the file unusable.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            severity: Severity::Error,
        }
    }

    /// Something that the operator should know.
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            severity: Severity::Warning,
        }
    }
}

/// A file that the configuration depends on, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedFile {
    /// Where it is looked for.
    pub path: PathBuf,
    /// SHA-256 of its bytes; `None` if it could not be read.
    pub digest: Option<[u8; 32]>,
}

/// `gateway.auth.mode` after resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMode {
    /// Everybody is accepted.
    None,
    /// A shared token.
    Token,
    /// A shared password.
    Password,
    /// A proxy names the user.
    TrustedProxy,
}

impl AuthMode {
    /// The name in config and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Token => "token",
            Self::Password => "password",
            Self::TrustedProxy => "trusted-proxy",
        }
    }
}

/// `gateway.auth.trustedProxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy {
    /// Lower-case header name that carries the user.
    pub user_header: String,
    /// Lower-case names of headers that must be present and not blank.
    pub required_headers: Vec<String>,
    /// Allowed users, exact match; empty: any.
    pub allow_users: Vec<String>,
    /// Whether a loopback peer may be the proxy.
    pub allow_loopback: bool,
}

/// `gateway.auth.rateLimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Failures within `window` that lock the caller out.
    pub max_attempts: u32,
    /// Window of counting.
    pub window: Duration,
    /// How long the lock lasts.
    pub lockout: Duration,
    /// Whether loopback callers are never counted.
    pub exempt_loopback: bool,
}

/// Authentication settings with their secrets resolved.
#[derive(Debug, Clone)]
pub struct ResolvedAuth {
    /// The mode in force.
    pub mode: AuthMode,
    /// The shared token.
    pub token: Option<Secret>,
    /// The shared password.
    pub password: Option<Secret>,
    /// Trusted-proxy rules, present in that mode.
    pub trusted_proxy: Option<TrustedProxy>,
    /// `gateway.trustedProxies`.
    pub trusted_proxies: Vec<IpNet>,
    /// `gateway.allowRealIpFallback`.
    pub allow_real_ip_fallback: bool,
    /// `gateway.auth.rateLimit`, if configured.
    pub rate_limit: Option<RateLimit>,
    /// `gateway.nodes.pairing.autoApproveCidrs`: from where a node's first pairing needs no person.
    pub node_auto_approve: Vec<IpNet>,
    /// `gateway.controlUi.allowedOrigins`, lower case, seeds included.
    pub allowed_origins: Vec<String>,
    /// `gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback`.
    pub host_header_origin_fallback: bool,
    /// `gateway.controlUi.allowInsecureAuth`.
    pub control_ui_insecure_auth: bool,
    /// `gateway.controlUi.dangerouslyDisableDeviceAuth`.
    pub control_ui_device_auth_disabled: bool,
    /// Changes whenever mode, secret, trusted proxies or their rules change; connections that rest on these settings in
    /// another generation are closed with 4001.
    pub shared_generation: String,
}

/// `agents.*.model`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSelection {
    /// `provider/model`.
    pub primary: Option<String>,
    /// Tried in order when the primary fails.
    pub fallbacks: Vec<String>,
}

/// One agent, defaults merged in.
#[derive(Debug, Clone)]
pub struct AgentProfile {
    /// Its id.
    pub id: AgentId,
    /// Whether it answers when none is named. Exactly one agent has this.
    pub is_default: bool,
    /// `agents.list[].name`.
    pub name: Option<String>,
    /// `identity.name`.
    pub identity_name: Option<String>,
    /// `identity.emoji`.
    pub identity_emoji: Option<String>,
    /// `identity.avatar`.
    pub identity_avatar: Option<String>,
    /// `identity.theme`.
    pub identity_theme: Option<String>,
    /// Model choice; empty primary means: pick what is available.
    pub model: ModelSelection,
    /// Replaces the system prompt.
    pub system_prompt: Option<String>,
    /// Workspace folder.
    pub workspace: PathBuf,
    /// Longest run.
    pub run_timeout: Option<Duration>,
    /// `thinkingDefault`.
    pub thinking: Option<String>,
    /// Most history messages sent to the model.
    pub context_messages: usize,
    /// Models that callers may choose (`agents.defaults.models` keys); empty: any configured model.
    pub allowed_models: Vec<String>,
    /// Most money for model calls per day (UTC), USD.
    pub max_usd_per_day: Option<f64>,
}

/// Everything that configuration says, at one moment. `Debug` shows which one it is and no content.
pub struct Snapshot {
    /// Counts up with every applied change, from 1.
    pub generation: u64,
    /// Lower-case hex SHA-256 of the root file's bytes.
    pub hash: String,
    /// Lower-case hex SHA-256 of the tree after includes and `${ENV}`: changes with included files too.
    pub tree_hash: String,
    /// When it was loaded, ms.
    pub loaded_at_ms: i64,
    /// The config file.
    pub path: PathBuf,
    /// Whether the file exists.
    pub exists: bool,
    /// The file's text.
    pub raw: String,
    /// The root file, `$include` still present.
    pub parsed: Value,
    /// After includes and `${ENV}`, before defaults. The base of diffs.
    pub source: Value,
    /// With defaults, as `config.get` shows it.
    pub runtime: Value,
    /// Typed sections.
    pub config: Config,
    /// Warnings of this file.
    pub warnings: Vec<Issue>,
    /// All locations.
    pub paths: Paths,
    /// The state directory.
    pub state_dir: PathBuf,
    /// Files that this snapshot depends on, missing ones included.
    pub watched_files: Vec<WatchedFile>,
    /// The environment that was in force, env files and `env` section included.
    pub env: Env,
    /// Where to listen.
    pub listen: Listen,
    /// Resolved secret references.
    pub secrets: SecretTable,
    /// Authentication.
    pub auth: ResolvedAuth,
    /// Model providers.
    pub providers: Vec<ProviderSettings>,
    /// Agents; never empty.
    pub agents: Vec<AgentProfile>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation)
            .field("path", &self.path)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The credential at a dotted path of the configuration (`channels.telegram.botToken`): plain text or a reference,
    /// resolved. `Ok(None)` if nothing is there; the error is public and names no secret.
    pub fn secret(&self, path: &str) -> Result<Option<Secret>, String> {
        let value = path.split('.').try_fold(&self.source, |node, key| node.get(key));
        match value.map(|value| serde_json::from_value::<SecretInput>(value.clone())) {
            None => Ok(None),
            Some(Ok(input)) => self.secrets.get(&input),
            Some(Err(_)) => Err(format!("{path} is neither text nor a secret reference.")),
        }
    }

    /// The agent with this id.
    pub fn agent(&self, id: &str) -> Option<&AgentProfile> {
        self.agents.iter().find(|agent| agent.id.as_str() == id)
    }

    /// The agent that answers when none is named.
    pub fn default_agent(&self) -> &AgentId {
        const FALLBACK: &str = "snapshot without agents";
        self.agents
            .iter()
            .find(|agent| agent.is_default)
            .or_else(|| self.agents.first())
            .map_or_else(|| unreachable_agent(FALLBACK), |agent| &agent.id)
    }
}

#[expect(clippy::panic, reason = "loading guarantees at least one agent")]
fn unreachable_agent(message: &str) -> &'static AgentId {
    panic!("{message}")
}
