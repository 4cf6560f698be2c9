//! `agent.wait`: always succeeds; what it waited for is in `status`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::base::RunId;
use crate::domain::run::{RunRecord, RunSource};
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::wire::params::agent::AgentWait;

const DEFAULT_MS: u64 = 30_000;
/// Longer waits are cut; the caller asks again.
const MAX_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) async fn wait(ctx: RequestCtx, params: AgentWait) -> MethodResult {
    let run_id = RunId::new(params.run_id);
    let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(DEFAULT_MS).min(MAX_MS));
    let Some(record) = ctx.services.runs.wait(run_id.clone(), timeout).await else {
        return payload(&json!({ "runId": run_id, "status": "timeout" }));
    };
    let failed = matches!(record.state, "error" | "interrupted");
    // A failed model does not fail a chat message: it was dispatched.
    let dispatched = record.state == "error" && is_chat(&ctx, &run_id).await?;
    payload(&view(&record, failed && !dispatched))
}

async fn is_chat(ctx: &RequestCtx, run_id: &RunId) -> Result<bool, crate::domain::Fault> {
    let stored = ctx.services.store.run(run_id.as_str()).await.map_err(store_fault)?;
    Ok(stored.is_some_and(|run| run.source == RunSource::Chat.as_str()))
}

fn view(record: &RunRecord, failed: bool) -> Value {
    let stopped = matches!(record.state, "aborted" | "timeout");
    let (status, liveness) = match (failed, stopped) {
        (true, _) => ("error", Some("blocked")),
        (_, true) => ("timeout", None),
        _ => ("ok", Some("working")),
    };
    let mut map = Map::new();
    map.insert("runId".to_owned(), json!(record.run_id));
    map.insert("status".to_owned(), json!(status));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), value);
        }
    };
    put("startedAt", record.started_at_ms.map(Value::from));
    put("endedAt", record.ended_at_ms.map(Value::from));
    if failed {
        let text = record
            .error
            .clone()
            .unwrap_or_else(|| format!("run was {}", record.state));
        put("error", Some(json!(text)));
    }
    put("stopReason", record.stop_reason.as_ref().map(|reason| json!(reason)));
    put("livenessState", liveness.map(|state| json!(state)));
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SessionKey;

    fn record(state: &'static str, error: Option<&str>, stop: Option<&str>) -> RunRecord {
        RunRecord {
            run_id: RunId::new("r"),
            session_key: SessionKey::new("agent:main:main"),
            state,
            accepted_at_ms: 1,
            started_at_ms: Some(2),
            ended_at_ms: Some(3),
            error: error.map(str::to_owned),
            stop_reason: stop.map(str::to_owned),
            result: None,
        }
    }

    #[test]
    fn ends_are_reported_as_ok_error_or_timeout() {
        assert_eq!(
            view(&record("ok", None, None), false),
            json!({"runId": "r", "status": "ok", "startedAt": 2, "endedAt": 3, "livenessState": "working"})
        );
        assert_eq!(
            view(&record("aborted", None, Some("rpc")), false),
            json!({"runId": "r", "status": "timeout", "startedAt": 2, "endedAt": 3, "stopReason": "rpc"})
        );
        let failed = view(&record("error", Some("no"), None), true);
        assert_eq!((&failed["status"], &failed["error"]), (&json!("error"), &json!("no")));
        assert_eq!(
            view(&record("interrupted", None, None), true)["error"],
            "run was interrupted"
        );
    }
}
