//! `sessions.reset`: a new conversation under the same key.

use serde_json::json;

use super::changed::{check_incarnation, entry, publish, stop_runs};
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::sessions::rows;
use crate::wire::params::sessions::{ResetReason, SessionsReset};

pub(super) async fn reset(ctx: RequestCtx, params: SessionsReset) -> MethodResult {
    let target = Target::of(&ctx, &params.key, params.agent_id.as_deref())?;
    target.check_agent(&ctx)?;
    let store = &ctx.services.store;
    if params.expected_session_id.is_some() {
        let row = store.session(target.key.as_str()).await.map_err(store_fault)?;
        check_incarnation(row.as_ref(), params.expected_session_id.as_deref())?;
    }
    stop_runs(&ctx, &target.key).await?;
    let row = store
        .reset_session(target.key.as_str(), target.agent.as_str(), ctx.services.clock.now_ms())
        .await
        .map_err(store_fault)?;
    let reason = match params.reason {
        Some(ResetReason::New) => "new",
        Some(ResetReason::Reset) | None => "reset",
    };
    publish(&ctx, &target.key, reason, Some(&row));
    let mut entry = entry(&ctx, &row);
    let model = rows::session_model(&row, &ctx.live.snapshot, &ctx.live.models);
    if let Some(model) = model {
        entry.insert("modelProvider".to_owned(), json!(&*model.provider));
        entry.insert("model".to_owned(), json!(&*model.model));
    }
    entry.insert("abortedLastRun".to_owned(), json!(row.aborted_last_run));
    let [input, output, ..] = row.usage;
    entry.insert("inputTokens".to_owned(), json!(input));
    entry.insert("outputTokens".to_owned(), json!(output));
    entry.insert("totalTokens".to_owned(), json!(row.last_prompt_tokens));
    entry.insert("totalTokensFresh".to_owned(), json!(true));
    payload(&json!({ "ok": true, "key": target.key, "entry": entry }))
}
