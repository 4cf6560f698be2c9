//! What may be typed: root options and commands. Each command's own options are in its file under [`super::command`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::command::channels::ChannelsArgs;
use super::command::completion::CompletionArgs;
use super::command::config::ConfigArgs;
use super::command::gateway::GatewayArgs;
use super::command::health::HealthArgs;
use super::command::logs::LogsArgs;
use super::command::status::StatusArgs;
use super::exit::Failure;
use crate::config::Env;
use crate::config::paths::apply_profile;

/// Levels that `--log-level` takes.
const LOG_LEVELS: [&str; 7] = ["silent", "fatal", "error", "warn", "info", "debug", "trace"];

const EXAMPLES: &str = "\
Examples:
  openclaw gateway --port 18789          Run the gateway in the foreground.
  openclaw --dev gateway                 Run a development gateway on port 19001 with its own state.
  openclaw gateway status                Is it up, and does it accept our credentials?
  openclaw status --deep                 Overview with live channel probes.
  openclaw logs --follow                 Watch the log, across restarts.
  openclaw gateway call health --json    Call any method of the control plane.

Exit codes:
  0   done
  1   failed: wrong usage, gateway down or refusing, invalid config, not found
  75  gateway run: another gateway holds the port or the state directory
  78  gateway run: refused because of the configuration
  143 gateway run: a second signal cut the shutdown short

Docs: https://docs.openclaw.ai/cli";

/// Run and operate the OpenClaw gateway
#[derive(Debug, Parser)]
#[command(name = "openclaw", display_name = "OpenClaw", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Options before or after the command.
    #[command(flatten)]
    pub root: RootArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct RootArgs {
    /// Development profile: state in ~/.openclaw-dev, gateway port 19001
    #[arg(long)]
    pub dev: bool,
    /// Named profile: state and config in ~/.openclaw-NAME
    #[arg(long, global = true, value_name = "name")]
    pub profile: Option<String>,
    /// Log level of file and console (silent|fatal|error|warn|info|debug|trace)
    #[arg(long, global = true, value_name = "level")]
    pub log_level: Option<String>,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
}

impl RootArgs {
    /// The environment with the chosen profile applied.
    ///
    /// # Errors
    /// A usage failure for a bad name or a contradiction.
    pub fn apply_profile(&self, mut env: Env) -> Result<Env, Failure> {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        apply_profile(&mut env, self.profile.as_deref(), self.dev, &cwd)
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(env)
    }

    /// The log level that was asked for.
    ///
    /// # Errors
    /// A usage failure for an unknown level.
    pub fn log_level(&self) -> Result<Option<String>, Failure> {
        match &self.log_level {
            Some(level) if !LOG_LEVELS.contains(&level.as_str()) => Err(Failure::usage(format!(
                "Invalid --log-level (use {})",
                LOG_LEVELS.join("|")
            ))),
            level => Ok(level.clone()),
        }
    }
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run, inspect and query the gateway
    Gateway(Box<GatewayArgs>),
    /// Overview: gateway, channels, sessions
    Status(StatusArgs),
    /// Health as the running gateway reports it
    Health(HealthArgs),
    /// Show or follow the gateway's log
    Logs(LogsArgs),
    /// Chat channels
    Channels(ChannelsArgs),
    /// Read and check the config file
    Config(ConfigArgs),
    /// Print a shell completion script
    Completion(CompletionArgs),
    /// Anything else: named in a clear error.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl Command {
    /// Whether failures are wanted as a document.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Gateway(args) => args.wants_json(),
            Self::Status(args) => args.json,
            Self::Health(args) => args.json,
            Self::Logs(args) => args.json,
            Self::Channels(args) => args.wants_json(),
            Self::Config(args) => args.wants_json(),
            Self::Completion(_) => false,
            Self::Other(words) => words.iter().any(|word| word == "--json"),
        }
    }
}

/// Moves `--dev` before the command, because it may stand anywhere. After the word `gateway` it means something else
/// and stays.
pub fn lift_dev(argv: Vec<OsString>) -> Vec<OsString> {
    let end = argv.iter().position(|word| word == "--").unwrap_or(argv.len());
    let before_gateway = argv.iter().position(|word| word == "gateway").unwrap_or(end).min(end);
    let is_root_dev = |(at, word): (usize, &OsString)| at < before_gateway && word == "--dev";
    let mut seen = false;
    let mut lifted: Vec<OsString> = Vec::with_capacity(argv.len());
    for (at, word) in argv.iter().enumerate() {
        if is_root_dev((at, word)) {
            if !seen {
                seen = true;
                lifted.insert(usize::from(!lifted.is_empty()), word.clone());
            }
        } else {
            lifted.push(word.clone());
        }
    }
    lifted
}
