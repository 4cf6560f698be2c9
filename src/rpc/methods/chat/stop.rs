//! `chat.abort`, and messages that mean it.

use serde_json::json;

use crate::base::RunId;
use crate::domain::run::AbortRequest;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::target::{Target, is_admin, owner};
use crate::wire::params::chat::ChatAbort;

/// Whole messages that stop the session's runs.
const STOP_WORDS: [&str; 4] = ["/stop", "stop", "abort", "esc"];

pub(super) async fn abort(ctx: RequestCtx, params: ChatAbort) -> MethodResult {
    let target = Target::of(&ctx, &params.session_key, params.agent_id.as_deref())?;
    let request = AbortRequest {
        run_id: params.run_id.map(RunId::new),
        session_key: target.key,
        // The run is found only under the very text it was started with.
        key_as_sent: Some(params.session_key),
        owner: Some(owner(&ctx)),
        is_admin: is_admin(&ctx),
        reason: "rpc",
    };
    answer(&ctx, request).await
}

/// Whether a message means "stop".
pub(super) fn is_stop(message: &str) -> bool {
    let message = message.trim();
    STOP_WORDS.iter().any(|word| message.eq_ignore_ascii_case(word))
}

/// Stops every run of the session because a message said so.
pub(super) async fn by_message(ctx: &RequestCtx, target: Target) -> MethodResult {
    let request = AbortRequest {
        run_id: None,
        session_key: target.key,
        key_as_sent: None,
        owner: Some(owner(ctx)),
        is_admin: is_admin(ctx),
        reason: "stop",
    };
    answer(ctx, request).await
}

async fn answer(ctx: &RequestCtx, request: AbortRequest) -> MethodResult {
    let report = ctx.services.runs.abort(request).await?;
    payload(&json!({
        "ok": true,
        "aborted": !report.run_ids.is_empty(),
        "runIds": report.run_ids,
    }))
}

#[cfg(test)]
mod tests {
    use super::is_stop;

    #[test]
    fn only_a_whole_message_stops() {
        assert!(is_stop("/stop") && is_stop(" STOP \n") && is_stop("esc"));
        assert!(!is_stop("stop the server") && !is_stop("/stop now") && !is_stop(""));
    }
}
