//! `health`: what the running gateway says about itself.

use clap::Args;
use serde_json::{Value, json};

use super::{Context, call, health_lines};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, TargetArgs, timeout_of};

/// Health as the running gateway reports it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw health
  openclaw health --verbose          Probe the channel accounts now.

Exit codes:
  0  the gateway answered and calls itself healthy
  1  it does not, or it is down or refuses us")]
pub struct HealthArgs {
    /// Print the payload of the method
    #[arg(long)]
    pub json: bool,
    /// Show the connection and probe channel accounts now
    #[arg(long, alias = "debug")]
    pub verbose: bool,
    /// Time for the whole call
    #[arg(long, value_name = "ms", default_value_t = 10_000)]
    pub timeout: u64,
}

/// Asks for health and prints it.
pub async fn run(args: &HealthArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&TargetArgs::default(), &context.local)?;
    context.warn_if_invalid();
    let params = if args.verbose {
        json!({ "probe": true })
    } else {
        json!({})
    };
    let payload = call(&target, "health", &Call::new("health", params), timeout)
        .await
        .map_err(|error| target.explain(&error))?;
    let healthy = payload.get("ok").and_then(Value::as_bool).unwrap_or(true);
    if args.json {
        context.printer.json(&payload);
        return Ok(Exit::ok_if(healthy));
    }
    if args.verbose {
        context.printer.heading("Gateway connection:");
        for line in target.details().lines() {
            context.printer.line(format_args!("  {line}"));
        }
    }
    for line in health_lines::all(&payload) {
        context.printer.line(line);
    }
    Ok(Exit::ok_if(healthy))
}
