//! The payloads of `health` and `channels.status` as lines for people. Pure; missing fields give shorter lines.

use serde_json::Value;

/// Every line of `openclaw health`.
pub fn all(health: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(busy) = event_loop(health) {
        lines.push(format!("Gateway event loop: degraded {busy}"));
    }
    lines.extend(channels(health));
    let agents: Vec<&Value> = list(health, "/agents").collect();
    if !agents.is_empty() {
        let names: Vec<String> = agents.iter().map(|agent| agent_name(agent)).collect();
        lines.push(format!("Agents: {}", names.join(", ")));
    }
    let beats: Vec<String> = agents
        .iter()
        .filter_map(|agent| {
            let id = text(agent, "/agentId")?;
            let on = agent
                .pointer("/heartbeat/enabled")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            let every = text(agent, "/heartbeat/every").filter(|_| on).unwrap_or("disabled");
            Some(format!("{every} ({id})"))
        })
        .collect();
    if !beats.is_empty() {
        lines.push(format!("Heartbeat interval: {}", beats.join(", ")));
    }
    for agent in &agents {
        if let (Some(id), Some(path)) = (text(agent, "/agentId"), text(agent, "/sessions/path")) {
            let count = agent.pointer("/sessions/count").and_then(Value::as_u64).unwrap_or(0);
            lines.push(format!("Session store ({id}): {path} ({count} entries)"));
        }
    }
    lines
}

/// Why the gateway calls itself degraded, if it does: `reasons=… max=…ms p99=…ms util=… cpu=…`.
pub fn event_loop(payload: &Value) -> Option<String> {
    let busy = payload.get("eventLoop")?;
    if !busy.get("degraded")?.as_bool()? {
        return None;
    }
    let reasons: Vec<&str> = list(busy, "/reasons").filter_map(Value::as_str).collect();
    let number = |name: &str| busy.get(name).map_or_else(|| "?".to_owned(), Value::to_string);
    Some(format!(
        "reasons={} max={}ms p99={}ms util={} cpu={}",
        reasons.join(","),
        number("delayMaxMs"),
        number("delayP99Ms"),
        number("utilization"),
        number("cpuCoreRatio")
    ))
}

/// One line per channel of a `health` payload.
pub fn channels(health: &Value) -> Vec<String> {
    ordered(health, "channels")
        .into_iter()
        .map(|(id, channel)| {
            let label = health
                .pointer(&format!("/channelLabels/{id}"))
                .and_then(Value::as_str)
                .unwrap_or(id);
            format!("{label}: {}", summary(channel))
        })
        .collect()
}

/// One line per account of a `channels.status` payload: `- Telegram default: enabled, configured, running, …`.
pub fn accounts(status: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, accounts) in ordered(status, "channelAccounts") {
        let label = status
            .pointer(&format!("/channelLabels/{id}"))
            .and_then(Value::as_str)
            .unwrap_or(id);
        for account in list(accounts, "") {
            let name = text(account, "/accountId").unwrap_or("default");
            lines.push(format!("- {label} {name}: {}", account_state(account)));
        }
    }
    lines
}

/// The state of one account in the words that upstream uses.
pub fn account_state(account: &Value) -> String {
    let flag = |name: &str| account.get(name).and_then(Value::as_bool);
    let mut words: Vec<String> = Vec::new();
    let mut say = |value: Option<bool>, yes: &str, no: &str| {
        if let Some(value) = value {
            let word = if value { yes } else { no };
            if !word.is_empty() {
                words.push(word.to_owned());
            }
        }
    };
    say(flag("enabled"), "enabled", "disabled");
    say(flag("configured"), "configured", "not configured");
    say(flag("linked"), "linked", "not linked");
    say(flag("running"), "running", "stopped");
    say(flag("connected"), "connected", "disconnected");
    say(flag("restartPending"), "restart pending", "");
    if let Some(mode) = text(account, "/mode") {
        words.push(format!("mode:{mode}"));
    }
    if let Some(bot) = text(account, "/bot/username").or_else(|| text(account, "/probe/bot/username")) {
        words.push(format!("bot:@{}", bot.trim_start_matches('@')));
    }
    match account.pointer("/probe/ok").and_then(Value::as_bool) {
        Some(true) => words.push("works".to_owned()),
        Some(false) => words.push("probe failed".to_owned()),
        None => {}
    }
    let error = text(account, "/lastError").or_else(|| text(account, "/probe/error"));
    if let Some(error) = error {
        words.push(format!("error:{error}"));
    }
    words.join(", ")
}

fn summary(channel: &Value) -> String {
    let configured = channel.get("configured").and_then(Value::as_bool).unwrap_or(true);
    match channel.pointer("/probe/ok").and_then(Value::as_bool) {
        _ if !configured => "not configured".to_owned(),
        Some(true) => {
            let took = channel.pointer("/probe/elapsedMs").and_then(Value::as_u64);
            let bot = text(channel, "/probe/bot/username").map(|name| format!(" (@{name})"));
            let took = took.map(|ms| format!(" ({ms}ms)"));
            format!("ok{}{}", bot.unwrap_or_default(), took.unwrap_or_default())
        }
        Some(false) => format!("failed ({})", text(channel, "/probe/error").unwrap_or("unknown")),
        None => account_state(channel),
    }
}

fn agent_name(agent: &Value) -> String {
    let id = text(agent, "/agentId").unwrap_or("?");
    if agent.get("isDefault").and_then(Value::as_bool).unwrap_or(false) {
        format!("{id} (default)")
    } else {
        id.to_owned()
    }
}

/// Entries of `payload.<name>` in the order of `channelOrder`, then those that it does not list.
fn ordered<'v>(payload: &'v Value, name: &str) -> Vec<(&'v str, &'v Value)> {
    let Some(entries) = payload.get(name).and_then(Value::as_object) else {
        return Vec::new();
    };
    let order: Vec<&str> = list(payload, "/channelOrder").filter_map(Value::as_str).collect();
    let listed = order.iter().filter_map(|id| entries.get_key_value(*id));
    let others = entries.iter().filter(|(id, _)| !order.contains(&id.as_str()));
    listed.chain(others).map(|(id, value)| (id.as_str(), value)).collect()
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}
