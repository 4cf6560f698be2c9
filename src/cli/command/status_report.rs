//! How `status` looks, for programs and for people.

use serde_json::{Map, Value, json};

use super::health_lines;
use super::status::{Answers, StatusArgs};
use crate::base::listener;
use crate::cli::client::CallError;
use crate::cli::local::{Local, shown_path};
use crate::cli::printer::Printer;
use crate::cli::target::Target;

/// The document of `--json`: what the gateway's `status` says, and `os` and `gateway` as seen from here.
pub fn document(target: &Target, local: &Local, result: &Result<Answers, CallError>) -> Value {
    let answers = result.as_ref().ok();
    let mut document = match answers.and_then(|answers| answers.status.clone()) {
        Some(Value::Object(status)) => status,
        _ => Map::new(),
    };
    let (platform, arch, release) = (crate::cli::client::handshake::platform(), arch(), os_release());
    document.insert(
        "os".to_owned(),
        json!({ "platform": platform, "arch": arch, "release": release, "label": os_label() }),
    );
    let error = result.as_ref().err().map(CallError::probe_line);
    document.insert(
        "gateway".to_owned(),
        json!({
            "mode": local.mode(),
            "url": target.url(),
            "urlSource": target.source.label(),
            "misconfigured": local.mode() == "remote" && local.text("gateway.remote.url").is_none(),
            "reachable": answers.is_some(),
            "connectLatencyMs": answers.map(millis),
            "self": answers.and_then(|answers| answers.own.clone()),
            "error": error,
            "authWarning": result.as_ref().err().and_then(CallError::refusal).map(|refusal| refusal.message.clone()),
        }),
    );
    if let Some(health) = answers.and_then(|answers| answers.health.clone()) {
        document.insert("health".to_owned(), health);
    }
    Value::Object(document)
}

/// The overview for people.
pub fn show(
    args: &StatusArgs,
    target: &Target,
    local: &Local,
    result: &Result<Answers, CallError>,
    printer: &mut Printer,
) {
    let answers = result.as_ref().ok();
    printer.heading(if args.all {
        "OpenClaw status --all"
    } else {
        "OpenClaw status"
    });
    printer.line("");
    printer.heading("Overview");
    printer.table(["Item", "Value"], overview(args, target, local, result));
    if let Some(answers) = answers {
        printer.line("");
        printer.heading("Channels");
        printer.table(
            ["Channel", "Enabled", "State", "Detail"],
            answers.channels.as_ref().map(channel_rows).unwrap_or_default(),
        );
        printer.line("");
        printer.heading("Sessions");
        printer.table(
            ["Key", "Kind", "Age", "Model", "Runtime", "Tokens"],
            session_rows(answers.status.as_ref()),
        );
        if let Some(health) = &answers.health {
            printer.line("");
            printer.heading("Health");
            printer.table(["Item", "Status", "Detail"], health_rows(answers, health));
        }
    }
    if args.all {
        printer.line("");
        diagnosis(target, local, printer);
    }
    printer.line("");
    printer.line("FAQ: https://docs.openclaw.ai/faq");
    printer.line("Troubleshooting: https://docs.openclaw.ai/troubleshooting");
    printer.line("");
    printer.line("Next steps:");
    printer.line("  Need to share?      openclaw status --all");
    printer.line("  Need to debug live? openclaw logs --follow");
    if result.is_ok() {
        printer.line("  Need to test channels? openclaw status --deep");
    } else {
        printer.line("  Fix reachability first: openclaw gateway probe");
    }
}

fn overview(
    args: &StatusArgs,
    target: &Target,
    local: &Local,
    result: &Result<Answers, CallError>,
) -> Vec<[String; 2]> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if args.all {
        rows.push(("Version", env!("CARGO_PKG_VERSION").to_owned()));
    }
    rows.push(("OS", os_label()));
    if args.all {
        let invalid = if local.is_valid() { "" } else { " (invalid)" };
        rows.push(("Config", format!("{}{invalid}", local.config_path().display())));
        rows.push(("State", local.paths.state_dir.display().to_string()));
    }
    let own = result
        .as_ref()
        .ok()
        .and_then(|answers| answers.own.as_ref())
        .map(own_text);
    let reach = match result {
        Ok(answers) => {
            let auth = if target.endpoint.token.is_some() {
                "auth token"
            } else if target.endpoint.password.is_some() {
                "auth password"
            } else {
                "auth device"
            };
            let own = own.as_ref().map(|own| format!(" · {own}")).unwrap_or_default();
            format!("reachable {}ms · {auth}{own}", millis(answers))
        }
        Err(error) => format!("unreachable ({})", error.probe_line()),
    };
    rows.push((
        "Gateway",
        format!(
            "{} · {} ({}) · {reach}",
            local.mode(),
            target.url(),
            target.source.label()
        ),
    ));
    if let Some(own) = own {
        rows.push(("Gateway self", own));
    }
    let status = result.as_ref().ok().and_then(|answers| answers.status.as_ref());
    if let Some(status) = status {
        rows.extend(of_status(status));
    }
    if result.is_ok() {
        rows.push((
            "Probes",
            if args.deep { "enabled" } else { "skipped (use --deep)" }.to_owned(),
        ));
    }
    rows.into_iter().map(|(item, value)| [item.to_owned(), value]).collect()
}

fn of_status(status: &Value) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64);
    let beats: Vec<String> = list(status, "/heartbeat/agents")
        .filter_map(|agent| {
            let id = agent.get("agentId")?.as_str()?;
            let on = agent.get("enabled").and_then(Value::as_bool).unwrap_or(false);
            let every = agent
                .get("every")
                .and_then(Value::as_str)
                .filter(|_| on)
                .unwrap_or("off");
            Some(format!("{every} ({id})"))
        })
        .collect();
    if let Some(id) = status.pointer("/heartbeat/defaultAgentId").and_then(Value::as_str) {
        rows.push(("Agents", format!("{} · default {id}", beats.len())));
    }
    if let (Some(total), Some(active)) = (number("/tasks/total"), number("/tasks/active")) {
        let tasks = if total == 0 {
            "none".to_owned()
        } else {
            format!(
                "{active} active · {total} total · {} failed",
                number("/tasks/failures").unwrap_or(0)
            )
        };
        rows.push(("Tasks", tasks));
    }
    if !beats.is_empty() {
        rows.push(("Heartbeat", beats.join(", ")));
    }
    if let Some(count) = number("/sessions/count") {
        let model = status.pointer("/sessions/defaults/model").and_then(Value::as_str);
        let model = model.map(|model| format!(" · default {model}")).unwrap_or_default();
        rows.push(("Sessions", format!("{count} active{model}")));
    }
    rows
}

fn channel_rows(status: &Value) -> Vec<[String; 4]> {
    let accounts = status.get("channelAccounts").and_then(Value::as_object);
    let mut rows = Vec::new();
    for (id, list_of) in accounts.into_iter().flatten() {
        let label = status
            .pointer(&format!("/channelLabels/{id}"))
            .and_then(Value::as_str)
            .unwrap_or(id);
        for account in list(list_of, "") {
            let flag = |name: &str| account.get(name).and_then(Value::as_bool).unwrap_or(false);
            let failed = account.get("lastError").is_some_and(Value::is_string)
                || account.pointer("/probe/ok").and_then(Value::as_bool) == Some(false);
            let state = if !flag("enabled") {
                "OFF"
            } else if !flag("configured") {
                "SETUP"
            } else if failed {
                "WARN"
            } else {
                "OK"
            };
            let name = account.get("accountId").and_then(Value::as_str).unwrap_or("default");
            rows.push([
                label.to_owned(),
                if flag("enabled") { "ON" } else { "OFF" }.to_owned(),
                state.to_owned(),
                format!("{name}: {}", health_lines::account_state(account)),
            ]);
        }
    }
    rows
}

fn session_rows(status: Option<&Value>) -> Vec<[String; 6]> {
    let mut rows: Vec<[String; 6]> = status
        .map(|status| list(status, "/sessions/recent").collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .map(|session| {
            let text = |name: &str| session.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
            let age = session
                .get("age")
                .or_else(|| session.get("ageMs"))
                .and_then(Value::as_u64);
            let tokens = session.get("totalTokens").and_then(Value::as_u64);
            [
                text("key"),
                text("kind"),
                age.map(age_text).unwrap_or_default(),
                text("model"),
                text("runtime"),
                tokens.map(|tokens| tokens.to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    if rows.is_empty() {
        rows.push(["no sessions yet", "", "", "", "", ""].map(str::to_owned));
    }
    rows
}

fn health_rows(answers: &Answers, health: &Value) -> Vec<[String; 3]> {
    let mut rows = vec![[
        "Gateway".to_owned(),
        "reachable".to_owned(),
        format!("{}ms", millis(answers)),
    ]];
    if let Some(busy) = health_lines::event_loop(health) {
        rows.push(["Event loop".to_owned(), "WARN".to_owned(), busy]);
    }
    for line in health_lines::channels(health) {
        let (channel, state) = line.split_once(": ").unwrap_or((&line, ""));
        let verdict = if state.starts_with("failed") { "WARN" } else { "OK" };
        rows.push([channel.to_owned(), verdict.to_owned(), state.to_owned()]);
    }
    rows
}

fn diagnosis(target: &Target, local: &Local, printer: &mut Printer) {
    printer.heading("Diagnosis (read-only)");
    printer.line("");
    printer.line("Gateway connection details:");
    for line in target.details().lines() {
        printer.line(format_args!("  {line}"));
    }
    printer.line("");
    let mark = if local.is_valid() { "✓" } else { "!" };
    let missing = if local.exists { "" } else { " (no such file)" };
    printer.line(format_args!(
        "{mark} Config: {}{missing}",
        local.config_path().display()
    ));
    for issue in &local.issues {
        printer.line(format_args!("  - {}: {}", shown_path(issue), issue.message));
    }
    for warning in &local.warnings {
        printer.line(format_args!(
            "  - {}: {} (warning)",
            shown_path(warning),
            warning.message
        ));
    }
    let port = local.port();
    match listener::on_port(port) {
        Some(found) if found.is_empty() => printer.line(format_args!("! Port {port}: nobody listens")),
        Some(found) => {
            printer.line(format_args!("✓ Port {port}"));
            for listener in found {
                let pid = listener.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
                let command = listener.command_line.as_deref().unwrap_or("unknown");
                printer.line(format_args!("  - pid {pid}: {command} ({})", listener.address));
            }
        }
        None => printer.line(format_args!("! Port {port}: this system does not tell who listens")),
    }
}

fn own_text(own: &Value) -> String {
    let field = |name: &str| own.get(name).and_then(Value::as_str);
    let mut text = field("host").unwrap_or("unknown").to_owned();
    if let Some(ip) = field("ip") {
        text.push_str(&format!(" ({ip})"));
    }
    if let Some(version) = field("version") {
        text.push_str(&format!(" app {version}"));
    }
    if let Some(platform) = field("platform") {
        text.push_str(&format!(" {platform}"));
    }
    text
}

fn os_label() -> String {
    format!(
        "{} {} ({})",
        crate::cli::client::handshake::platform(),
        os_release(),
        arch()
    )
}

/// The architecture in the names that JavaScript programs use.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn os_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn age_text(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn millis(answers: &Answers) -> u64 {
    u64::try_from(answers.latency.as_millis()).unwrap_or(u64::MAX)
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
