//! `gateway call <method>`: any method of the control plane.

use clap::Args;
use serde_json::Value;

use super::{Context, call};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, TargetArgs, timeout_of};

const PREFIX: &str = "Gateway call failed: ";

/// Call a method of the control plane
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw gateway call health --json
  openclaw gateway call logs.tail --params '{\"limit\":5}'
  openclaw gateway call agent --expect-final --timeout 600000 \\
    --params '{\"message\":\"hi\",\"idempotencyKey\":\"k1\"}'

Exit codes:
  0  the method answered
  1  it failed, or the gateway is down or refuses us")]
pub struct CallArgs {
    /// Method name (health, status, channels.status, ...)
    #[arg(value_name = "method")]
    pub method: String,
    /// Parameters
    #[arg(long, value_name = "json", default_value = "{}")]
    pub params: String,
    /// Wait for the final response of a method that answers twice (agent)
    #[arg(long)]
    pub expect_final: bool,
    /// Print nothing but the payload
    #[arg(long)]
    pub json: bool,
    /// Time for the whole call
    #[arg(long, value_name = "ms", default_value_t = 10_000)]
    pub timeout: u64,
    /// Which gateway.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Calls the method and prints its payload.
pub async fn run(args: &CallArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let params: Value = serde_json::from_str(&args.params).map_err(|error| {
        Failure::usage(format!("SyntaxError: --params is not valid JSON: {error}")).prefixed(PREFIX)
    })?;
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&args.target, &context.local)?;
    context.warn_if_invalid();
    let request = Call {
        method: args.method.clone(),
        params,
        expect_final: args.expect_final,
    };
    let payload = call(&target, "call", &request, timeout)
        .await
        .map_err(|error| target.explain_as(&error, PREFIX))?;
    if !args.json {
        context.printer.heading(&format!("Gateway call: {}", args.method));
    }
    context.printer.json(&payload);
    Ok(Exit::OK)
}
