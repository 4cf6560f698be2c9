//! `sessions.get` (messages) and `sessions.resolve` (a key from an id or label).

use serde_json::{Value, json};

use crate::domain::Fault;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::sessions::{key, transcript};
use crate::store::{SessionQuery, SessionRow};
use crate::wire::params::sessions::{SessionsGet, SessionsResolve};

const DEFAULT_LIMIT: u64 = 200;
const MAX_LIMIT: u64 = 1_000;
/// Most characters of one text.
const MAX_CHARS: usize = 100_000;
/// Incarnations are looked for among so many of the newest sessions.
const MAX_SCAN: u32 = 10_000;

pub(super) async fn get(ctx: RequestCtx, params: SessionsGet) -> MethodResult {
    let written = params
        .key
        .or(params.session_key)
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| Fault::invalid("key required"))?;
    let target = Target::of(&ctx, &written, None)?;
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let stored = ctx
        .services
        .store
        .messages(target.key.as_str(), None, u32::try_from(limit).unwrap_or(u32::MAX))
        .await
        .map_err(store_fault)?;
    let messages: Vec<_> = stored
        .iter()
        .map(|message| transcript::history_view(message, MAX_CHARS))
        .collect();
    #[derive(serde::Serialize)]
    struct Answer<T> {
        messages: T,
    }
    payload(&Answer { messages })
}

pub(super) async fn resolve(ctx: RequestCtx, params: SessionsResolve) -> MethodResult {
    let given = [&params.key, &params.session_id, &params.label]
        .iter()
        .filter(|way| way.is_some())
        .count();
    match given {
        0 => return Err(Fault::invalid("Either key, sessionId, or label is required").into()),
        1 => {}
        _ => return Err(Fault::invalid("Provide either key, sessionId, or label (not multiple)").into()),
    }
    match find(&ctx, &params).await? {
        Ok(row) => payload(&json!({ "ok": true, "key": row.key })),
        Err(_) if params.allow_missing == Some(true) => payload(&json!({ "ok": true, "key": null })),
        Err(missing) => Err(missing.into()),
    }
}

/// The outer error is a failure, the inner one means that there is no such session.
async fn find(ctx: &RequestCtx, params: &SessionsResolve) -> Result<Result<SessionRow, Fault>, Fault> {
    let agent_id = params.agent_id.as_deref().map(|text| key::agent_id(text).to_string());
    if let Some(written) = &params.key {
        let target = Target::of(ctx, written, params.agent_id.as_deref())?;
        let row = ctx
            .services
            .store
            .session(target.key.as_str())
            .await
            .map_err(store_fault)?;
        let row = row.filter(|row| spawned_by(ctx, params, row));
        return Ok(row.ok_or_else(|| Fault::invalid(format!("No session found: {written}"))));
    }
    let query = SessionQuery {
        agent_id,
        label: params.label.clone(),
        limit: MAX_SCAN,
        ..SessionQuery::default()
    };
    let page = ctx.services.store.sessions(query).await.map_err(store_fault)?;
    let mut found: Vec<SessionRow> = page
        .rows
        .into_iter()
        .filter(|row| params.session_id.as_ref().is_none_or(|id| row.session_id == *id))
        .filter(|row| spawned_by(ctx, params, row))
        .collect();
    let wanted = match (&params.session_id, &params.label) {
        (Some(id), _) => id.clone(),
        (None, Some(label)) => format!("with label: {label}"),
        (None, None) => String::new(),
    };
    if found.len() > 1 {
        let keys: Vec<&str> = found.iter().map(|row| row.key.as_str()).collect();
        return Err(Fault::invalid(format!(
            "Multiple sessions found {wanted} ({})",
            keys.join(", ")
        )));
    }
    let separator = if params.session_id.is_some() { ": " } else { " " };
    Ok(found
        .pop()
        .ok_or_else(|| Fault::invalid(format!("No session found{separator}{wanted}"))))
}

fn spawned_by(ctx: &RequestCtx, params: &SessionsResolve, row: &SessionRow) -> bool {
    let Some(text) = &params.spawned_by else { return true };
    let by = row.settings.get("spawnedBy").and_then(Value::as_str);
    Target::of(ctx, text, params.agent_id.as_deref()).is_ok_and(|spawner| by == Some(spawner.key.as_str()))
}
