//! `status`: one look at everything, complete also when the gateway is away.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::gateway_probe::own_entry;
use super::{Context, status_report};
use crate::cli::client::{Call, CallError, Caller, Session};
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, TargetArgs, timeout_of};

/// Overview: gateway, channels, sessions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw status
  openclaw status --deep             Probe channels now.
  openclaw status --all              With a diagnosis, to paste into a report.

The overview is printed also when the gateway is down.

Exit codes:
  0  the gateway answers
  1  it is down or refuses us")]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// More facts and a diagnosis; secrets are never shown
    #[arg(long)]
    pub all: bool,
    /// Probe channels and ask for health
    #[arg(long)]
    pub deep: bool,
    /// Time for the gateway's part
    #[arg(long, value_name = "ms", default_value_t = 10_000)]
    pub timeout: u64,
}

/// What the gateway said. A part that it refused or does not have is absent.
pub struct Answers {
    /// Connect until `hello-ok`.
    pub latency: Duration,
    /// Own entry of presence.
    pub own: Option<Value>,
    /// Payload of `status`.
    pub status: Option<Value>,
    /// Payload of `channels.status`.
    pub channels: Option<Value>,
    /// Payload of `health`, with `--deep`.
    pub health: Option<Value>,
}

/// Prints the overview.
pub async fn run(args: &StatusArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&TargetArgs::default(), &context.local)?;
    context.warn_if_invalid();
    let result = tokio::time::timeout(timeout, Box::pin(ask(&target, args)))
        .await
        .unwrap_or(Err(CallError::Timeout(timeout)));
    if args.json {
        context
            .printer
            .json(&status_report::document(&target, &context.local, &result));
    } else {
        status_report::show(args, &target, &context.local, &result, context.printer);
    }
    Ok(Exit::ok_if(result.is_ok()))
}

async fn ask(target: &Target, args: &StatusArgs) -> Result<Answers, CallError> {
    let caller = Caller::for_command(&target.endpoint, "status", "operator.read");
    let started = Instant::now();
    let mut session = Session::connect(&target.endpoint, &caller).await?;
    let latency = started.elapsed();
    let presence = part(&mut session, "system-presence", json!({})).await?;
    let status = part(&mut session, "status", json!({})).await?;
    let channels = part(&mut session, "channels.status", json!({ "probe": args.deep })).await?;
    let health = if args.deep {
        part(&mut session, "health", json!({ "probe": true })).await?
    } else {
        None
    };
    session.close().await;
    Ok(Answers {
        latency,
        own: presence.as_ref().and_then(own_entry),
        status,
        channels,
        health,
    })
}

/// A request whose refusal only leaves a gap; a lost connection still counts.
async fn part(session: &mut Session, method: &str, params: Value) -> Result<Option<Value>, CallError> {
    match session.request(&Call::new(method, params)).await {
        Ok(payload) => Ok(Some(payload)),
        Err(CallError::Request(_)) => Ok(None),
        Err(other) => Err(other),
    }
}
