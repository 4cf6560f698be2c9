//! Methods about the gateway itself: health, status, presence, identity, log, channels, models and agents.

mod catalog;
mod channels;
mod presence;
mod status;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::domain::Scope;
use crate::domain::logs::TailQuery;
use crate::method;
use crate::rpc::method::{Access, Method, MethodResult, RequestCtx, payload};
use crate::rpc::validation::NoParams;

const READ: Access = Access::Operator(Scope::Read);

/// Lines of the table.
pub const METHODS: &[Method] = &[
    method!("health", Access::Anyone, listed: true, HealthParams, health),
    method!("status", READ, listed: true, status::StatusParams, status::status),
    method!("system-presence", READ, listed: true, NoParams, sync presence::list),
    method!("system-event", Access::Operator(Scope::Admin), listed: true, presence::EventParams, sync presence::event),
    method!("last-heartbeat", READ, listed: true, NoParams, sync last_heartbeat),
    method!("gateway.identity.get", READ, listed: true, NoParams, sync identity),
    method!("logs.tail", READ, listed: true, LogsParams, logs_tail),
    method!("channels.status", READ, listed: true, channels::StatusParams, sync channels::status),
    method!("models.list", READ, listed: true, catalog::ModelsParams, sync catalog::models),
    method!("agents.list", READ, listed: true, catalog::AgentsParams, sync catalog::agents),
    method!("agent.identity.get", READ, listed: true, catalog::IdentityParams, sync catalog::identity),
];

#[derive(Debug, Deserialize, JsonSchema)]
struct HealthParams {
    #[serde(default)]
    probe: Option<bool>,
}

async fn health(ctx: RequestCtx, params: HealthParams) -> MethodResult {
    let health = &ctx.services.health;
    let cached = if params.probe == Some(true) {
        None
    } else {
        health.cached()
    };
    let snapshot = match cached {
        Some(snapshot) => snapshot,
        None => health.refresh().await,
    };
    Ok(owned(&snapshot))
}

/// No heartbeat has run in this process, so there is no last one.
fn last_heartbeat(_ctx: RequestCtx, _params: NoParams) -> MethodResult {
    Ok(RawValue::NULL.to_owned())
}

fn identity(ctx: RequestCtx, _params: NoParams) -> MethodResult {
    let identity = &ctx.services.identity;
    payload(&json!({ "deviceId": identity.device_id, "publicKey": identity.public_key }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogsParams {
    #[serde(default)]
    #[schemars(range(min = 0))]
    cursor: Option<u64>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 5_000))]
    limit: Option<u32>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    max_bytes: Option<u32>,
}

async fn logs_tail(ctx: RequestCtx, params: LogsParams) -> MethodResult {
    let query = TailQuery {
        cursor: params.cursor,
        limit: usize::try_from(params.limit.unwrap_or(500)).unwrap_or(usize::MAX),
        max_bytes: u64::from(params.max_bytes.unwrap_or(250_000)),
    };
    let page = ctx.services.logs.tail(query).await?;
    payload(&json!({
        "file": page.file,
        "cursor": page.cursor,
        "size": page.size,
        "lines": page.lines,
        "truncated": page.truncated,
        "reset": page.reset,
    }))
}

fn owned(shared: &Arc<RawValue>) -> Box<RawValue> {
    let raw: &RawValue = shared;
    raw.to_owned()
}
