//! `config get <path>`: a value of the config file, secrets hidden.

use clap::Args;
use serde_json::Value;

use super::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::lookup;

/// Print a value of the config file by its dotted path
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw config get gateway
  openclaw config get agents.list.0.id

Exit codes:
  0  found
  1  no such key, or invalid config")]
pub struct GetArgs {
    /// Dotted path; numbers index lists
    #[arg(value_name = "path")]
    pub path: String,
    /// Print JSON also for plain values
    #[arg(long)]
    pub json: bool,
}

/// Prints the value.
pub fn run(args: &GetArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    context.local.require_valid()?;
    let shown = context.local.redacted();
    let value = lookup(&shown, &args.path)
        .ok_or_else(|| Failure::new("NOT_FOUND", format!("Config path not found: {}", args.path)))?;
    match value {
        Value::String(text) if !args.json => context.printer.value(text),
        other => context.printer.json(other),
    }
    Ok(Exit::OK)
}
