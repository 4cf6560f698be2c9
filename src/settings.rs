//! What the command line asks of `gateway run`, as plain data that the composition root and the command line share.
//!
//! Holds values that were checked for form only; whether they fit the configuration is decided by who loads it.

use std::path::PathBuf;

use crate::config::{Env, StartOverrides};

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

/// Everything `gateway run` was asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSettings {
    /// The process environment with `--profile` or `--dev` applied, ready for `Paths::resolve`. Env files are not in it.
    pub env: Env,
    /// What wins over the config file, `--allow-unconfigured` included.
    pub overrides: StartOverrides,
    /// `--tailscale-reset-on-exit`.
    pub tailscale_reset_on_exit: bool,
    /// `--log-level`: overrides file and console level; one of silent, fatal, error, warn, info, debug, trace.
    pub log_level: Option<String>,
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

impl RunSettings {
    /// Flags that were given and change nothing yet, for one warning each.
    pub fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.tailscale_reset_on_exit, "--tailscale-reset-on-exit"),
            (self.reset, "--reset"),
            (self.force, "--force"),
            (self.ws_log != WsLogStyle::Auto, "--ws-log"),
            (self.cli_backend_logs, "--cli-backend-logs"),
            (self.raw_stream, "--raw-stream"),
            (self.raw_stream_path.is_some(), "--raw-stream-path"),
        ]
        .into_iter()
        .filter_map(|(given, flag)| given.then_some(flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_without_effect_are_named_only_when_given() {
        assert_eq!(RunSettings::default().without_effect().count(), 0);
        let asked = RunSettings {
            force: true,
            ws_log: WsLogStyle::Full,
            ..RunSettings::default()
        };
        let named: Vec<&str> = asked.without_effect().collect();
        assert_eq!(named, ["--force", "--ws-log"]);
    }
}
