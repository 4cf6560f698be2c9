//! What every endpoint that starts a run has in common: who may, how many at once, which agent in which conversation,
//! how the run is followed and how its failure is told.
//!
//! A request becomes one run; the response is that run's outcome, whole or as a stream. The run belongs to the request:
//! when the client goes away, hyper drops the handler's future or the body, and with it the run's handle, which aborts
//! the run. No status is sent before the run has something to say, so that a failure is a status and not an empty
//! success.

mod document;
mod inputs;
mod outcome;
mod pass;
mod pixels;
mod refusal;
mod rules;
mod slot;
mod stream;
mod target;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, header};

pub(super) use self::inputs::Inputs;
pub(super) use self::outcome::{fault as outcome_fault, vanished};
pub(super) use self::refusal::Refusal;
pub(super) use self::rules::InputRules;
pub(super) use self::slot::{Full, Slot, SlotLimits, Slots};
pub(super) use self::stream::{Narrator, RunStream, Told, first_words};
pub(super) use self::target::{Keys, Target, embedding_target};
use super::read::{self, ReadLimits};
use super::surface::Exchange;
use super::{Body, fault};
use crate::base::RunId;
use crate::domain::run::{RunRequest, RunSource};
use crate::domain::{Fault, FaultKind, Principal, Scope};
use crate::models::client::{Dialogue, Turn};
use crate::telemetry::trace::{TRACEPARENT, TraceContext};
use crate::wire::bulk;

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
    // Before the body, so that waiting bodies are bounded too.
    let slot = place(exchange, &principal).map_err(|refusal| Box::new(fault::shape_a(&refusal)))?;
    if let Some(refusal) = encoded(headers) {
        return Err(Box::new(fault::shape_a(&refusal)));
    }
    let limits = ReadLimits {
        bytes: max_bytes,
        silence: exchange.settings.body_silence,
    };
    match read::whole(headers, body, limits).await {
        Ok(bytes) => match parse(bytes.clone(), not_bulky).await {
            Ok(()) => Ok(Admitted { principal, bytes, slot }),
            Err(refusal) => Err(Box::new(fault::shape_a(&refusal))),
        },
        Err(error) => Err(Box::new(fault::unreadable(&error))),
    }
}

/// A compressed body would be taken for broken JSON.
fn encoded(headers: &HeaderMap) -> Option<Fault> {
    let encoding = headers.get(header::CONTENT_ENCODING)?;
    let is_plain = encoding.as_bytes().trim_ascii().is_empty() || encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    (!is_plain).then(|| {
        Fault::invalid("Request bodies with a Content-Encoding are not supported; send plain JSON.")
            .with_code("unsupported_content_encoding")
            .with_param("content-encoding")
    })
}

/// Refuses a body that would unfold to more than this process has room for.
pub(super) fn not_bulky(body: &[u8]) -> Result<(), Fault> {
    if std::str::from_utf8(body).is_ok_and(bulk::is_bulky) {
        let text = format!("The request body holds more than {} JSON values.", bulk::MOST_VALUES);
        return Err(Fault::invalid(text));
    }
    Ok(())
}

/// A place among the requests at work, unless the process is not ready for any.
pub(super) fn place(exchange: &Exchange<'_>, principal: &Principal) -> Result<Slot, Fault> {
    if let Some(refusal) = not_now(exchange) {
        return Err(refusal);
    }
    let slots = &exchange.surface.slots;
    slots.take(exchange.settings.slots, principal).map_err(overloaded)
}

/// Why no run can start at this time of the process.
pub(super) fn not_now(exchange: &Exchange<'_>) -> Option<Fault> {
    let lifecycle = &exchange.surface.ports.lifecycle;
    if lifecycle.is_draining() {
        return Some(Fault::unavailable("The gateway is shutting down; retry shortly.").with_code("draining"));
    }
    if lifecycle.phase() == crate::lifecycle::Phase::Starting {
        return Some(Fault::unavailable("The gateway is starting; retry shortly.").with_code("starting"));
    }
    None
}

fn overloaded(full: Full) -> Fault {
    let fault = match full {
        Full::All => {
            Fault::unavailable("Too many agent requests are in flight; retry shortly.").with_code("overloaded")
        }
        Full::Caller => Fault::new(
            FaultKind::RateLimited,
            "Too many of your requests are in flight; wait for one to finish.",
        )
        .with_code("too_many_in_flight"),
    };
    fault.with_retry_after(Duration::from_secs(1))
}

/// Bodies of this size are parsed away from the async workers.
const LARGE_BODY: usize = 256 * 1024;

/// Parses a body, a large one without holding up other requests.
pub(super) async fn parse<T: Send + 'static>(
    bytes: Bytes,
    parse: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    off_worker(bytes.len(), move || parse(&bytes)).await
}

/// Does work on `size` bytes, much of it without holding up other requests.
pub(super) async fn off_worker<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    if size < LARGE_BODY {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let fault = Fault::new(FaultKind::Internal, "The request could not be read.");
        Err(fault)
    })
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
        trace: trace(headers),
    }
}

/// What the request's work is part of: the span of the request, or what the caller said if there is none.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(TRACEPARENT)?.to_str().ok()?)
}
