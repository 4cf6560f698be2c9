//! `config`: the local config file, without a gateway.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::config_get::GetArgs;
use super::config_validate::ValidateArgs;
use super::{Context, config_file, config_get, config_validate, unavailable};
use crate::cli::exit::{Exit, Failure};

const EXAMPLES: &str = "\
Examples:
  openclaw config file
  openclaw config get gateway.port
  openclaw config validate --json

Secrets are shown as __OPENCLAW_REDACTED__.

Exit codes:
  0  valid / found
  1  invalid config, or no such key";

/// Read and check the config file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// Subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the path of the active config file
    File,
    /// Print a value by its dotted path
    Get(GetArgs),
    /// Check the file without starting the gateway
    Validate(ValidateArgs),
    /// Anything else: named in a clear error.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl ConfigArgs {
    /// Whether failures are wanted as a document.
    pub fn wants_json(&self) -> bool {
        match &self.command {
            ConfigCommand::Get(args) => args.json,
            ConfigCommand::Validate(args) => args.json,
            ConfigCommand::File => false,
            ConfigCommand::Other(words) => words.iter().any(|word| word == "--json"),
        }
    }
}

/// Executes the subcommand.
pub fn run(args: &ConfigArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        ConfigCommand::File => Ok(config_file::run(context)),
        ConfigCommand::Get(args) => config_get::run(args, context),
        ConfigCommand::Validate(args) => Ok(config_validate::run(args, context)),
        ConfigCommand::Other(words) => Err(unavailable::failure("openclaw config", words)),
    }
}
