//! `chat.send`: a message into a session; the answer comes as events.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::stop;
use crate::base::RunId;
use crate::config::types::agents::Thinking;
use crate::domain::model::{Sampling, ToolChoice};
use crate::domain::run::{Accepted, Conversation, RunRecord, RunRequest, RunSource};
use crate::domain::{Fault, Part};
use crate::rpc::method::{MethodFailure, MethodResult, RequestCtx, payload};
use crate::rpc::methods::attachments;
use crate::rpc::methods::target::{Target, is_admin, owner};
use crate::sessions::policy;
use crate::wire::params::chat::ChatSend;

/// The channel of messages that come over the control plane.
const CHANNEL: &str = "webchat";

/// A message on its way into a session.
pub(in crate::rpc::methods) struct Outgoing {
    pub target: Target,
    pub key_as_sent: String,
    pub message: String,
    pub attachments: Vec<Value>,
    pub thinking: Option<Thinking>,
    pub timeout_ms: Option<u64>,
    pub run_id: RunId,
}

pub(super) async fn send(ctx: RequestCtx, params: ChatSend) -> MethodResult {
    check_provenance(&ctx, &params)?;
    let target = Target::of(&ctx, &params.session_key, params.agent_id.as_deref())?;
    if stop::is_stop(&params.message) && params.suppress_command_interpretation != Some(true) {
        target.check_agent(&ctx)?;
        return stop::by_message(&ctx, target).await;
    }
    let accepted = submit(
        &ctx,
        Outgoing {
            target,
            key_as_sent: params.session_key,
            message: params.message,
            attachments: params.attachments.unwrap_or_default(),
            thinking: thinking(params.thinking.as_deref())?,
            timeout_ms: params.timeout_ms,
            run_id: RunId::new(params.idempotency_key.as_str()),
        },
    )
    .await?;
    payload(&acknowledgement(&RunId::new(params.idempotency_key), accepted)?)
}

/// Checks the message and hands it to the run loop; it is on disk when this returns.
pub(in crate::rpc::methods) async fn submit(ctx: &RequestCtx, outgoing: Outgoing) -> Result<Accepted, Fault> {
    let input = input(&outgoing.message, &outgoing.attachments)?;
    outgoing.target.check_agent(ctx)?;
    let key = &outgoing.target.key;
    // No waiting before `submit`: messages of one connection take their places in the order in which they came.
    let send_allowed = policy::may_send(key, CHANNEL, None, &ctx.live.snapshot.config.session.send_policy);
    let request = RunRequest {
        run_id: outgoing.run_id,
        source: RunSource::Chat,
        agent: outgoing.target.agent,
        conversation: Conversation::Durable(outgoing.target.key),
        key_as_sent: outgoing.key_as_sent,
        send_allowed: Some(send_allowed),
        input,
        supplied_history: Vec::new(),
        tool_results: Vec::new(),
        extra_system: None,
        model: None,
        thinking: outgoing.thinking,
        sampling: Arc::new(Sampling::new()),
        client_tools: Arc::from([]),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        stream: true,
        timeout: deadline(outgoing.timeout_ms.map(Duration::from_millis)),
        owner: Some(owner(ctx)),
        trace: None,
    };
    ctx.services.runs.submit(request).await
}

/// The parts of a message. Neither text nor attachment is refused.
pub(in crate::rpc::methods) fn input(message: &str, attachments: &[Value]) -> Result<Vec<Part>, Fault> {
    let images = attachments::images(attachments)?;
    let mut parts = Vec::with_capacity(images.len() + 1);
    if !message.trim().is_empty() {
        parts.push(Part::Text(message.to_owned()));
    }
    parts.extend(images);
    if parts.is_empty() {
        return Err(Fault::invalid("message or attachment required"));
    }
    Ok(parts)
}

/// The thinking level a caller asked for; blank: none.
pub(in crate::rpc::methods) fn thinking(level: Option<&str>) -> Result<Option<Thinking>, Fault> {
    let Some(level) = level.map(str::trim).filter(|level| !level.is_empty()) else {
        return Ok(None);
    };
    Thinking::parse(level).map(Some).ok_or_else(|| {
        let known = Thinking::ALL.map(Thinking::as_str).join("|");
        Fault::invalid(format!("invalid thinking level \"{level}\" (use {known})"))
    })
}

/// Zero means none.
pub(in crate::rpc::methods) fn deadline(timeout: Option<Duration>) -> Option<Duration> {
    timeout.filter(|timeout| !timeout.is_zero())
}

/// What the sender learns: the run started, runs already, or is over.
pub(in crate::rpc::methods) fn acknowledgement(asked: &RunId, accepted: Accepted) -> Result<Value, MethodFailure> {
    match accepted {
        Accepted::New { .. } => Ok(json!({ "runId": asked, "status": "started" })),
        Accepted::InFlight { run_id, .. } => Ok(json!({ "runId": run_id, "status": "in_flight" })),
        Accepted::Done { record } => replay(&record),
    }
}

/// A repeated key gets the outcome of the run, never a second run.
fn replay(record: &RunRecord) -> Result<Value, MethodFailure> {
    let status = match record.state {
        "ok" => "ok",
        "aborted" | "timeout" => "timeout",
        _ => {
            let text = record.error.clone().unwrap_or_else(|| {
                format!(
                    "run was {}; send the message again with a new idempotencyKey",
                    record.state
                )
            });
            let beside = json!({ "runId": record.run_id, "status": "error", "summary": text });
            return Err(MethodFailure {
                fault: Fault::unavailable(text),
                payload: serde_json::value::to_raw_value(&beside).ok(),
            });
        }
    };
    Ok(json!({ "runId": record.run_id, "status": status }))
}

fn check_provenance(ctx: &RequestCtx, params: &ChatSend) -> Result<(), Fault> {
    if is_admin(ctx) {
        return Ok(());
    }
    if params.system_input_provenance.is_some() || params.system_provenance_receipt.is_some() {
        return Err(Fault::invalid("system provenance fields require admin scope"));
    }
    let originating = [
        &params.originating_channel,
        &params.originating_to,
        &params.originating_account_id,
        &params.originating_thread_id,
    ];
    if originating.iter().any(|field| field.is_some()) {
        return Err(Fault::invalid("originating route fields require admin scope"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SessionKey;

    fn done(state: &'static str, error: Option<&str>) -> Accepted {
        Accepted::Done {
            record: RunRecord {
                run_id: RunId::new("k1"),
                session_key: SessionKey::new("agent:main:main"),
                state,
                accepted_at_ms: 1,
                started_at_ms: None,
                ended_at_ms: None,
                error: error.map(str::to_owned),
                stop_reason: None,
                result: None,
            },
        }
    }

    #[test]
    fn the_acknowledgement_says_whether_a_run_started_runs_or_is_over() {
        let asked = RunId::new("k1");
        let ack = |accepted| acknowledgement(&asked, accepted).unwrap();
        assert_eq!(
            ack(Accepted::New { accepted_at_ms: 1 }),
            json!({"runId": "k1", "status": "started"})
        );
        let twin = Accepted::InFlight {
            run_id: RunId::new("first"),
            accepted_at_ms: 1,
        };
        assert_eq!(ack(twin), json!({"runId": "first", "status": "in_flight"}));
        assert_eq!(ack(done("ok", None)), json!({"runId": "k1", "status": "ok"}));
        assert_eq!(ack(done("aborted", None)), json!({"runId": "k1", "status": "timeout"}));
    }

    #[test]
    fn a_replayed_failure_answers_the_stored_error_beside_its_payload() {
        let failure = acknowledgement(&RunId::new("k1"), done("error", Some("model said no"))).unwrap_err();
        assert_eq!(failure.fault.message, "model said no");
        assert!(failure.payload.unwrap().get().contains("\"status\":\"error\""));
        let failure = acknowledgement(&RunId::new("k1"), done("interrupted", None)).unwrap_err();
        assert!(failure.fault.message.contains("new idempotencyKey"));
    }

    #[test]
    fn a_message_needs_text_or_an_attachment() {
        assert_eq!(input("  ", &[]).unwrap_err().message, "message or attachment required");
        assert_eq!(input(" hi ", &[]).unwrap(), [Part::Text(" hi ".into())]);
        assert_eq!(input("", &[json!({"content": "iVBORw0KGgo="})]).unwrap().len(), 1);
    }
}
