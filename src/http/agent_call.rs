//! What every endpoint that starts a run has in common: who may, how many at once, which agent in which conversation,
//! how the run is followed and how its failure is told.
//!
//! A request becomes one run; the response is that run's outcome, whole or as a stream. The run belongs to the request:
//! when the client goes away, hyper drops the handler's future or the body, and with it the run's handle, which aborts
//! the run. No status is sent before the run has something to say, so that a failure is a status and not an empty
//! success.

mod inputs;
mod outcome;
mod refusal;
mod slot;
mod stream;
mod target;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};

pub(super) use self::inputs::resolve;
pub(super) use self::outcome::{fault as outcome_fault, vanished};
pub(super) use self::refusal::Refusal;
pub(super) use self::slot::Slot;
pub(super) use self::stream::{Narrator, RunStream, Told, first_words};
pub(super) use self::target::{Keys, Target};
use super::read::{self, ReadLimits};
use super::surface::Exchange;
use super::{Body, fault};
use crate::base::RunId;
use crate::domain::run::{RunRequest, RunSource};
use crate::domain::{Fault, Principal, Scope};
use crate::models::client::{Dialogue, Turn};

/// A request that was let in, with its body.
pub(super) struct Admitted {
    /// Who asks.
    pub principal: Principal,
    /// The body.
    pub bytes: Bytes,
    /// Its place among the requests at work.
    pub slot: Slot,
}

/// Authentication, scope, life of the process, cap, body: in this order.
pub(super) async fn admit<B>(
    exchange: &Exchange<'_>,
    headers: &HeaderMap,
    body: B,
    max_bytes: u64,
) -> Result<Admitted, Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes>,
{
    let principal = exchange.authorize(headers, Scope::Write)?;
    if let Some(refusal) = not_now(exchange) {
        return Err(Box::new(fault::shape_a(&refusal)));
    }
    // Before the body, so that waiting bodies are bounded too.
    let Some(slot) = Slot::take(&exchange.surface.in_flight, exchange.settings.max_in_flight) else {
        return Err(Box::new(fault::shape_a(&overloaded())));
    };
    let limits = ReadLimits {
        bytes: max_bytes,
        silence: exchange.settings.body_silence,
    };
    match read::whole(headers, body, limits).await {
        Ok(bytes) => Ok(Admitted { principal, bytes, slot }),
        Err(error) => Err(Box::new(fault::unreadable(&error))),
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

/// The run that answers `turn`, whose dialogue is resolved as `dialogue`.
pub(super) fn run_request(target: Target, turn: &Turn, dialogue: Dialogue, headers: &HeaderMap) -> RunRequest {
    RunRequest {
        run_id: RunId::random(),
        source: RunSource::OpenAi,
        agent: target.agent,
        key_as_sent: target.conversation.key().as_str().to_owned(),
        send_allowed: None,
        conversation: target.conversation,
        input: dialogue.input,
        supplied_history: dialogue.history,
        tool_results: dialogue.tool_results,
        extra_system: dialogue.system,
        model: target.model,
        thinking: None,
        sampling: turn.sampling.clone(),
        client_tools: turn.tools.clone(),
        tool_choice: turn.tool_choice.clone(),
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
