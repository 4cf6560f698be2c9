//! `gateway health`: one verdict, and one line per channel.

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Context, call, health_lines};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, TargetArgs, timeout_of};

/// One line: healthy or not
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  the gateway answered and calls itself healthy
  1  it does not, or it is down or refuses us")]
pub struct GatewayHealthArgs {
    /// Print the payload of the method
    #[arg(long)]
    pub json: bool,
    /// Accepted for compatibility; health answers once
    #[arg(long, hide = true)]
    pub expect_final: bool,
    /// Time for the whole call
    #[arg(long, value_name = "ms", default_value_t = 10_000)]
    pub timeout: u64,
    /// Which gateway.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Asks for health.
pub async fn run(args: &GatewayHealthArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&args.target, &context.local)?;
    context.warn_if_invalid();
    let started = Instant::now();
    let payload = call(&target, "health", &Call::new("health", json!({})), timeout)
        .await
        .map_err(|error| target.explain(&error))?;
    let latency = started.elapsed().as_millis();
    let healthy = payload.get("ok").and_then(Value::as_bool).unwrap_or(true);
    if args.json {
        context.printer.json(&payload);
    } else {
        context.printer.heading("Gateway Health");
        let verdict = if healthy { "OK" } else { "FAILED" };
        context.printer.line(format_args!("{verdict} ({latency}ms)"));
        for line in health_lines::channels(&payload) {
            context.printer.line(line);
        }
    }
    Ok(Exit::ok_if(healthy))
}
