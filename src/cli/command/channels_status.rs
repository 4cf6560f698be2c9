//! `channels status`: the state of every account, from the gateway or, when it is away, from the config file.

use clap::Args;
use serde_json::{Value, json};

use super::{Context, call, health_lines};
use crate::cli::client::{Call, CallError};
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, TargetArgs, timeout_of};

const TIP: &str = "Tip: https://docs.openclaw.ai/cli#status adds gateway health probes to status output (requires a reachable gateway).";

/// State of every channel account
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw channels status --probe

When the gateway is down, what the config file says is shown and the exit code is 1.

Exit codes:
  0  the gateway answered
  1  it is down or refuses us, or the config is invalid")]
pub struct ChannelsStatusArgs {
    /// Try every account now
    #[arg(long)]
    pub probe: bool,
    /// Print the payload of the method
    #[arg(long)]
    pub json: bool,
    /// Time for the whole call
    #[arg(long, value_name = "ms", default_value_t = 10_000)]
    pub timeout: u64,
}

/// Asks for the channels and prints them.
pub async fn run(args: &ChannelsStatusArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    context.local.require_valid()?;
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&TargetArgs::default(), &context.local)?;
    if !args.json {
        let how = if args.probe { " (probe)" } else { "" };
        context.printer.line(format_args!("Checking channel status{how}…"));
        context.printer.flush();
    }
    let request = Call::new(
        "channels.status",
        json!({ "probe": args.probe, "timeoutMs": args.timeout }),
    );
    match call(&target, "channels.status", &request, timeout).await {
        Ok(payload) if args.json => context.printer.json(&payload),
        Ok(payload) => show(&payload, context),
        Err(error) if args.json => return Err(target.explain(&error)),
        Err(error) => {
            show_config_only(&target, &error, context);
            return Ok(Exit::FAILURE);
        }
    }
    Ok(Exit::OK)
}

fn show(payload: &Value, context: &mut Context<'_>) {
    context.printer.line("Gateway reachable.");
    if let Some(busy) = health_lines::event_loop(payload) {
        context
            .printer
            .line(format_args!("Gateway event loop degraded: {busy}"));
    }
    for line in health_lines::accounts(payload) {
        context.printer.line(line);
    }
    context.printer.line("");
    context.printer.line(TIP);
}

fn show_config_only(target: &Target, error: &CallError, context: &mut Context<'_>) {
    if let Some(refusal) = error.refusal() {
        context.printer.note(format_args!(
            "gateway connect failed: GatewayClientRequestError: {}",
            refusal.message
        ));
    }
    context
        .printer
        .note(format_args!("Gateway not reachable: {}", target.explain_body(error)));
    let local = &context.local;
    let mut lines = vec![
        "Gateway not reachable; showing config-only status.".to_owned(),
        format!("Config: {}", local.config_path().display()),
        format!("Mode: {}", local.mode()),
        String::new(),
    ];
    let channels = local.at("channels").and_then(Value::as_object);
    for (id, channel) in channels.into_iter().flatten().filter(|(id, _)| *id != "defaults") {
        lines.extend(configured(id, channel));
    }
    lines.push(String::new());
    lines.push(TIP.to_owned());
    for line in lines {
        context.printer.line(line);
    }
}

/// One line per account of a channel section; a section without `accounts` is the account `default`.
fn configured(id: &str, channel: &Value) -> Vec<String> {
    let state = |section: &Value| {
        let on = |value: &Value| value.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        if on(channel) && on(section) {
            "enabled"
        } else {
            "disabled"
        }
    };
    match channel.get("accounts").and_then(Value::as_object) {
        Some(accounts) if !accounts.is_empty() => accounts
            .iter()
            .map(|(name, account)| format!("- {id} {name}: {}", state(account)))
            .collect(),
        _ => vec![format!("- {id} default: {}", state(channel))],
    }
}
