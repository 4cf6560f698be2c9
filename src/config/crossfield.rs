//! Rules that span several keys, beyond what authentication and the listener check.

use super::snapshot::Issue;
use super::types::Config;
use super::types::channels::BUILT_IN;
use super::types::gateway::TailscaleMode;
use crate::base::net;
use crate::telemetry::redaction;

/// Built-in replacements of upstream plugins: their entry is used.
const BUILT_IN_PLUGINS: &[&str] = &["diagnostics-prometheus", "diagnostics-otel"];

/// Errors.
pub fn issues(config: &Config) -> Vec<Issue> {
    let mut out = Vec::new();
    let blocks = [
        ("gateway.trustedProxies", &config.gateway.trusted_proxies),
        (
            "gateway.nodes.pairing.autoApproveCidrs",
            &config.gateway.nodes.pairing.auto_approve_cidrs,
        ),
    ];
    for (path, list) in blocks {
        for (index, text) in list.iter().enumerate() {
            if !text.trim().is_empty() && net::parse_block(text).is_none() {
                out.push(Issue::error(
                    format!("{path}[{index}]"),
                    format!("Invalid input: expected an IP address or CIDR block, received \"{text}\""),
                ));
            }
        }
    }
    for channel in &config.gateway.readiness.required_channels {
        if !config.channels.by_id.contains_key(channel) && !BUILT_IN.contains(&channel.as_str()) {
            out.push(Issue::error(
                "gateway.readiness.requiredChannels",
                format!("channels.{channel} is required for readiness and not configured"),
            ));
        }
    }
    out
}

/// Warnings.
pub fn warnings(config: &Config) -> Vec<Issue> {
    let mut out = Vec::new();
    let channels: Vec<String> = config
        .channels
        .by_id
        .keys()
        .filter(|id| !BUILT_IN.contains(&id.as_str()))
        .map(|id| format!("channels.{id}"))
        .collect();
    if !channels.is_empty() {
        let text = format!(
            "no such channel in this gateway, the section is ignored: {}",
            channels.join(", ")
        );
        out.push(Issue::warning("channels", text));
    }
    let entries = config.plugins.get("entries").and_then(serde_json::Value::as_object);
    let enabled = |entry: &serde_json::Value| entry.get("enabled").and_then(serde_json::Value::as_bool) != Some(false);
    let plugins: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter(|(id, entry)| enabled(entry) && !BUILT_IN_PLUGINS.contains(&id.as_str()))
        .map(|(id, _)| format!("plugins.entries.{id}"))
        .collect();
    if !plugins.is_empty() {
        let text = format!("script plugins do not run in this gateway: {}", plugins.join(", "));
        out.push(Issue::warning("plugins", text));
    }
    for (index, pattern) in config.logging.redact_patterns.iter().flatten().enumerate() {
        if let Some(problem) = redaction::problem(index, pattern) {
            out.push(Issue::warning(format!("logging.redactPatterns[{index}]"), problem));
        }
    }
    if config.gateway.tailscale.mode != TailscaleMode::Off {
        out.push(Issue::warning(
            "gateway.tailscale.mode",
            "this gateway does not control Tailscale itself; run `tailscale serve` or `tailscale funnel` beside it",
        ));
    }
    if config.gateway.auth.mode == Some(super::types::gateway::AuthModeName::None) {
        out.push(Issue::warning(
            "gateway.auth.mode",
            "auth mode=none explicitly configured; all gateway connections are unauthenticated.",
        ));
    }
    out
}
