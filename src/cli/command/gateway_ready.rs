//! `gateway ready`: asks the probe endpoint of this machine's gateway, as a kubelet would.
//!
//! For container health checks: no credentials, no device identity, a few milliseconds. The management listener is asked
//! where there is one, because it is plain HTTP and stays where it is when the main listener moves.

use clap::{Args, ValueEnum};
use serde_json::Value;
use url::Url;

use super::Context;
use crate::cli::client::{CallError, Endpoint, http};
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, timeout_of};

/// Is this machine's gateway ready? Needs no credentials; for container health checks
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  the probe says yes
  1  it says no, or the gateway is down")]
pub struct ReadyArgs {
    /// Which question to ask
    #[arg(long, value_enum, default_value_t = Probe::Readiness)]
    pub probe: Probe,
    /// Print the gateway's answer
    #[arg(long)]
    pub json: bool,
    /// Time for everything
    #[arg(long, value_name = "ms", default_value_t = 3_000)]
    pub timeout: u64,
}

/// The three probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Probe {
    /// Does it serve, with storage and required channels?
    Readiness,
    /// Can it serve a handshake?
    Liveness,
    /// Are its handlers there?
    Startup,
}

impl Probe {
    const fn path(self) -> &'static str {
        match self {
            Self::Readiness => "/readyz",
            Self::Liveness => "/healthz",
            Self::Startup => "/startupz",
        }
    }
}

/// Asks and prints one line.
pub async fn run(args: &ReadyArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let budget = timeout_of(args.timeout)?;
    let mut endpoint = Target::loopback(&context.local)?.endpoint;
    if let Some(port) = context.local.management_port() {
        endpoint.url = loopback(port)?;
    }
    let asking = Box::pin(http::get(&endpoint, args.probe.path()));
    let (status, body) = tokio::time::timeout(budget, asking)
        .await
        .unwrap_or(Err(CallError::Timeout(budget)))
        .map_err(|error| down(&endpoint, args.probe, &error))?;
    let yes = status == ::http::StatusCode::OK;
    if args.json {
        context.printer.json(&body);
    } else if yes {
        context.printer.line("ready");
    } else {
        let status = status.as_u16();
        context
            .printer
            .line(format_args!("not ready ({status}){}", reasons(&body)));
    }
    Ok(Exit::ok_if(yes))
}

fn loopback(port: u16) -> Result<Url, Failure> {
    Url::parse(&format!("ws://127.0.0.1:{port}")).map_err(|error| Failure::usage(error.to_string()))
}

fn down(endpoint: &Endpoint, probe: Probe, error: &CallError) -> Failure {
    let place = endpoint.url.authority();
    let message = format!("no answer from {place}{}: {}", probe.path(), error.probe_line());
    Failure::new(&error.code(), message)
}

/// What the gateway says is failing.
fn reasons(body: &Value) -> String {
    let failing = body.get("failing").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> = failing.filter_map(Value::as_str).collect();
    let pending = body.get("pendingReason").and_then(Value::as_str);
    let mut text = String::new();
    for name in names.into_iter().chain(pending) {
        text.push_str(if text.is_empty() { ": " } else { ", " });
        text.push_str(name);
    }
    text
}
