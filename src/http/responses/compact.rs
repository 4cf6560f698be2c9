//! `POST /v1/responses/compact`: the model sums a conversation up, and one item stands for it from then on.
//!
//! Nothing of it is kept: the client has the item and sends it back at the start of its next input.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use uuid::Uuid;

use super::create::finished;
use super::keep::now_s;
use super::prepare::{self, Prior};
use super::{KEYS, owner};
use crate::base::SessionKey;
use crate::domain::run::Conversation;
use crate::domain::{Fault, FaultKind};
use crate::http::agent_call::{self, Admitted, Refusal, Target};
use crate::http::surface::Exchange;
use crate::http::{Body, reply};
use crate::models::client::responses::{IdMaker, compaction_item, compaction_prompt, parse_compact, prompt_list};
use crate::wire::openai::responses::{Compacted, Usage};

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
    let Admitted {
        principal,
        bytes,
        slot: _slot,
    } = admitted;
    let ids = IdMaker::random();
    let ask = {
        let ids = ids.clone();
        agent_call::parse(bytes, move |body| parse_compact(body, &ids)).await?
    };
    let prior = match &ask.previous {
        Some(id) => prepare::prior(exchange, &owner(&principal), id).await?,
        None => Prior::default(),
    };
    let mut target = Target::of(&exchange.live, headers, &principal, &ask.turn, KEYS)?;
    // A summary is no turn of a conversation.
    let key = format!("agent:{}:{}:{}", target.agent, KEYS.single, Uuid::new_v4());
    target.conversation = Conversation::Ephemeral(SessionKey::new(key));
    let mut lists = prior.lists;
    lists.push(ask.input.as_str().into());
    if lists.iter().all(|list| &**list == "[]") {
        let text = "There is no conversation to compact in `input`.";
        return Err(Fault::invalid(text).with_param("input").into());
    }
    lists.push(prompt_list(&compaction_prompt(ask.instructions.as_deref())).into());
    let dialogue = prepare::read_dialogue(None, lists).await?;
    let inputs = &exchange.surface.inputs;
    let dialogue = inputs
        .resolve(dialogue, &exchange.settings.responses_inputs, "input")
        .await?;
    let request = agent_call::run_request(target, &ask.turn, dialogue, headers);
    let ports = &exchange.surface.ports;
    let outcome = finished(ports.runs.start(request).await?).await?;
    if outcome.text.trim().is_empty() {
        let fault = Fault::new(FaultKind::Upstream, "The model gave no summary.").with_code("provider_bad_answer");
        return Err(Refusal::of_run(fault));
    }
    let item = compaction_item(&ids, outcome.text.trim());
    let usage = &outcome.usage;
    let usage = Usage::new(usage.prompt(), usage.cache_read, usage.output, usage.reasoning);
    let body = Compacted::new(ids.response(), now_s(&*ports.clock), &item, usage);
    Ok(reply::json(StatusCode::OK, &body))
}
