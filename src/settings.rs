//! What the command line asks of `gateway run`, as plain data that the composition root and the command line share.
//!
//! Holds values that were checked for form only; whether they fit the configuration is decided by who loads it.

use std::path::PathBuf;

use crate::config::{Env, StartOverrides};

/// How WebSocket traffic is shown on the console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WsLogStyle {
    /// Failed and slow requests only, one short line for each when verbose.
    #[default]
    Auto,
    /// A line for each request and one for its answer.
    Full,
    /// One short line per request.
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
    /// `--reset`: start the development instance over; what was there is moved aside. Only set together with `dev`.
    pub reset: bool,
    /// `--force`: free the port first.
    pub force: bool,
    /// `--verbose`: console level debug.
    pub verbose: bool,
    /// `--ws-log` / `--compact`.
    pub ws_log: WsLogStyle,
    /// `--cli-backend-logs`.
    pub cli_backend_logs: bool,
    /// `--raw-stream`: dump raw model events.
    pub raw_stream: bool,
    /// `--raw-stream-path`; absent: the default file in the state directory.
    pub raw_stream_path: Option<PathBuf>,
    /// `--no-color`.
    pub no_color: bool,
}

impl RunSettings {
    /// Flags that were given and change nothing, with the reason.
    pub fn without_effect(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            (
                self.tailscale_reset_on_exit,
                "--tailscale-reset-on-exit",
                "this gateway does not control Tailscale, so there is nothing to undo; use `tailscale serve reset`",
            ),
            (
                self.cli_backend_logs,
                "--cli-backend-logs",
                "this gateway has no CLI back ends; the whole log is shown",
            ),
        ]
        .into_iter()
        .filter_map(|(given, flag, reason)| given.then_some((flag, reason)))
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
            cli_backend_logs: true,
            ..RunSettings::default()
        };
        let named: Vec<&str> = asked.without_effect().map(|(flag, _)| flag).collect();
        assert_eq!(named, ["--cli-backend-logs"]);
    }
}
