//! `sessions.send`, `sessions.steer`, `sessions.abort`: runs of a session, by canonical key.

use serde_json::{Value, json};

use super::changed::publish;
use crate::base::{RunId, SessionKey};
use crate::domain::Fault;
use crate::domain::run::AbortRequest;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::chat::send::{Outgoing, acknowledgement, submit, thinking};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::{Target, is_admin, owner};
use crate::wire::params::sessions::{SessionsAbort, SessionsSend};

pub(super) async fn send(ctx: RequestCtx, params: SessionsSend) -> MethodResult {
    deliver(ctx, params, false).await
}

pub(super) async fn steer(ctx: RequestCtx, params: SessionsSend) -> MethodResult {
    deliver(ctx, params, true).await
}

async fn deliver(ctx: RequestCtx, params: SessionsSend, interrupt: bool) -> MethodResult {
    let target = Target::of(&ctx, &params.key, params.agent_id.as_deref())?;
    let row = ctx
        .services
        .store
        .session(target.key.as_str())
        .await
        .map_err(store_fault)?;
    let Some(row) = row else {
        return Err(Fault::invalid(format!("session not found: {}", params.key)).into());
    };
    if interrupt {
        ctx.services.runs.abort(request(&ctx, target.key.clone(), None)).await?;
    }
    let key = target.key.clone();
    let run_id = params.idempotency_key.map_or_else(RunId::random, RunId::new);
    let outgoing = Outgoing {
        target,
        key_as_sent: params.key,
        message: params.message,
        attachments: params.attachments.unwrap_or_default(),
        thinking: thinking(params.thinking.as_deref())?,
        timeout_ms: params.timeout_ms,
        run_id: run_id.clone(),
    };
    let mut answer = acknowledgement(&run_id, submit(&ctx, outgoing).await?)?;
    if answer.get("status").and_then(Value::as_str) == Some("started") {
        publish(&ctx, &key, "send", Some(&row));
        if let Some(map) = answer.as_object_mut() {
            map.insert("messageSeq".to_owned(), json!(row.message_count + 1));
        }
    }
    payload(&answer)
}

pub(super) async fn abort(ctx: RequestCtx, params: SessionsAbort) -> MethodResult {
    let run_id = params.run_id.map(RunId::new);
    let key = match (&params.key, &run_id) {
        (Some(text), _) => Target::of(&ctx, text, params.agent_id.as_deref())?.key,
        (None, Some(run_id)) => {
            let stored = ctx.services.store.run(run_id.as_str()).await.map_err(store_fault)?;
            match stored {
                Some(run) => SessionKey::new(run.session_key),
                None => return payload(&json!({ "ok": true, "abortedRunId": null, "status": "no-active-run" })),
            }
        }
        (None, None) => return Err(Fault::invalid("key or runId required").into()),
    };
    let report = ctx.services.runs.abort(request(&ctx, key.clone(), run_id)).await?;
    let aborted = report.run_ids.first();
    if aborted.is_some() {
        let row = ctx.services.store.session(key.as_str()).await.map_err(store_fault)?;
        publish(&ctx, &key, "abort", row.as_ref());
    }
    let status = if aborted.is_some() { "aborted" } else { "no-active-run" };
    payload(&json!({ "ok": true, "abortedRunId": aborted, "status": status }))
}

fn request(ctx: &RequestCtx, session_key: SessionKey, run_id: Option<RunId>) -> AbortRequest {
    AbortRequest {
        run_id,
        session_key,
        key_as_sent: None,
        owner: Some(owner(ctx)),
        is_admin: is_admin(ctx),
        reason: "rpc",
    }
}
