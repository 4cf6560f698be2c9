//! How a run's end is told: stored state, waiters' record, final payload, metrics. Pure but for the metrics.

use std::time::Duration;

use serde_json::{Value, json};

use super::table::ActiveRun;
use crate::domain::run::{RunEnd, RunOutcome, RunRecord, RunRequest};
use crate::live::Live;
use crate::store::RunState;
use crate::telemetry::events::RunFinished;

/// The final payload of the `agent` method.
pub(super) fn agent_result(
    request: &RunRequest,
    outcome: &RunOutcome,
    prompt_tokens: u64,
    live: &Live,
    session_id: Option<&str>,
) -> Value {
    let (status, summary, stop_reason) = match &outcome.end {
        RunEnd::Completed => ("ok", "completed", None),
        RunEnd::Aborted(reason) => ("timeout", "aborted", Some(*reason)),
        RunEnd::TimedOut => ("timeout", "aborted", Some("timeout")),
        RunEnd::Failed(failure) => {
            return json!({"runId": request.run_id, "status": "error", "summary": failure.message});
        }
    };
    let usage = &outcome.usage;
    let payloads = if outcome.text.is_empty() {
        json!([])
    } else {
        json!([{"text": outcome.text, "mediaUrl": null}])
    };
    let entry = outcome.model.as_ref().and_then(|model| live.models.entry(model));
    let result = json!({
        "payloads": payloads,
        "meta": {
            "durationMs": outcome.ended_at_ms - outcome.started_at_ms,
            "agentMeta": {
                "sessionId": session_id,
                "provider": outcome.model.as_ref().map(|model| &*model.provider),
                "model": outcome.model.as_ref().map(|model| &*model.model),
                "contextTokens": entry.map(|entry| entry.context_window),
                "usage": {"input": usage.input, "output": usage.output, "cacheRead": usage.cache_read,
                    "cacheWrite": usage.cache_write, "total": usage.total()},
                "promptTokens": prompt_tokens,
            },
            "aborted": !matches!(outcome.end, RunEnd::Completed),
        },
    });
    match stop_reason {
        None => json!({"runId": request.run_id, "status": status, "summary": summary, "result": result}),
        Some(reason) => {
            json!({"runId": request.run_id, "status": status, "summary": summary, "stopReason": reason, "result": result})
        }
    }
}

/// State, error and stop reason of an end, as stored and reported.
pub(super) fn stored_end(end: &RunEnd) -> (RunState, Option<String>, Option<String>) {
    match end {
        RunEnd::Completed => (RunState::Ok, None, None),
        RunEnd::Aborted("shutdown") => (RunState::Interrupted, None, Some("shutdown".to_owned())),
        RunEnd::Aborted(reason) => (RunState::Aborted, None, Some((*reason).to_owned())),
        RunEnd::TimedOut => (RunState::TimedOut, None, Some("timeout".to_owned())),
        RunEnd::Failed(failure) => (RunState::Error, Some(failure.message.clone()), None),
    }
}

/// The run as waiters and replays see it.
pub(super) fn record(
    request: &RunRequest,
    active: &ActiveRun,
    outcome: &RunOutcome,
    result: Option<Value>,
) -> RunRecord {
    let (state, error, stop_reason) = stored_end(&outcome.end);
    RunRecord {
        run_id: request.run_id.clone(),
        session_key: request.conversation.key().clone(),
        state: state.as_str(),
        accepted_at_ms: active.accepted_at_ms,
        started_at_ms: Some(outcome.started_at_ms),
        ended_at_ms: Some(outcome.ended_at_ms),
        error,
        stop_reason,
        result,
    }
}

/// The end in metrics.
pub(super) const fn outcome_name(end: &RunEnd) -> &'static str {
    match end {
        RunEnd::Completed => "completed",
        RunEnd::Aborted(_) => "aborted",
        RunEnd::TimedOut => "timeout",
        RunEnd::Failed(_) => "error",
    }
}

/// Counts the run and logs its end. `model`: its name in metrics.
pub(super) fn record_metrics(
    request: &RunRequest,
    outcome: &RunOutcome,
    model: &str,
    cost_usd: f64,
    duration: Duration,
) {
    let error = match &outcome.end {
        RunEnd::Failed(failure) => Some(failure.message.as_str()),
        _ => None,
    };
    let usage = &outcome.usage;
    RunFinished {
        run_id: request.run_id.as_str(),
        agent: request.agent.as_str(),
        trigger: request.source.as_str(),
        provider: outcome.model.as_ref().map_or("none", |model| &model.provider),
        model,
        outcome: outcome_name(&outcome.end),
        duration,
        tokens: [usage.input, usage.output, usage.cache_read, usage.cache_write],
        cost_usd,
        error,
    }
    .emit();
}
