//! `gateway status`: what is configured here, who holds the port, and whether a connection succeeds.

use clap::Args;
use serde_json::{Value, json};

use super::{Context, call};
use crate::base::listener::{self, Listener};
use crate::cli::client::error::ServerError;
use crate::cli::client::{Call, CallError, Caller, Session};
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::{Local, shown_path};
use crate::cli::printer::Printer;
use crate::cli::target::{Source, Target, TargetArgs, timeout_of};

const PORT_HINT: &str = "Gateway already running locally. Stop it (openclaw gateway stop) or use a different port.";

/// Is the gateway up, and does it accept our credentials?
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw gateway status
  openclaw gateway status --require-rpc --json
  openclaw gateway status --url wss://gw.example.org --token \"$TOKEN\"

Exit codes:
  0  the probe succeeded (or --no-probe)
  1  the gateway is down or refuses us")]
pub struct GatewayStatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Make a real read request instead of only connecting
    #[arg(long)]
    pub require_rpc: bool,
    /// Do not connect
    #[arg(long)]
    pub no_probe: bool,
    /// Also show the config file's issues and warnings
    #[arg(long)]
    pub deep: bool,
    /// Time for the probe
    #[arg(long, value_name = "ms", default_value_t = 10_000)]
    pub timeout: u64,
    /// Which gateway.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What the probe found.
struct Probe {
    label: &'static str,
    kind: &'static str,
    result: Result<Value, CallError>,
}

/// Prints the status; the document or text is complete also when the probe fails.
pub async fn run(args: &GatewayStatusArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&args.target, &context.local)?;
    let probe = if args.no_probe {
        None
    } else if args.require_rpc {
        Some(Probe {
            label: "Read probe",
            kind: "read",
            result: read_probe(&target, timeout).await,
        })
    } else {
        Some(Probe {
            label: "Connectivity probe",
            kind: "connect",
            result: connect_probe(&target, timeout).await,
        })
    };
    let port = target.endpoint.url.port_or_known_default().unwrap_or(0);
    let local_target = matches!(target.source, Source::Local | Source::LocalFallback);
    let listeners = local_target.then(|| listener::on_port(port)).flatten();
    let exit = Exit::ok_if(probe.as_ref().is_none_or(|probe| probe.result.is_ok()));
    let facts = Facts {
        local: &context.local,
        target: &target,
        port,
        listeners: listeners.as_deref(),
        deep: args.deep,
    };
    if args.json {
        context.printer.json(&document(&facts, probe.as_ref()));
    } else {
        show(&facts, probe.as_ref(), context.printer);
    }
    Ok(exit)
}

struct Facts<'a> {
    local: &'a Local,
    target: &'a Target,
    port: u16,
    listeners: Option<&'a [Listener]>,
    deep: bool,
}

impl Facts<'_> {
    fn bind_host(&self) -> String {
        match self.local.bind_mode().as_str() {
            "lan" => "0.0.0.0".to_owned(),
            "custom" => self.local.text("gateway.customBindHost").unwrap_or_default(),
            "loopback" => "127.0.0.1".to_owned(),
            // Depends on the machine that runs the gateway.
            _ => "automatic".to_owned(),
        }
    }

    fn note(&self) -> Option<&'static str> {
        (self.local.bind_mode() == "loopback").then_some("Loopback-only gateway; only local clients can connect.")
    }

    fn dashboard(&self) -> String {
        let url = self.target.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
        let scheme = if scheme == "wss" { "https" } else { "http" };
        let base = self.local.text("gateway.controlUi.basePath").unwrap_or_default();
        match base.trim_matches('/') {
            "" => format!("{scheme}://{rest}/"),
            base => format!("{scheme}://{rest}/{base}/"),
        }
    }

    fn port_status(&self) -> &'static str {
        match self.listeners {
            None => "unknown",
            Some([]) => "free",
            Some(_) => "busy",
        }
    }
}

/// Connects and disconnects. Gives `auth` of the answer.
async fn connect_probe(target: &Target, timeout: std::time::Duration) -> Result<Value, CallError> {
    let caller = Caller::probe(&target.endpoint);
    let probe = async {
        let mut session = Session::connect(&target.endpoint, &caller).await?;
        let auth = session.hello.get_mut("auth").map(Value::take).unwrap_or_default();
        session.close().await;
        Ok(auth)
    };
    tokio::time::timeout(timeout, Box::pin(probe))
        .await
        .unwrap_or(Err(CallError::Timeout(timeout)))
}

/// A request that needs the read scope. Its success says that we may read.
async fn read_probe(target: &Target, timeout: std::time::Duration) -> Result<Value, CallError> {
    call(target, "status", &Call::new("status", json!({})), timeout).await?;
    Ok(json!({ "role": "operator", "scopes": ["operator.read"] }))
}

/// What an accepted or refused connection may do, in upstream's vocabulary.
pub fn capability(result: Result<&Value, &CallError>) -> &'static str {
    match result {
        Ok(auth) => {
            let scopes: Vec<&str> = auth
                .get("scopes")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            if scopes.contains(&"operator.admin") {
                "admin_capable"
            } else if scopes.contains(&"operator.write") {
                "write_capable"
            } else if scopes.contains(&"operator.read") {
                "read_only"
            } else {
                "connected_no_operator_scope"
            }
        }
        Err(error) if error.refusal().is_some_and(is_pairing) => "pairing_pending",
        Err(_) => "unknown",
    }
}

fn is_pairing(refusal: &ServerError) -> bool {
    refusal.detail("code") == Some("PAIRING_REQUIRED")
}

fn document(facts: &Facts<'_>, probe: Option<&Probe>) -> Value {
    let local = facts.local;
    let mut cli = json!({
        "path": local.config_path().display().to_string(),
        "exists": local.exists,
        "valid": local.is_valid(),
    });
    if let (Some(object), false) = (cli.as_object_mut(), local.is_valid()) {
        let issues: Vec<Value> = local
            .issues
            .iter()
            .map(|issue| json!({ "path": shown_path(issue), "message": issue.message }))
            .collect();
        object.insert("issues".to_owned(), Value::Array(issues));
    }
    let listeners: Vec<Value> = facts
        .listeners
        .unwrap_or_default()
        .iter()
        .map(|found| json!({ "pid": found.pid, "command": found.command_line, "address": found.address }))
        .collect();
    let hints: Vec<&str> = if listeners.is_empty() { vec![] } else { vec![PORT_HINT] };
    let mut gateway = json!({
        "bindMode": local.bind_mode(),
        "bindHost": facts.bind_host(),
        "port": facts.port,
        "portSource": "env/config",
        "probeUrl": facts.target.url(),
    });
    if let (Some(object), Some(note)) = (gateway.as_object_mut(), facts.note()) {
        object.insert("probeNote".to_owned(), Value::from(note));
    }
    let mut document = json!({
        "logFile": local.text("logging.file"),
        "service": {
            "label": "none",
            "loaded": false,
            "loadedText": "enabled",
            "notLoadedText": "disabled",
            "command": null,
            "runtime": runtime(facts),
            "configAudit": { "ok": true, "issues": [] },
        },
        "config": { "cli": cli },
        "gateway": gateway,
        "port": { "port": facts.port, "status": facts.port_status(), "listeners": listeners, "hints": hints },
    });
    if let (Some(object), Some(probe)) = (document.as_object_mut(), probe) {
        object.insert("rpc".to_owned(), rpc(facts, probe));
    }
    if let Some(object) = document.as_object_mut() {
        object.insert("extraServices".to_owned(), json!([]));
    }
    document
}

fn runtime(facts: &Facts<'_>) -> Value {
    match facts
        .listeners
        .and_then(|found| found.iter().find_map(|listener| listener.pid))
    {
        Some(pid) => json!({ "status": "running", "pid": pid }),
        None => json!({ "status": "unknown", "detail": "no service manager is used" }),
    }
}

fn rpc(facts: &Facts<'_>, probe: &Probe) -> Value {
    let capability = capability(probe.result.as_ref());
    let mut rpc = json!({
        "ok": probe.result.is_ok(),
        "kind": probe.kind,
        "capability": capability,
        "auth": auth_view(probe.result.as_ref().ok(), capability),
    });
    if let Some(object) = rpc.as_object_mut() {
        if let Err(error) = &probe.result {
            object.insert("error".to_owned(), Value::from(error.probe_line()));
        }
        object.insert("url".to_owned(), Value::from(facts.target.url()));
    }
    rpc
}

/// `auth` of a probe document.
pub fn auth_view(auth: Option<&Value>, capability: &str) -> Value {
    json!({
        "role": auth.and_then(|auth| auth.get("role")).cloned().unwrap_or(Value::Null),
        "scopes": auth.and_then(|auth| auth.get("scopes")).cloned().unwrap_or_else(|| json!([])),
        "capability": capability,
    })
}

fn show(facts: &Facts<'_>, probe: Option<&Probe>, printer: &mut Printer) {
    let local = facts.local;
    let invalid = if local.is_valid() { "" } else { " (invalid)" };
    printer.line("Service: none (disabled)");
    if let Some(file) = local.text("logging.file") {
        printer.line(format_args!("File logs: {file}"));
    }
    printer.line("");
    printer.line(format_args!("Config (cli): {}{invalid}", local.config_path().display()));
    printer.line("");
    printer.line(format_args!(
        "Gateway: bind={} ({}), port={} (env/config)",
        local.bind_mode(),
        facts.bind_host(),
        facts.port
    ));
    printer.line(format_args!("Probe target: {}", facts.target.url()));
    printer.line(format_args!("Dashboard: {}", facts.dashboard()));
    if let Some(note) = facts.note() {
        printer.line(format_args!("Probe note: {note}"));
    }
    printer.line("");
    let pid = facts
        .listeners
        .and_then(|found| found.iter().find_map(|listener| listener.pid));
    match pid {
        Some(pid) => printer.line(format_args!("Runtime: running (pid {pid})")),
        None => printer.line("Runtime: unknown (no service manager is used)"),
    }
    for issue in &local.issues {
        printer.note(format_args!("Config issue: {}: {}", shown_path(issue), issue.message));
    }
    if facts.deep {
        for warning in &local.warnings {
            printer.note(format_args!(
                "Config warning: {}: {}",
                shown_path(warning),
                warning.message
            ));
        }
    }
    if let Some(probe) = probe {
        show_probe(facts, probe, printer);
    }
    printer.line("");
    let mut addresses: Vec<&str> = facts
        .listeners
        .unwrap_or_default()
        .iter()
        .map(|found| found.address.as_str())
        .collect();
    addresses.dedup();
    if !addresses.is_empty() {
        printer.line(format_args!("Listening: {}", addresses.join(", ")));
    }
    printer.line("Troubles: run openclaw status");
    printer.line("Troubleshooting: https://docs.openclaw.ai/troubleshooting");
}

fn show_probe(facts: &Facts<'_>, probe: &Probe, printer: &mut Printer) {
    if probe.result.is_ok() {
        printer.line(format_args!("{}: ok", probe.label));
    }
    printer.line(format_args!(
        "Capability: {}",
        capability(probe.result.as_ref()).replace('_', "-")
    ));
    let Err(error) = &probe.result else {
        return;
    };
    printer.note(format_args!("{}: failed", probe.label));
    printer.note(format_args!("Probe target: {}", facts.target.url()));
    let reason = if probe.kind == "read" {
        facts.target.explain_body(error)
    } else {
        error.probe_line()
    };
    for line in reason.lines().filter(|line| !line.is_empty()) {
        printer.note(format_args!("  {line}"));
    }
    let holders = facts.listeners.unwrap_or_default();
    if !holders.is_empty() {
        printer.note(format_args!("Port {} is already in use.", facts.port));
        for found in holders {
            let pid = found
                .pid
                .map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"));
            let command = found.command_line.as_deref().unwrap_or("unknown");
            printer.note(format_args!("- {pid}: {command} ({})", found.address));
        }
        printer.note(format_args!("- {PORT_HINT}"));
    }
}
