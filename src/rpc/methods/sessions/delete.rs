//! `sessions.delete`.

use serde_json::{Value, json};

use super::changed::{check_incarnation, publish, stop_runs};
use crate::domain::{Fault, Scope};
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::{Target, is_admin};
use crate::sessions::key;
use crate::wire::params::sessions::SessionsDelete;

pub(super) async fn delete(ctx: RequestCtx, params: SessionsDelete) -> MethodResult {
    let archived_only = params.archived_only == Some(true);
    if !archived_only && !is_admin(&ctx) {
        return Err(Fault::missing_scope(Scope::Admin.as_str()).into());
    }
    let target = Target::of(&ctx, &params.key, params.agent_id.as_deref())?;
    if target.key == key::main_key(ctx.live.snapshot.default_agent()) {
        return Err(Fault::invalid(format!("Cannot delete the main session ({}).", target.key)).into());
    }
    let store = &ctx.services.store;
    let row = store.session(target.key.as_str()).await.map_err(store_fault)?;
    check_incarnation(row.as_ref(), params.expected_session_id.as_deref())?;
    let archived = |name: &str| {
        row.as_ref()
            .and_then(|row| row.settings.get(name))
            .and_then(Value::as_bool)
    };
    if archived_only && row.is_some() && archived("archived") != Some(true) {
        return Err(Fault::invalid(format!("session \"{}\" is not archived", target.key)).into());
    }
    stop_runs(&ctx, &target.key).await?;
    let deleted = store
        .delete_session(target.key.as_str(), params.delete_transcript.unwrap_or(true))
        .await
        .map_err(store_fault)?;
    if deleted {
        publish(&ctx, &target.key, "delete", None);
    }
    // Transcripts are rows of the database: there are no files to name.
    payload(&json!({ "ok": true, "key": target.key, "deleted": deleted, "archived": [] }))
}
