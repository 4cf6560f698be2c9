//! `status`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::catalog::default_model;
use crate::domain::{Fault, FaultKind, Scope};
use crate::health::snapshot::{channel_labels, store_path};
use crate::models::CatalogEntry;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::store::{SessionQuery, SessionRow, StoreError};

/// Newest sessions shown.
const RECENT: u32 = 10;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusParams {
    #[serde(default)]
    include_channel_summary: Option<bool>,
}

pub(super) async fn status(ctx: RequestCtx, params: StatusParams) -> MethodResult {
    let snapshot = &ctx.live.snapshot;
    let is_admin = ctx.principal.may(Scope::Admin);
    let path = store_path(snapshot);
    let now_ms = ctx.services.clock.now_ms();
    let default = default_model(&ctx.live, snapshot.agents.iter().find(|agent| agent.is_default));
    let all = ctx.services.store.sessions(query(None)).await.map_err(unreadable)?;
    let mut by_agent = Vec::with_capacity(snapshot.agents.len());
    for agent in &snapshot.agents {
        let page = ctx
            .services
            .store
            .sessions(query(Some(agent.id.as_str().to_owned())))
            .await
            .map_err(unreadable)?;
        by_agent.push(json!({
            "agentId": agent.id,
            "path": if is_admin { path.as_str() } else { "[redacted]" },
            "count": page.total,
            "recent": rows(&page.rows, default.as_ref(), now_ms),
        }));
    }
    let heartbeats: Vec<Value> = snapshot
        .agents
        .iter()
        .map(|agent| json!({ "agentId": agent.id, "enabled": false, "every": "disabled", "everyMs": null }))
        .collect();
    let active = ctx.services.runs.active();
    let total = active.queued + active.running;
    payload(&json!({
        "runtimeVersion": env!("CARGO_PKG_VERSION"),
        "heartbeat": { "defaultAgentId": snapshot.default_agent(), "agents": heartbeats },
        "channelSummary": if params.include_channel_summary == Some(false) { Vec::new() } else { channel_lines(&ctx) },
        "queuedSystemEvents": [],
        "tasks": {
            "total": total,
            "active": total,
            "terminal": 0,
            "failures": 0,
            "byStatus": {
                "queued": active.queued,
                "running": active.running,
                "succeeded": 0,
                "failed": 0,
                "timed_out": 0,
                "cancelled": 0,
                "lost": 0,
            },
            "byRuntime": { "subagent": 0, "acp": 0, "cli": total, "cron": 0 },
        },
        "taskAudit": {
            "total": 0,
            "warnings": 0,
            "errors": 0,
            "byCode": {
                "stale_queued": 0,
                "stale_running": 0,
                "lost": 0,
                "delivery_failed": 0,
                "missing_cleanup": 0,
                "inconsistent_timestamps": 0,
            },
        },
        "sessions": {
            "paths": if is_admin { vec![path] } else { Vec::new() },
            "count": all.total,
            "defaults": {
                "model": default.as_ref().map(|entry| &entry.model.model),
                "contextTokens": default.as_ref().map(|entry| entry.entry.context_window),
            },
            "recent": rows(&all.rows, default.as_ref(), now_ms),
            "byAgent": by_agent,
        },
        "eventLoop": ctx.services.health.lag(),
    }))
}

fn query(agent_id: Option<String>) -> SessionQuery {
    SessionQuery {
        agent_id,
        limit: RECENT,
        ..SessionQuery::default()
    }
}

fn unreadable(error: StoreError) -> Fault {
    Fault::new(FaultKind::Unavailable, error.to_string())
}

/// One line per channel for people.
fn channel_lines(ctx: &RequestCtx) -> Vec<String> {
    let accounts = ctx.services.channels.status();
    let labels = channel_labels(&accounts);
    accounts
        .iter()
        .map(|account| {
            let label = labels
                .get(&account.channel)
                .and_then(Value::as_str)
                .unwrap_or(&account.channel);
            let state = match (account.enabled, account.running, account.connected) {
                (false, _, _) => "disabled",
                (true, true, true) => "connected",
                (true, true, false) => "connecting",
                (true, false, _) => "stopped",
            };
            format!("{label} ({}): {state}", account.account)
        })
        .collect()
}

fn rows(rows: &[SessionRow], default: Option<&CatalogEntry>, now_ms: i64) -> Vec<Value> {
    rows.iter().map(|row| session(row, default, now_ms)).collect()
}

fn session(row: &SessionRow, default: Option<&CatalogEntry>, now_ms: i64) -> Value {
    let [input, output, cache_read, cache_write] = row.usage;
    let context = default.map(|entry| entry.entry.context_window);
    let remaining = context.map(|context| context.saturating_sub(row.last_prompt_tokens));
    let percent = context
        .filter(|context| *context > 0)
        .map(|context| (row.last_prompt_tokens * 100 / context).min(999));
    let model = row
        .model
        .as_ref()
        .map(|(_, model)| model.as_str())
        .or_else(|| default.map(|entry| entry.model.model.as_ref()));
    json!({
        "agentId": row.agent_id,
        "key": row.key,
        "kind": if row.key.contains(":group:") { "group" } else { "direct" },
        "sessionId": row.session_id,
        "updatedAt": row.updated_at_ms,
        "age": (now_ms - row.updated_at_ms).max(0),
        "systemSent": row.message_count > 0,
        "abortedLastRun": row.aborted_last_run,
        "inputTokens": input,
        "outputTokens": output,
        "cacheRead": cache_read,
        "cacheWrite": cache_write,
        "totalTokens": row.last_prompt_tokens,
        "totalTokensFresh": true,
        "remainingTokens": remaining,
        "percentUsed": percent,
        "model": model,
        "contextTokens": context,
        "flags": [format!("id:{}", row.session_id)],
    })
}
