//! `POST /v1/responses`.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::time::Instant;

use super::keep::{self, Record, now_s};
use super::prepare::{self, Prepared, Prior};
use super::stream::Teller;
use super::{background, owner};
use crate::domain::Fault;
use crate::domain::run::{RunEvent, RunHandle, RunOutcome};
use crate::http::agent_call::{self, Admitted, Refusal, RunStream};
use crate::http::surface::{Exchange, Ports};
use crate::http::{Body, reply};
use crate::models::client::responses::{Answer, End, IdMaker, Narration, parse_ask};
use crate::wire::openai::responses::Framing;

/// Answers one request.
pub(super) async fn handle<B>(exchange: &Exchange<'_>, headers: &HeaderMap, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
{
    let admitted = match agent_call::admit(exchange, headers, body, exchange.settings.responses_body_bytes).await {
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
    let ids = IdMaker::random();
    let ask = {
        let ids = ids.clone();
        agent_call::parse(bytes, move |body| parse_ask(body, &ids)).await?
    };
    if !ask.generate {
        let text = "`generate: false` is for WebSocket connections; leave it out.";
        return Err(Fault::invalid(text).with_param("generate").into());
    }
    let (stream, in_background) = (ask.turn.stream, ask.echo.background);
    let prior = match &ask.echo.previous_response_id {
        Some(id) => prepare::prior(exchange, &owner(&principal), id).await?,
        None => Prior::default(),
    };
    let prepared = prepare::prepare(exchange, headers, &principal, ids, ask, prior).await?;
    if in_background {
        let queued = background::start(exchange, prepared, slot).await?;
        return Ok(reply::json_bytes(StatusCode::OK, queued));
    }
    let Prepared {
        run, answer, record, ..
    } = prepared;
    let started = Instant::now();
    let ports = &exchange.surface.ports;
    let mut handle = ports.runs.start(run).await?;
    if !stream {
        return whole(ports, handle, answer, record).await;
    }
    let first = agent_call::first_words(&mut handle, started).await?;
    let teller = Teller::new(Narration::new(answer, Framing::Sse), record, ports);
    Ok(RunStream::new(handle, teller, first, slot).into_response())
}

/// Waits for the end of the run, stores the response and answers with it.
async fn whole(
    ports: &Ports,
    handle: RunHandle,
    mut answer: Answer,
    record: Option<Record>,
) -> Result<Response<Body>, Refusal> {
    let outcome = finished(handle).await?;
    let body = close(&mut answer, &outcome, now_s(&*ports.clock));
    if let Some(record) = record {
        let stored = record
            .store(ports.store.clone(), body.clone(), ports.clock.now_ms())
            .await;
        stored.map_err(|error| Refusal::of_run(keep::fault(&error)))?;
    }
    Ok(reply::json_bytes(StatusCode::OK, body))
}

/// The end of a run that completed.
pub(super) async fn finished(mut handle: RunHandle) -> Result<Box<RunOutcome>, Refusal> {
    loop {
        match handle.next_event().await {
            Some(RunEvent::Finished(outcome)) => {
                return match agent_call::outcome_fault(&outcome) {
                    Some(fault) => Err(Refusal::of_run(fault)),
                    None => Ok(outcome),
                };
            }
            Some(_) => {}
            None => return Err(Refusal::of_run(agent_call::vanished())),
        }
    }
}

/// The response object of a run that completed.
pub(super) fn close(answer: &mut Answer, outcome: &RunOutcome, now_s: i64) -> Vec<u8> {
    answer.fill(outcome);
    answer.close(&End::of(outcome.finish), &outcome.usage, now_s)
}
