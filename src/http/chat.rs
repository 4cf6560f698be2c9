//! `POST /v1/chat/completions`.

mod chunks;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use self::chunks::Chunks;
use super::agent_call::{self, Admitted, Keys, Refusal, RunStream, Target};
use super::surface::Exchange;
use super::{Body, reply};
use crate::domain::run::{RunEvent, RunHandle};
use crate::models::client::{ChatTurn, join_logprobs, parse_turn, wire_usage};
use crate::wire::openai::Completion;
use crate::wire::openai::completion::{ToolCall, completion_id};

const KEYS: Keys = Keys {
    user: "openai-user",
    single: "openai",
};

/// What the response repeats of the request.
struct Label {
    id: String,
    /// `model` as sent.
    model: String,
    /// Unix seconds.
    created: i64,
}

/// What the client wants to see of an answer.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Log probabilities.
    wants_logprobs: bool,
    /// Its only call in the form that was before tools.
    as_function: bool,
}

/// Answers one request.
pub(super) async fn handle<B>(exchange: &Exchange<'_>, headers: &HeaderMap, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
{
    let admitted = match agent_call::admit(exchange, headers, body, exchange.settings.chat_body_bytes).await {
        Ok(admitted) => admitted,
        Err(refusal) => return *refusal,
    };
    match run(exchange, headers, admitted).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn run(exchange: &Exchange<'_>, headers: &HeaderMap, admitted: Admitted) -> Result<Response<Body>, Refusal> {
    let Admitted { principal, bytes, slot } = admitted;
    let ChatTurn {
        mut turn,
        include_usage,
        as_function,
    } = agent_call::parse(bytes, parse_turn).await?;
    let target = Target::of(&exchange.live, headers, &principal, &turn, KEYS)?;
    let inputs = &exchange.surface.inputs;
    let dialogue = std::mem::take(&mut turn.dialogue);
    let dialogue = inputs
        .resolve(dialogue, &exchange.settings.chat_inputs, "messages")
        .await?;
    let request = agent_call::run_request(target, &turn, dialogue, headers);
    let label = Label {
        id: completion_id(),
        model: turn.model,
        created: exchange.surface.ports.clock.now_ms() / 1_000,
    };
    let wants_logprobs = turn.sampling.get("logprobs") == Some(&Value::Bool(true));
    let started = Instant::now();
    let mut handle = exchange.surface.ports.runs.start(request).await?;
    if !turn.stream {
        return whole(
            handle,
            &label,
            Form {
                wants_logprobs,
                as_function,
            },
        )
        .await;
    }
    let first = agent_call::first_words(&mut handle, started).await?;
    let chunks = Chunks::new(
        &label,
        include_usage,
        Form {
            wants_logprobs,
            as_function,
        },
    );
    Ok(RunStream::new(handle, chunks, first, slot).into_response())
}

/// Waits for the end of the run.
async fn whole(mut handle: RunHandle, label: &Label, form: Form) -> Result<Response<Body>, Refusal> {
    let mut logprobs = Vec::new();
    loop {
        match handle.next_event().await {
            Some(RunEvent::Finished(outcome)) => {
                if let Some(fault) = agent_call::outcome_fault(&outcome) {
                    return Err(Refusal::of_run(fault));
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
                let logprobs = join_logprobs(&logprobs);
                let completion = completion
                    .with_reasoning(&outcome.reasoning)
                    .with_logprobs(logprobs.as_deref());
                let completion = if form.as_function {
                    completion.with_function_call()
                } else {
                    completion
                };
                return Ok(reply::json(StatusCode::OK, &completion));
            }
            Some(RunEvent::Logprobs(object)) if form.wants_logprobs => logprobs.push(object),
            Some(_) => {}
            None => return Err(Refusal::of_run(agent_call::vanished())),
        }
    }
}
