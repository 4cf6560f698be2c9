//! `sessions.preview`: the last visible messages of several sessions, shortened.

use serde_json::{Value, json};

use super::transcript_text::{shorten, visible};
use crate::domain::Fault;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::wire::params::sessions::SessionsPreview;

/// Further keys are not answered.
const MAX_KEYS: usize = 64;
const DEFAULT_LIMIT: u64 = 12;
const MAX_LIMIT: u64 = 50;
const DEFAULT_CHARS: u64 = 240;
const MAX_CHARS: u64 = 2_000;
/// Tool steps between visible messages are skipped, so more are read than shown.
const READ_FACTOR: u64 = 4;

pub(super) async fn preview(ctx: RequestCtx, params: SessionsPreview) -> MethodResult {
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let max_chars = params.max_chars.unwrap_or(DEFAULT_CHARS).clamp(20, MAX_CHARS);
    let max_chars = usize::try_from(max_chars).unwrap_or(usize::MAX);
    let mut previews = Vec::new();
    for written in params.keys.iter().take(MAX_KEYS) {
        previews.push(one(&ctx, written, limit, max_chars).await?);
    }
    payload(&json!({ "ts": ctx.services.clock.now_ms(), "previews": previews }))
}

async fn one(ctx: &RequestCtx, written: &str, limit: u64, max_chars: usize) -> Result<Value, Fault> {
    let target = Target::of(ctx, written, None)?;
    let store = &ctx.services.store;
    if store.session(target.key.as_str()).await.map_err(store_fault)?.is_none() {
        return Ok(json!({ "key": written, "status": "missing", "items": [] }));
    }
    let read = u32::try_from(limit * READ_FACTOR).unwrap_or(u32::MAX);
    let stored = store
        .messages(target.key.as_str(), None, read)
        .await
        .map_err(store_fault)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut items: Vec<Value> = stored
        .iter()
        .rev()
        .filter_map(|message| {
            let text = visible(message)?;
            Some(json!({ "role": message.role, "text": shorten(&text, max_chars) }))
        })
        .take(shown)
        .collect();
    items.reverse();
    let status = if items.is_empty() { "empty" } else { "ok" };
    Ok(json!({ "key": written, "status": status, "items": items }))
}
