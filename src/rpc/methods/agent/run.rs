//! `agent`: starts a run, says so at once, and answers again with its end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::RunId;
use crate::domain::model::{ModelRef, Sampling, ToolChoice};
use crate::domain::run::{Accepted, Conversation, RunRecord, RunRequest, RunSource};
use crate::domain::{Fault, FaultKind};
use crate::rpc::method::{MethodFailure, MethodResult, RequestCtx, payload};
use crate::rpc::methods::chat::send;
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::{Target, is_admin, owner};
use crate::sessions::{key, policy};
use crate::wire::params::agent::Agent;

/// How long one wait for the end lasts before the run is looked at again.
const WAIT_STEP: Duration = Duration::from_secs(300);

pub(super) async fn agent(ctx: RequestCtx, params: Agent) -> MethodResult {
    let model = model(&ctx, &params)?;
    let target = target(&ctx, &params)?;
    check_delivery(&params)?;
    let channel = params.channel.as_deref().unwrap_or("webchat");
    let policy = &ctx.live.snapshot.config.session.send_policy;
    let send_allowed = policy::may_send(&target.key, channel, None, policy);
    let run_id = RunId::new(params.idempotency_key.as_str());
    let request = RunRequest {
        run_id: run_id.clone(),
        source: RunSource::Agent,
        agent: target.agent.clone(),
        conversation: Conversation::Durable(target.key.clone()),
        key_as_sent: params.session_key.clone().unwrap_or_else(|| target.key.to_string()),
        send_allowed: Some(send_allowed),
        input: send::input(&params.message, params.attachments.as_deref().unwrap_or_default())?,
        supplied_history: Vec::new(),
        tool_results: Vec::new(),
        extra_system: params.extra_system_prompt,
        model,
        thinking: send::thinking(params.thinking.as_deref())?,
        sampling: Arc::new(Sampling::new()),
        client_tools: Arc::from([]),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        stream: true,
        timeout: send::deadline(params.timeout.map(Duration::from_secs)),
        owner: Some(owner(&ctx)),
        trace: None,
    };
    match ctx.services.runs.submit(request).await? {
        Accepted::New { accepted_at_ms } => {
            ctx.interim
                .respond(payload(&accepted(&ctx, &target, &run_id, accepted_at_ms))?);
            let record = end(&ctx, &run_id).await?;
            finished(&record)
        }
        // A repetition learns where the first stands, once.
        Accepted::InFlight { run_id, accepted_at_ms } => payload(&accepted(&ctx, &target, &run_id, accepted_at_ms)),
        Accepted::Done { record } => finished(&record),
    }
}

fn target(ctx: &RequestCtx, params: &Agent) -> Result<Target, Fault> {
    let named = params.agent_id.as_deref().map(str::trim);
    if let Some(named) = named
        && ctx.live.snapshot.agent(key::agent_id(named).as_str()).is_none()
    {
        return Err(Fault::invalid(format!(
            "invalid agent params: unknown agent id \"{named}\""
        )));
    }
    let agent = named.map_or_else(|| ctx.live.snapshot.default_agent().clone(), key::agent_id);
    let text = params
        .session_key
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let target = match text {
        Some(text) => Target::of(ctx, text, named)?,
        None => Target {
            key: key::main_key(&agent),
            agent: agent.clone(),
        },
    };
    if named.is_some() && target.agent != agent {
        return Err(Fault::invalid(format!(
            "invalid agent params: agent \"{agent}\" does not match session key agent \"{}\"",
            target.agent
        )));
    }
    target.check_agent(ctx)?;
    Ok(target)
}

fn model(ctx: &RequestCtx, params: &Agent) -> Result<Option<ModelRef>, Fault> {
    let blank = |text: &Option<String>| {
        text.as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let (provider, model) = (blank(&params.provider), blank(&params.model));
    if provider.is_none() && model.is_none() {
        return Ok(None);
    }
    if !is_admin(ctx) {
        return Err(Fault::invalid(
            "provider/model overrides are not authorized for this caller.",
        ));
    }
    let Some(model) = model else {
        return Err(Fault::invalid("invalid agent params: provider needs a model beside it"));
    };
    let text = match &provider {
        Some(provider) => format!("{provider}/{model}"),
        None => model,
    };
    let found = ctx.live.models.resolve(&text).or_else(|| {
        let (provider, model) = text.split_once('/')?;
        // Providers may serve models that are not listed.
        ctx.live.models.provider(provider).map(|_| ModelRef {
            provider: provider.into(),
            model: model.into(),
        })
    });
    found
        .map(Some)
        .ok_or_else(|| Fault::invalid(format!("invalid agent params: unknown model \"{text}\"")))
}

/// Channels that could take an answer do not exist yet; a run whose answer would be lost is not started.
fn check_delivery(params: &Agent) -> Result<(), Fault> {
    if params.deliver != Some(true) || params.best_effort_deliver == Some(true) {
        return Ok(());
    }
    match params.reply_channel.as_deref().or(params.channel.as_deref()) {
        None | Some("last") => Err(Fault::invalid(
            "Error: Channel is required (no configured channels detected).",
        )),
        Some("webchat") => Ok(()),
        Some(channel) => Err(Fault::invalid(format!("unsupported channel: {channel}"))),
    }
}

fn accepted(ctx: &RequestCtx, target: &Target, run_id: &RunId, accepted_at_ms: i64) -> Value {
    if ctx.conn.protocol >= 4 {
        return json!({
            "runId": run_id,
            "sessionKey": target.key,
            "agentId": target.agent,
            "status": "accepted",
            "acceptedAt": accepted_at_ms,
        });
    }
    json!({ "runId": run_id, "status": "accepted", "acceptedAt": accepted_at_ms })
}

async fn end(ctx: &RequestCtx, run_id: &RunId) -> Result<RunRecord, Fault> {
    loop {
        if let Some(record) = ctx.services.runs.wait(run_id.clone(), WAIT_STEP).await {
            return Ok(record);
        }
        if ctx
            .services
            .store
            .run(run_id.as_str())
            .await
            .map_err(store_fault)?
            .is_none()
        {
            return Err(Fault::new(
                FaultKind::Internal,
                format!("run \"{run_id}\" disappeared before it ended"),
            ));
        }
    }
}

/// The final answer: a payload, beside an error if the run failed.
fn finished(record: &RunRecord) -> MethodResult {
    let failed = matches!(record.state, "error" | "interrupted");
    let text = || {
        record
            .error
            .clone()
            .unwrap_or_else(|| format!("run was {}", record.state))
    };
    let value = record.result.clone().unwrap_or_else(|| match record.state {
        "ok" => json!({ "runId": record.run_id, "status": "ok", "summary": "completed" }),
        "aborted" | "timeout" => json!({
            "runId": record.run_id,
            "status": "timeout",
            "summary": "aborted",
            "stopReason": record.stop_reason,
        }),
        _ => json!({ "runId": record.run_id, "status": "error", "summary": text() }),
    });
    let answer = payload(&value)?;
    if failed {
        return Err(MethodFailure {
            fault: Fault::unavailable(text()),
            payload: Some(answer),
        });
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SessionKey;

    fn record(state: &'static str, error: Option<&str>, result: Option<Value>) -> RunRecord {
        RunRecord {
            run_id: RunId::new("agent-6"),
            session_key: SessionKey::new("agent:main:main"),
            state,
            accepted_at_ms: 1,
            started_at_ms: Some(2),
            ended_at_ms: Some(3),
            error: error.map(str::to_owned),
            stop_reason: None,
            result,
        }
    }

    #[test]
    fn a_failed_run_answers_payload_and_error_together() {
        let stored = json!({"runId": "agent-6", "status": "error", "summary": "no"});
        let failure = finished(&record("error", Some("no"), Some(stored.clone()))).unwrap_err();
        assert_eq!(failure.fault.kind, FaultKind::Unavailable);
        assert_eq!(failure.payload.unwrap().get(), stored.to_string());
    }

    #[test]
    fn an_interrupted_run_is_an_error_even_without_a_stored_payload() {
        let failure = finished(&record("interrupted", None, None)).unwrap_err();
        assert_eq!(failure.fault.message, "run was interrupted");
        assert!(failure.payload.unwrap().get().contains("\"status\":\"error\""));
    }

    #[test]
    fn an_answered_run_replays_its_stored_payload() {
        let stored = json!({"runId": "agent-6", "status": "ok", "summary": "completed", "result": {"payloads": []}});
        assert_eq!(
            finished(&record("ok", None, Some(stored.clone()))).unwrap().get(),
            stored.to_string()
        );
    }
}
