//! Subscriptions of a connection to sessions and their messages.

use serde_json::json;

use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::target::Target;
use crate::rpc::validation::NoParams;
use crate::wire::params::sessions::SessionKeyOnly;

pub(super) async fn subscribe(ctx: RequestCtx, _params: NoParams) -> MethodResult {
    ctx.services.hub.subscribe_sessions(&ctx.conn.id, true);
    payload(&json!({ "subscribed": true }))
}

pub(super) async fn unsubscribe(ctx: RequestCtx, _params: NoParams) -> MethodResult {
    ctx.services.hub.subscribe_sessions(&ctx.conn.id, false);
    payload(&json!({ "subscribed": false }))
}

pub(super) async fn subscribe_messages(ctx: RequestCtx, params: SessionKeyOnly) -> MethodResult {
    messages(&ctx, &params, true)
}

pub(super) async fn unsubscribe_messages(ctx: RequestCtx, params: SessionKeyOnly) -> MethodResult {
    messages(&ctx, &params, false)
}

fn messages(ctx: &RequestCtx, params: &SessionKeyOnly, on: bool) -> MethodResult {
    let target = Target::of(ctx, &params.key, params.agent_id.as_deref())?;
    ctx.services.hub.subscribe_messages(&ctx.conn.id, &target.key, on);
    payload(&json!({ "subscribed": on, "key": target.key }))
}
