//! What the command line asks of `gateway run`, as plain data that the composition root and the command line share.
//!
//! Holds values that were checked for form only; whether they fit the configuration is decided by who reads them.

use std::path::PathBuf;

use crate::base::Secret;
use crate::config::AuthMode;

/// Which instance of this machine is meant: decides the default state directory, config file and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Profile {
    /// No profile option was given; environment and defaults decide.
    #[default]
    Unset,
    /// `--dev`: like `--profile dev`, and port 19001 unless the environment names one.
    Dev,
    /// `--profile <name>`; `default` means no suffix.
    Named(String),
}

impl Profile {
    /// The profile's name, if one was chosen.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Unset => None,
            Self::Dev => Some("dev"),
            Self::Named(name) => Some(name),
        }
    }
}

/// `gateway.bind` as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindMode {
    /// 127.0.0.1 and ::1.
    Loopback,
    /// Every IPv4 address.
    Lan,
    /// The first address in 100.64.0.0/10.
    Tailnet,
    /// `Lan` in a container, else `Loopback`.
    Auto,
    /// `gateway.customBindHost`.
    Custom,
}

impl BindMode {
    /// Every mode, in the order of the help text.
    pub const ALL: [Self; 5] = [Self::Loopback, Self::Lan, Self::Tailnet, Self::Auto, Self::Custom];

    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lan => "lan",
            Self::Tailnet => "tailnet",
            Self::Auto => "auto",
            Self::Custom => "custom",
        }
    }

    /// The mode with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// `gateway.tailscale.mode` as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailscaleMode {
    /// Not exposed.
    Off,
    /// Inside the tailnet.
    Serve,
    /// To the internet.
    Funnel,
}

impl TailscaleMode {
    /// The mode with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "serve" => Some(Self::Serve),
            "funnel" => Some(Self::Funnel),
            _ => None,
        }
    }

    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Serve => "serve",
            Self::Funnel => "funnel",
        }
    }
}

/// How WebSocket traffic is shown on the console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WsLogStyle {
    /// Errors and slow calls only, everything when verbose.
    #[default]
    Auto,
    /// One line per frame.
    Full,
    /// One short line per call.
    Compact,
}

impl WsLogStyle {
    /// The style with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "full" => Some(Self::Full),
            "compact" => Some(Self::Compact),
            _ => None,
        }
    }
}

/// Values of this process that win over the config file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--port`; never 0.
    pub port: Option<u16>,
    /// `--bind`.
    pub bind: Option<BindMode>,
    /// `--auth`.
    pub auth: Option<AuthMode>,
    /// `--token`, trimmed, not empty.
    pub token: Option<Secret>,
    /// `--password` or the content of `--password-file`, trimmed, not empty.
    pub password: Option<Secret>,
    /// `--tailscale`.
    pub tailscale: Option<TailscaleMode>,
    /// `--tailscale-reset-on-exit`.
    pub tailscale_reset_on_exit: bool,
    /// `--log-level`: overrides file and console level; one of silent, fatal, error, warn, info, debug, trace.
    pub log_level: Option<String>,
}

/// Everything `gateway run` was asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSettings {
    /// Which instance.
    pub profile: Profile,
    /// What wins over the config file.
    pub overrides: Overrides,
    /// `--allow-unconfigured`: start without `gateway.mode=local`.
    pub allow_unconfigured: bool,
    /// `--dev` after the word `gateway`: create a development config and workspace if they are missing.
    pub dev: bool,
    /// `--reset`: wipe the development instance first. Only set together with `dev`.
    pub reset: bool,
    /// `--force`: free the port first.
    pub force: bool,
    /// `--verbose`: console level debug.
    pub verbose: bool,
    /// `--ws-log` / `--compact`.
    pub ws_log: WsLogStyle,
    /// `--cli-backend-logs`: the console shows nothing but CLI back ends.
    pub cli_backend_logs: bool,
    /// `--raw-stream`: dump raw model events.
    pub raw_stream: bool,
    /// `--raw-stream-path`; absent: the default file in the state directory.
    pub raw_stream_path: Option<PathBuf>,
    /// `--no-color`.
    pub no_color: bool,
}
