//! Why a configuration is not used: the text for stderr and the exit code.

use std::path::PathBuf;

use super::raw::SyntaxError;
use super::snapshot::Issue;

/// Exit code for "the configuration must be changed first"; service managers do not restart on it.
pub const EXIT_CONFIG: u8 = 78;

/// Why the gateway does not start, or why a changed configuration is not applied. `Display` is the text for stderr.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// There is no config file.
    #[error("Missing config. Run `openclaw setup` or set gateway.mode=local (or pass --allow-unconfigured).")]
    MissingConfig,
    /// The file does not say `gateway.mode`.
    #[error(
        "Gateway start blocked: existing config is missing gateway.mode. Treat this as suspicious or clobbered config. \
         Re-run `openclaw onboard --mode local` or `openclaw setup`, set gateway.mode=local manually, or pass \
         --allow-unconfigured."
    )]
    ModeMissing,
    /// The file makes this machine a client.
    #[error("Gateway start blocked: set gateway.mode=local (current: remote) or pass --allow-unconfigured.")]
    ModeRemote,
    /// Mode `password` without a password.
    #[error(
        "Gateway auth is set to password, but no password is configured.\n\
         Set gateway.auth.password (or OPENCLAW_GATEWAY_PASSWORD), or pass --password."
    )]
    PasswordMissing,
    /// Reachable from elsewhere and open to everybody.
    #[error("Refusing to bind gateway to {bind} without auth.{}\n{OPEN_REMEDY}", if *.container { OPEN_CONTAINER } else { "" })]
    OpenBind {
        /// Bind mode in force.
        bind: &'static str,
        /// Whether a container explains the bind mode.
        container: bool,
    },
    /// The file could not be read at all.
    #[error("Gateway start blocked: cannot read config {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is no JSON5.
    #[error("Gateway start blocked: cannot parse config {path}: {error}\nFix the file there, then retry.")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: SyntaxError,
    },
    /// The file says things that are not understood.
    #[error("Gateway failed to start: Error: Invalid config at {path}.\n{}\nRun \"openclaw doctor --fix\" to repair, then retry.", lines(.issues))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong.
        issues: Vec<Issue>,
    },
    /// The settings contradict each other or cannot be carried out here.
    #[error("Gateway failed to start: Error: {0}")]
    Refused(#[from] Refusal),
    /// A wrong command line.
    #[error("{0}")]
    Flag(String),
    /// Mode `token` without a token: read or create the generated one and load again with it.
    #[error("no gateway token is configured and none was generated yet")]
    NeedsGeneratedToken,
}

const OPEN_CONTAINER: &str = "\nContainer environment detected \u{2014} the gateway defaults to bind=auto (0.0.0.0) for port-forwarding compatibility.";
const OPEN_REMEDY: &str =
    "Set OPENCLAW_GATEWAY_TOKEN or OPENCLAW_GATEWAY_PASSWORD, or pass --token/--password to start with auth.";

/// Settings that contradict each other or cannot be carried out here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A credential of the gateway itself does not resolve.
    #[error("Startup failed: required secrets are unavailable. SecretRefResolutionError: {0}")]
    SecretUnavailable(String),
    /// Two ways in at once.
    #[error(
        "gateway auth mode is trusted-proxy, but a shared token is also configured; remove gateway.auth.token / \
         OPENCLAW_GATEWAY_TOKEN because trusted-proxy and token auth are mutually exclusive"
    )]
    ProxyAndToken,
    /// No proxy to trust.
    #[error(
        "gateway auth mode=trusted-proxy requires gateway.trustedProxies to be configured with at least one proxy IP"
    )]
    NoProxies,
    /// No rules for the proxy.
    #[error(
        "gateway auth mode is trusted-proxy, but no trustedProxy config was provided (set gateway.auth.trustedProxy)"
    )]
    NoProxyRules,
    /// No header with the user.
    #[error(
        "gateway auth mode is trusted-proxy, but trustedProxy.userHeader is empty (set gateway.auth.trustedProxy.userHeader)"
    )]
    NoUserHeader,
    /// Token and password, and nothing says which.
    #[error(
        "Invalid config: gateway.auth.token and gateway.auth.password are both configured, but gateway.auth.mode is \
         unset. Set gateway.auth.mode to token or password."
    )]
    AmbiguousMode,
    /// A token that everybody can read in the documentation.
    #[error(
        "Invalid config: gateway auth {what} is set to a published example placeholder from docs or .env.example. \
         Generate a real secret (e.g. `openssl rand -hex 32`) and set {variable} or {key} before starting the gateway."
    )]
    Placeholder {
        /// `token` or `password`.
        what: &'static str,
        /// Environment variable.
        variable: &'static str,
        /// Config key.
        key: &'static str,
    },
    /// One secret for two purposes.
    #[error(
        "Invalid config: hooks.token must not match gateway auth token. Set a distinct hooks.token for hook ingress."
    )]
    HooksToken,
    /// Hooks without a credential.
    #[error("hooks.enabled requires hooks.token")]
    HooksWithoutToken,
    /// Open to the internet.
    #[error(
        "tailscale funnel requires gateway auth mode=password (set gateway.auth.password or OPENCLAW_GATEWAY_PASSWORD)"
    )]
    FunnelWithoutPassword,
    /// Tailscale forwards to this machine only.
    #[error("tailscale serve/funnel requires gateway bind=loopback (127.0.0.1)")]
    TailscaleBind,
    /// No address to bind.
    #[error("gateway.bind=custom requires gateway.customBindHost")]
    CustomHostMissing,
    /// Not an address.
    #[error("gateway.bind=custom requires a valid IPv4 customBindHost (got {0})")]
    CustomHostInvalid(String),
    /// Not an address of this host.
    #[error("gateway bind=custom requested {0} but resolved 0.0.0.0; refusing fallback")]
    CustomHostForeign(String),
    /// This host has no loopback address.
    #[error("gateway bind=loopback resolved to non-loopback host 0.0.0.0; refusing fallback to a network bind")]
    NoLoopback,
    /// TLS without a certificate.
    #[error("gateway tls: cert/key missing")]
    TlsMissing,
    /// The management listener cannot be what is configured.
    #[error("gateway.management.bind must be an IP address (got {0})")]
    ManagementBind(String),
}

impl StartError {
    /// Exit code of the process.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::MissingConfig
            | Self::ModeMissing
            | Self::ModeRemote
            | Self::PasswordMissing
            | Self::OpenBind { .. }
            | Self::Unreadable { .. }
            | Self::Syntax { .. } => EXIT_CONFIG,
            Self::Invalid { .. } | Self::Refused(_) | Self::Flag(_) | Self::NeedsGeneratedToken => 1,
        }
    }

    /// The same as a list of findings, for `config.get` and status.
    pub fn issues(&self) -> Vec<Issue> {
        match self {
            Self::Invalid { issues, .. } => issues.clone(),
            Self::Syntax { error, .. } => vec![Issue::error("", format!("JSON5 parse failed: SyntaxError: {error}"))],
            Self::Refused(refusal) => vec![Issue::error("", refusal.to_string())],
            other => vec![Issue::error("", other.to_string())],
        }
    }

    /// One line for the log: all findings, root path empty, as upstream prints them.
    pub fn one_line(&self) -> String {
        let parts: Vec<String> = match self {
            Self::Invalid { issues, .. } => issues
                .iter()
                .map(|issue| format!("{}: {}", issue.path, issue.message))
                .collect(),
            Self::MissingConfig => vec!["config file not found".to_owned()],
            other => other
                .issues()
                .into_iter()
                .map(|issue| issue.message.replace('\n', " "))
                .collect(),
        };
        parts.join(", ")
    }

    /// Whether the file may just be in the middle of being written.
    pub const fn may_be_partial(&self) -> bool {
        matches!(
            self,
            Self::MissingConfig | Self::Syntax { .. } | Self::Unreadable { .. }
        )
    }
}

fn lines(issues: &[Issue]) -> String {
    let shown: Vec<String> = issues
        .iter()
        .map(|issue| {
            let path = if issue.path.is_empty() { "<root>" } else { &issue.path };
            format!("{path}: {}", issue.message)
        })
        .collect();
    shown.join("\n")
}
