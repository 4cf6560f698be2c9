//! The `sessions.changed` event, and what changes have in common.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::base::SessionKey;
use crate::domain::Fault;
use crate::domain::event::{Audience, Event, EventName, Publisher as _};
use crate::domain::run::AbortRequest;
use crate::rpc::method::RequestCtx;
use crate::sessions::rows;
use crate::store::SessionRow;

/// Members of a row that the event leaves out.
const NOT_IN_EVENT: [&str; 5] = [
    "key",
    "thinkingLevels",
    "thinkingOptions",
    "thinkingDefault",
    "agentRuntime",
];

/// Tells session subscribers that `key` changed; `row` is its state now, unless it is gone.
pub(super) fn publish(ctx: &RequestCtx, key: &SessionKey, reason: &str, row: Option<&SessionRow>) {
    let hub = &ctx.services.hub;
    if !hub.has_audience(EventName::SessionsChanged) {
        return;
    }
    let mut event = Map::new();
    event.insert("sessionKey".to_owned(), json!(key));
    event.insert("reason".to_owned(), json!(reason));
    event.insert("ts".to_owned(), json!(ctx.services.clock.now_ms()));
    if let Some(row) = row {
        let members = rows::row_map(row, &ctx.live.snapshot, &ctx.live.models);
        event.extend(
            members
                .into_iter()
                .filter(|(name, _)| !NOT_IN_EVENT.contains(&name.as_str())),
        );
        let active = ctx.services.runs.active().sessions.contains(key);
        event.insert("hasActiveRun".to_owned(), json!(active));
    }
    if let Ok(payload) = serde_json::value::to_raw_value(&event) {
        hub.publish(Event {
            name: EventName::SessionsChanged,
            payload: payload.into(),
            audience: Audience::SessionSubscribers,
            droppable: true,
        });
    }
}

/// Where session state lives, for `path` and `sessionFile`.
pub(super) fn state_db(ctx: &RequestCtx) -> PathBuf {
    ctx.live.snapshot.state_dir.join("state.db")
}

/// `entry` of an answer.
pub(super) fn entry(ctx: &RequestCtx, row: &SessionRow) -> Map<String, Value> {
    rows::entry(row, &state_db(ctx))
}

/// Refuses a change that was meant for another incarnation.
pub(super) fn check_incarnation(row: Option<&SessionRow>, expected: Option<&str>) -> Result<(), Fault> {
    match expected {
        Some(expected) if row.is_none_or(|row| row.session_id != expected) => Err(Fault::new(
            crate::domain::FaultKind::Conflict,
            "session changed; reload it and retry",
        )),
        _ => Ok(()),
    }
}

/// Stops whatever runs in a session that is about to lose its conversation.
pub(super) async fn stop_runs(ctx: &RequestCtx, key: &SessionKey) -> Result<(), Fault> {
    let request = AbortRequest {
        run_id: None,
        session_key: key.clone(),
        key_as_sent: None,
        owner: None,
        is_admin: true,
        reason: "rpc",
    };
    ctx.services.runs.abort(request).await.map(|_| ())
}
