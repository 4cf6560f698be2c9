//! `gateway`.

pub mod auth;
pub mod http;
pub mod operation;

use schemars::JsonSchema;
use serde::Deserialize;

pub use auth::{AuthModeName, GatewayAuth, RateLimitSection, TrustedProxySection};
pub use http::{ChatCompletions, ControlUi, HttpSection, MediaRules, Responses, Tls};
pub use operation::{Limits, Management, Readiness, Reload, ReloadMode, Shutdown};

use super::SecretInput;

/// The server itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// `local` runs a gateway here; `remote` makes this machine a client.
    pub mode: Option<GatewayMode>,
    /// Port; absent: 18789.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Which addresses to listen on; absent: loopback, in a container all.
    pub bind: Option<BindMode>,
    /// Address for `bind: "custom"`, IPv4.
    pub custom_bind_host: Option<String>,
    /// Who may connect.
    pub auth: GatewayAuth,
    /// Addresses or CIDR blocks of reverse proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<String>,
    /// Whether `X-Real-IP` is used when `X-Forwarded-For` is absent.
    pub allow_real_ip_fallback: bool,
    /// Time a new WebSocket has for `connect`, ms; absent: 15000.
    #[schemars(range(min = 1))]
    pub handshake_timeout_ms: Option<u64>,
    /// The browser interface.
    pub control_ui: ControlUi,
    /// HTTP endpoints and headers.
    pub http: HttpSection,
    /// TLS on the listener.
    pub tls: Tls,
    /// Tools callable over HTTP.
    pub tools: HttpTools,
    /// Built-in chat surface.
    pub webchat: Webchat,
    /// Minutes between channel health checks; 0: off; absent: 5.
    pub channel_health_check_minutes: Option<u32>,
    /// Silence after which a channel counts as stale, minutes; absent: 30.
    #[schemars(range(min = 1))]
    pub channel_stale_event_threshold_minutes: Option<u32>,
    /// Most automatic restarts of a channel per hour; absent: 10.
    #[schemars(range(min = 1))]
    pub channel_max_restarts_per_hour: Option<u32>,
    /// Exposure through Tailscale.
    pub tailscale: Tailscale,
    /// The gateway that clients on this machine talk to.
    pub remote: Remote,
    /// Mobile and desktop nodes.
    pub nodes: Nodes,
    /// How changes of the file are applied.
    pub reload: Reload,
    /// Second listener for probes and metrics.
    pub management: Management,
    /// Behaviour at the end of the process.
    pub shutdown: Shutdown,
    /// What readiness depends on.
    pub readiness: Readiness,
    /// Protection of the listener.
    pub limits: Limits,
}

/// What this machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayMode {
    /// Runs a gateway.
    Local,
    /// Uses a gateway elsewhere.
    Remote,
}

/// Which addresses to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BindMode {
    /// All in a container, else loopback.
    Auto,
    /// All.
    Lan,
    /// This machine only.
    Loopback,
    /// `customBindHost`.
    Custom,
    /// The Tailscale address.
    Tailnet,
}

impl BindMode {
    /// The name in config and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Lan => "lan",
            Self::Loopback => "loopback",
            Self::Custom => "custom",
            Self::Tailnet => "tailnet",
        }
    }
}

/// Tools callable over HTTP.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpTools {
    /// Added to the built-in list of refused tools.
    pub deny: Vec<String>,
    /// Taken off that list.
    pub allow: Vec<String>,
}

/// Built-in chat surface.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Webchat {
    /// Most characters of `chat.history`.
    #[schemars(range(min = 1, max = 500_000))]
    pub chat_history_max_chars: Option<u32>,
}

/// Exposure through Tailscale.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tailscale {
    /// How.
    pub mode: TailscaleMode,
    /// Whether it is taken back at the end.
    pub reset_on_exit: bool,
}

/// How the gateway is exposed through Tailscale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TailscaleMode {
    /// Not at all.
    #[default]
    Off,
    /// Inside the tailnet.
    Serve,
    /// To the internet.
    Funnel,
}

impl TailscaleMode {
    /// The name in config and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Serve => "serve",
            Self::Funnel => "funnel",
        }
    }
}

/// The gateway that clients on this machine talk to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Remote {
    /// `ws://` or `wss://` URL.
    pub url: Option<String>,
    /// Its token.
    pub token: Option<SecretInput>,
    /// Its password.
    pub password: Option<SecretInput>,
    /// SHA-256 of its certificate.
    pub tls_fingerprint: Option<String>,
}

/// Mobile and desktop nodes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Nodes {
    /// Pairing.
    pub pairing: NodePairing,
    /// Commands allowed beyond the platform's list.
    pub allow_commands: Vec<String>,
    /// Commands taken off that list.
    pub deny_commands: Vec<String>,
}

/// Pairing of nodes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePairing {
    /// CIDR blocks from which a first pairing needs no approval.
    pub auto_approve_cidrs: Vec<String>,
}
