//! `gateway run`: checks the flags and turns them into settings. The gateway itself is started by the composition root.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::RootArgs;
use crate::cli::exit::Failure;
use crate::cli::printer::Printer;
use crate::config::{Env, Flags, StartOverrides};
use crate::settings::{RunSettings, WsLogStyle};

const EXAMPLES: &str = "\
Examples:
  openclaw gateway run --port 18789
  openclaw gateway run --bind lan --auth password --password-file /run/secrets/gateway
  openclaw gateway run --dev --reset     Start over with a fresh development config and workspace.

Exit codes:
  0   stopped cleanly
  1   wrong flags, or the gateway cannot start
  75  another gateway holds the port or the state directory
  78  refused because of the configuration
  143 a second signal cut the shutdown short";

const INLINE_PASSWORD: &str =
    "Warning: other users of this machine can see --password; use --password-file or OPENCLAW_GATEWAY_PASSWORD.";

/// Flags of `gateway run`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Port of the gateway
    #[arg(long, value_name = "port")]
    pub port: Option<String>,
    /// Where to listen: loopback, lan, tailnet, auto or custom
    #[arg(long, value_name = "mode")]
    pub bind: Option<String>,
    /// Authentication: none, token, password or trusted-proxy
    #[arg(long, value_name = "mode")]
    pub auth: Option<String>,
    /// Shared token (default: OPENCLAW_GATEWAY_TOKEN)
    #[arg(long, value_name = "token")]
    pub token: Option<String>,
    /// Shared password; prefer --password-file, other users see command lines
    #[arg(long, value_name = "password")]
    pub password: Option<String>,
    /// Read the shared password from a file
    #[arg(long, value_name = "path")]
    pub password_file: Option<String>,
    /// Tailscale exposure: off, serve or funnel
    #[arg(long, value_name = "mode")]
    pub tailscale: Option<String>,
    /// Accepted for compatibility; this gateway does not control Tailscale
    #[arg(long)]
    pub tailscale_reset_on_exit: bool,
    /// Start although the config does not say gateway.mode=local
    #[arg(long)]
    pub allow_unconfigured: bool,
    /// Create a development config and workspace if they are missing
    #[arg(id = "dev_instance", long = "dev")]
    pub dev: bool,
    /// Start over (with --dev): config, credentials, sessions and workspace move to trash/ in the state directory
    #[arg(long)]
    pub reset: bool,
    /// Free the port first: end processes of this user that listen on it
    #[arg(long)]
    pub force: bool,
    /// Console level debug
    #[arg(long)]
    pub verbose: bool,
    /// Logged WebSocket requests: auto (failed and slow ones), compact (all) or full (all, with ids)
    #[arg(long, value_name = "style")]
    pub ws_log: Option<String>,
    /// Same as --ws-log compact
    #[arg(long)]
    pub compact: bool,
    /// Accepted for compatibility; this gateway has no CLI back ends
    #[arg(long, alias = "claude-cli-logs")]
    pub cli_backend_logs: bool,
    /// Write what models stream to a file, content included
    #[arg(long)]
    pub raw_stream: bool,
    /// That file; implies --raw-stream (default: logs/raw-stream.jsonl in the state directory)
    #[arg(long, value_name = "path")]
    pub raw_stream_path: Option<PathBuf>,
}

impl RunArgs {
    /// These flags, completed by those given to the parent command.
    pub fn over(self, parent: Self) -> Self {
        Self {
            port: self.port.or(parent.port),
            bind: self.bind.or(parent.bind),
            auth: self.auth.or(parent.auth),
            token: self.token.or(parent.token),
            password: self.password.or(parent.password),
            password_file: self.password_file.or(parent.password_file),
            tailscale: self.tailscale.or(parent.tailscale),
            tailscale_reset_on_exit: self.tailscale_reset_on_exit || parent.tailscale_reset_on_exit,
            allow_unconfigured: self.allow_unconfigured || parent.allow_unconfigured,
            dev: self.dev || parent.dev,
            reset: self.reset || parent.reset,
            force: self.force || parent.force,
            verbose: self.verbose || parent.verbose,
            ws_log: self.ws_log.or(parent.ws_log),
            compact: self.compact || parent.compact,
            cli_backend_logs: self.cli_backend_logs || parent.cli_backend_logs,
            raw_stream: self.raw_stream || parent.raw_stream,
            raw_stream_path: self.raw_stream_path.or(parent.raw_stream_path),
        }
    }

    /// Checks every flag and makes the settings. A password on the command line is warned about on stderr.
    ///
    /// # Errors
    /// A usage failure with upstream's wording for the first bad flag.
    pub fn settings(self, env: Env, root: &RootArgs, printer: &mut Printer) -> Result<RunSettings, Failure> {
        let overrides = StartOverrides::parse(&Flags {
            port: self.port.as_deref(),
            bind: self.bind.as_deref(),
            auth: self.auth.as_deref(),
            token: self.token.as_deref(),
            password: self.password.as_deref(),
            password_file: self.password_file.as_deref(),
            tailscale: self.tailscale.as_deref(),
            ws_log: self.ws_log.as_deref(),
            allow_unconfigured: self.allow_unconfigured,
            dev: self.dev,
            reset: self.reset,
        })
        .map_err(|error| Failure::usage(error.to_string()))?;
        if self.password.is_some() {
            printer.note(INLINE_PASSWORD);
        }
        let ws_log = self.ws_log.as_deref().and_then(WsLogStyle::parse).unwrap_or_default();
        Ok(RunSettings {
            env,
            overrides,
            tailscale_reset_on_exit: self.tailscale_reset_on_exit,
            log_level: root.log_level()?,
            dev: self.dev,
            reset: self.reset,
            force: self.force,
            verbose: self.verbose,
            ws_log: if self.compact { WsLogStyle::Compact } else { ws_log },
            cli_backend_logs: self.cli_backend_logs,
            raw_stream: self.raw_stream,
            raw_stream_path: self.raw_stream_path,
            no_color: root.no_color,
        })
    }
}
