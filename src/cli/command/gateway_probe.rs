//! `gateway probe`: tries every gateway that this machine knows of and shows what each allows.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Context;
use super::gateway_status::{auth_view, capability};
use crate::base::{Clock, SystemClock};
use crate::cli::client::{Call, CallError, Caller, Session};
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Source, Target, TargetArgs, timeout_of};

const NO_GATEWAY: &str = "No gateway answered any probe. Run `openclaw gateway status --deep --require-rpc` to inspect config paths, listener owners, and logs; include `ss -ltnp` or `lsof -nP -iTCP:<port> -sTCP:LISTEN` for the configured port when filing a report.";
const SCOPE_LIMITED: &str = "Read-probe diagnostics are limited by gateway scopes (missing operator.read). Connection succeeded, but read-only status calls are incomplete. Hint: pair device identity or use credentials with operator.read.";

/// Try every known gateway and show what each allows
#[derive(Debug, Args)]
#[command(after_help = "\
Probes --url if given, the configured remote, and this machine.

Exit codes:
  0  at least one gateway accepted us
  1  none did")]
pub struct ProbeArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Time for everything
    #[arg(long, value_name = "ms", default_value_t = 3_000)]
    pub timeout: u64,
    /// Which gateway.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What one gateway answered.
struct Probed {
    id: &'static str,
    title: &'static str,
    url: String,
    result: Result<Answers, CallError>,
}

/// Answers of a gateway that accepted the connection.
struct Answers {
    latency: Duration,
    auth: Value,
    health: Result<Value, CallError>,
    status: Result<Value, CallError>,
    presence: Result<Value, CallError>,
    config: Result<Value, CallError>,
}

impl Answers {
    fn first_error(&self) -> Option<&CallError> {
        [&self.health, &self.status, &self.presence, &self.config]
            .into_iter()
            .find_map(|answer| answer.as_ref().err())
    }

    fn scope_limited(&self) -> bool {
        self.first_error().is_some_and(is_scope_error)
    }
}

/// Probes and prints.
pub async fn run(args: &ProbeArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let budget = timeout_of(args.timeout)?;
    let started = Instant::now();
    let targets = targets(args, context)?;
    let probed: Vec<Probed> = join_all(targets.into_iter().map(|(id, title, target)| async move {
        let probe = tokio::time::timeout(budget, Box::pin(probe(&target)));
        Probed {
            id,
            title,
            url: target.url().to_owned(),
            result: probe.await.unwrap_or(Err(CallError::Timeout(budget))),
        }
    }))
    .await;
    let reachable = probed.iter().any(|probed| probed.result.is_ok());
    if args.json {
        let document = document(&probed, started.elapsed(), args.timeout, context);
        context.printer.json(&document);
    } else {
        show(&probed, args.timeout, context);
    }
    Ok(Exit::ok_if(reachable))
}

fn targets(args: &ProbeArgs, context: &Context<'_>) -> Result<Vec<(&'static str, &'static str, Target)>, Failure> {
    let mut targets = Vec::new();
    let chosen = Target::resolve(&args.target, &context.local)?;
    match chosen.source {
        Source::Flag => targets.push(("explicit", "URL (explicit)", chosen)),
        Source::Env | Source::Remote => targets.push(("configRemote", "Remote (configured)", chosen)),
        Source::Local | Source::LocalFallback => {
            targets.push(("localLoopback", "Local loopback", chosen));
            return Ok(targets);
        }
    }
    targets.push(("localLoopback", "Local loopback", Target::loopback(&context.local)?));
    Ok(targets)
}

async fn probe(target: &Target) -> Result<Answers, CallError> {
    let caller = Caller::for_command(&target.endpoint, "probe", "operator.read");
    let started = Instant::now();
    let mut session = Session::connect(&target.endpoint, &caller).await?;
    let latency = started.elapsed();
    let auth = session.hello.get_mut("auth").map(Value::take).unwrap_or_default();
    let answers = Answers {
        latency,
        auth,
        health: session.request(&Call::new("health", json!({}))).await,
        status: session.request(&Call::new("status", json!({}))).await,
        presence: session.request(&Call::new("system-presence", json!({}))).await,
        config: session.request(&Call::new("config.get", json!({}))).await,
    };
    session.close().await;
    Ok(answers)
}

fn is_scope_error(error: &CallError) -> bool {
    matches!(error, CallError::Request(refusal) if refusal.message.starts_with("missing scope"))
}

/// The gateway's own entry among those that are present.
pub fn own_entry(presence: &Value) -> Option<Value> {
    let entries = presence.as_array().or_else(|| presence.get("presence")?.as_array())?;
    let own = entries
        .iter()
        .find(|entry| entry.get("mode").and_then(Value::as_str) == Some("gateway"))?;
    let field = |name: &str| own.get(name).cloned().unwrap_or(Value::Null);
    Some(json!({
        "host": field("host"),
        "ip": field("ip"),
        "version": field("version"),
        "platform": field("platform"),
    }))
}

fn best_capability(probed: &[Probed]) -> &'static str {
    probed
        .iter()
        .find(|probed| probed.result.is_ok())
        .or_else(|| probed.first())
        .map_or("unknown", capability_of)
}

fn capability_of(probed: &Probed) -> &'static str {
    capability(probed.result.as_ref().map(|answers| &answers.auth))
}

fn warnings(probed: &[Probed]) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let ids = |wanted: &dyn Fn(&Probed) -> bool| -> Vec<&'static str> {
        probed.iter().filter(|one| wanted(one)).map(|one| one.id).collect()
    };
    let mut warnings = Vec::new();
    if probed.iter().all(|one| one.result.is_err()) {
        warnings.push(("no_gateway_reachable", NO_GATEWAY, ids(&|_| true)));
    }
    let limited = ids(&|one| one.result.as_ref().is_ok_and(Answers::scope_limited));
    if !limited.is_empty() {
        warnings.push(("probe_scope_limited", SCOPE_LIMITED, limited));
    }
    warnings
}

fn document(probed: &[Probed], took: Duration, budget_ms: u64, context: &Context<'_>) -> Value {
    let primary = probed.iter().find(|one| one.result.is_ok()).map(|one| one.id);
    let degraded = probed
        .iter()
        .any(|one| one.result.as_ref().is_ok_and(|answers| answers.first_error().is_some()));
    let warnings: Vec<Value> = warnings(probed)
        .into_iter()
        .map(|(code, message, ids)| json!({ "code": code, "message": message, "targetIds": ids }))
        .collect();
    json!({
        "ok": primary.is_some(),
        "degraded": degraded,
        "capability": best_capability(probed),
        "ts": SystemClock.now_ms(),
        "durationMs": millis(took),
        "timeoutMs": budget_ms,
        "primaryTargetId": primary,
        "warnings": warnings,
        "network": {
            "localLoopbackUrl": format!("ws://127.0.0.1:{}", context.local.port()),
            "localTailnetUrl": null,
            "tailnetIPv4": null,
        },
        "discovery": null,
        "targets": probed.iter().map(target_document).collect::<Vec<_>>(),
    })
}

fn target_document(one: &Probed) -> Value {
    let answers = one.result.as_ref().ok();
    let error = match &one.result {
        Ok(answers) => answers.first_error().map(CallError::headline),
        Err(error) => Some(error.probe_line()),
    };
    let close = one
        .result
        .as_ref()
        .err()
        .and_then(CallError::close)
        .map(|(code, reason)| json!({ "code": code, "reason": reason }));
    let payload = |pick: fn(&Answers) -> &Result<Value, CallError>| {
        answers.and_then(|answers| pick(answers).as_ref().ok()).cloned()
    };
    let presence = payload(|answers| &answers.presence);
    let config = payload(|answers| &answers.config).map(|config| {
        let field = |name: &str| config.get(name).cloned().unwrap_or(Value::Null);
        json!({ "path": field("path"), "exists": field("exists"), "valid": field("valid") })
    });
    json!({
        "id": one.id,
        "kind": one.id,
        "url": one.url,
        "active": true,
        "tunnel": null,
        "connect": {
            "ok": answers.is_some(),
            "rpcOk": answers.is_some_and(|answers| answers.first_error().is_none()),
            "scopeLimited": answers.is_some_and(Answers::scope_limited),
            "latencyMs": answers.map(|answers| millis(answers.latency)),
            "error": error,
            "close": close,
        },
        "auth": auth_view(answers.map(|answers| &answers.auth), capability_of(one)),
        "self": presence.as_ref().and_then(own_entry),
        "config": config,
        "health": payload(|answers| &answers.health),
        "summary": payload(|answers| &answers.status),
        "presence": presence,
    })
}

fn show(probed: &[Probed], budget_ms: u64, context: &mut Context<'_>) {
    let dashed = |capability: &str| capability.replace('_', "-");
    let printer = &mut *context.printer;
    printer.heading("Gateway Status");
    let reachable = probed.iter().any(|one| one.result.is_ok());
    printer.line(format_args!("Reachable: {}", if reachable { "yes" } else { "no" }));
    printer.line(format_args!("Capability: {}", dashed(best_capability(probed))));
    printer.line(format_args!("Probe budget: {budget_ms}ms"));
    let warnings = warnings(probed);
    if !warnings.is_empty() {
        printer.line("");
        printer.heading("Warning:");
        for (_, message, _) in warnings {
            printer.line(format_args!("- {message}"));
        }
    }
    printer.line("");
    printer.heading("Targets");
    for one in probed {
        printer.line(format_args!("{} {}", one.title, one.url));
        let capability = dashed(capability_of(one));
        match &one.result {
            Err(error) => printer.line(format_args!(
                "  Connect: failed - {} · Capability: {capability}",
                error.probe_line()
            )),
            Ok(answers) => {
                let read = match answers.first_error() {
                    None => "ok".to_owned(),
                    Some(error) if is_scope_error(error) => format!("limited - {error}"),
                    Some(error) => format!("failed - {error}"),
                };
                let latency = millis(answers.latency);
                printer.line(format_args!(
                    "  Connect: ok ({latency}ms) · Capability: {capability} · Read probe: {read}"
                ));
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
