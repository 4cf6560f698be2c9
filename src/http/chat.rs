//! `POST /v1/chat/completions`.
//!
//! A request becomes one run; the response is that run's outcome, whole or as chunks. The run belongs to the request:
//! when the client goes away, hyper drops this future or the body, and with it the run's handle, which aborts the run.
//! No status is sent before the run has something to say, so that a failure is a status and not an empty success.

mod outcome;
mod slot;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use self::slot::Slot;
use self::stream::Chunks;
use self::target::Target;
use super::read::{self, ReadLimits};
use super::surface::Exchange;
use super::{Body, fault, reply};
use crate::base::RunId;
use crate::domain::run::{RunEvent, RunHandle, RunRequest, RunSource};
use crate::domain::{Fault, FaultKind, Principal, Scope};
use crate::models::client::{ChatTurn, parse_turn, wire_usage};
use crate::wire::openai::Completion;
use crate::wire::openai::completion::{ToolCall, completion_id};

/// Longest wait for the first words before the headers of a stream are sent without them.
const FIRST_WORDS: Duration = Duration::from_secs(10);

/// What the response repeats of the request.
struct Label {
    id: String,
    /// `model` as sent.
    model: String,
    /// Unix seconds.
    created: i64,
}

/// Answers one request.
pub(super) async fn handle<B>(exchange: &Exchange<'_>, headers: &HeaderMap, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
{
    let principal = match exchange.authorize(headers, Scope::Write) {
        Ok(principal) => principal,
        Err(refusal) => return *refusal,
    };
    if let Some(refusal) = not_now(exchange) {
        return fault::shape_a(&refusal);
    }
    // Before the body, so that waiting bodies are bounded too.
    let Some(slot) = Slot::take(&exchange.surface.in_flight, exchange.settings.max_in_flight) else {
        return fault::shape_a(&overloaded());
    };
    let limits = ReadLimits {
        bytes: exchange.settings.chat_body_bytes,
        silence: exchange.settings.body_silence,
    };
    let bytes = match read::whole(headers, body, limits).await {
        Ok(bytes) => bytes,
        Err(error) => return fault::unreadable(&error),
    };
    match run(exchange, headers, &principal, &bytes, slot).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

/// A refusal, with whether an automatic retry could do harm.
struct Refusal {
    fault: Fault,
    ran: bool,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, ran: false }
    }
}

impl Refusal {
    fn lost() -> Self {
        Self {
            fault: outcome::vanished(),
            ran: true,
        }
    }

    fn into_response(self) -> Response<Body> {
        let response = if self.fault.kind == FaultKind::Forbidden {
            fault::forbidden(&self.fault.message)
        } else {
            fault::shape_a(&self.fault)
        };
        // What was refused for the moment says when to come back; anything else ran already, tools included, or will
        // fail the same way again.
        if self.ran && self.fault.retry_after.is_none() {
            fault::no_retry(response)
        } else {
            response
        }
    }
}

fn not_now(exchange: &Exchange<'_>) -> Option<Fault> {
    let lifecycle = &exchange.surface.ports.lifecycle;
    if lifecycle.is_draining() {
        return Some(Fault::unavailable("The gateway is shutting down; retry shortly.").with_code("draining"));
    }
    if lifecycle.phase() == crate::lifecycle::Phase::Starting {
        return Some(Fault::unavailable("The gateway is starting; retry shortly.").with_code("starting"));
    }
    None
}

fn overloaded() -> Fault {
    Fault::unavailable("Too many agent requests are in flight; retry shortly.")
        .with_code("overloaded")
        .with_retry_after(Duration::from_secs(1))
}

async fn run(
    exchange: &Exchange<'_>,
    headers: &HeaderMap,
    principal: &Principal,
    bytes: &[u8],
    slot: Slot,
) -> Result<Response<Body>, Refusal> {
    let turn = parse_turn(bytes)?;
    let target = Target::of(&exchange.live, headers, principal, &turn)?;
    let label = Label {
        id: completion_id(),
        model: turn.model.clone(),
        created: exchange.surface.ports.clock.now_ms() / 1_000,
    };
    let (stream, include_usage) = (turn.stream, turn.include_usage);
    let request = run_request(target, turn, headers);
    let started = Instant::now();
    let handle = exchange.surface.ports.runs.start(request).await?;
    if stream {
        streamed(handle, label, include_usage, slot, started).await
    } else {
        whole(handle, &label).await
    }
}

fn run_request(target: Target, turn: ChatTurn, headers: &HeaderMap) -> RunRequest {
    RunRequest {
        run_id: RunId::random(),
        source: RunSource::OpenAi,
        agent: target.agent,
        key_as_sent: target.conversation.key().as_str().to_owned(),
        send_allowed: None,
        conversation: target.conversation,
        input: turn.input,
        supplied_history: turn.history,
        tool_results: turn.tool_results,
        extra_system: turn.system,
        model: target.model,
        sampling: turn.sampling,
        client_tools: turn.tools,
        tool_choice: turn.tool_choice,
        parallel_tool_calls: turn.parallel_tool_calls,
        stream: turn.stream,
        timeout: None,
        owner: None,
        traceparent: headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
    }
}

/// Waits for the end of the run.
async fn whole(mut handle: RunHandle, label: &Label) -> Result<Response<Body>, Refusal> {
    loop {
        match handle.next_event().await {
            Some(RunEvent::Finished(outcome)) => {
                if let Some(fault) = outcome::fault(&outcome) {
                    return Err(Refusal { fault, ran: true });
                }
                let calls = outcome
                    .tool_calls
                    .iter()
                    .map(|call| ToolCall::new(&call.id, &call.name, &call.arguments))
                    .collect();
                let completion = Completion::new(
                    &label.id,
                    label.created,
                    &label.model,
                    &outcome.text,
                    calls,
                    outcome.finish.as_str(),
                    wire_usage(&outcome.usage),
                );
                return Ok(reply::json(StatusCode::OK, &completion));
            }
            Some(_) => {}
            None => return Err(Refusal::lost()),
        }
    }
}

/// Waits for the first words, or long enough, and answers with the stream.
async fn streamed(
    mut handle: RunHandle,
    label: Label,
    include_usage: bool,
    slot: Slot,
    started: Instant,
) -> Result<Response<Body>, Refusal> {
    let patience = started + FIRST_WORDS;
    let first = loop {
        match timeout_at(patience, handle.next_event()).await {
            // Nothing for the client yet: the provider may still refuse or break off, which is then a status.
            Ok(Some(RunEvent::Started)) => {}
            Ok(Some(RunEvent::Finished(outcome))) => {
                if let Some(fault) = outcome::fault(&outcome) {
                    return Err(Refusal { fault, ran: true });
                }
                break Some(RunEvent::Finished(outcome));
            }
            Ok(Some(event)) => break Some(event),
            Ok(None) => return Err(Refusal::lost()),
            Err(_) => break None,
        }
    };
    let chunks = Chunks::new(handle, &label, include_usage, first, slot);
    let mut response = Response::new(Body::stream(chunks));
    let headers = response.headers_mut();
    for (name, value) in stream::HEADERS {
        headers.insert(name, value);
    }
    Ok(response)
}
