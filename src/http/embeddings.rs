//! `POST /v1/embeddings`.

#[cfg(test)]
mod tests;

use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use super::agent_call::{self, Admitted, Refusal, embedding_target};
use super::surface::Exchange;
use super::{Body, reply};
use crate::domain::embedding::{EmbeddingCall, Embeddings};
use crate::domain::{Fault, FaultKind};
use crate::models::client::{embedding_json, parse_embeddings};

/// Largest body, bytes.
const MAX_BODY: u64 = 5 * 1024 * 1024;
/// So many vectors are written away from the async workers.
const MANY: usize = 32;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Item<'a> {
    object: &'static str,
    index: usize,
    embedding: &'a RawValue,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Answers one request.
pub(super) async fn handle<B>(exchange: &Exchange<'_>, headers: &HeaderMap, body: B) -> Response<Body>
where
    B: http_body::Body<Data = bytes::Bytes>,
{
    let admitted = match agent_call::admit(exchange, headers, body, MAX_BODY).await {
        Ok(admitted) => admitted,
        Err(refusal) => return *refusal,
    };
    match run(exchange, headers, &admitted).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn run(exchange: &Exchange<'_>, headers: &HeaderMap, admitted: &Admitted) -> Result<Response<Body>, Refusal> {
    let turn = agent_call::parse(admitted.bytes.clone(), parse_embeddings).await?;
    let live = &exchange.live;
    let (agent, settings) = embedding_target(live, headers, &admitted.principal, &turn.model)?;
    if turn.input.is_empty() {
        let nothing = Embeddings {
            vectors: Vec::new(),
            prompt_tokens: 0,
        };
        let bytes = list(&turn.model, &nothing, turn.base64).unwrap_or_default();
        return Ok(reply::json_bytes(StatusCode::OK, bytes));
    }
    let call = EmbeddingCall {
        model: settings.model.as_str().into(),
        input: turn.input,
        dimensions: turn.dimensions.or(settings.dimensions),
        base64: turn.base64,
        user: turn.user,
        trace: agent_call::trace(headers),
    };
    let count = call.input.len();
    let embedder = &exchange.surface.ports.embedder;
    let answer = embedder.embed(&agent, &settings, call).await.map_err(Refusal::of_run)?;
    let (model, base64) = (turn.model, turn.base64);
    let work = move || list(&model, &answer, base64);
    let bytes = if count < MANY {
        work()
    } else {
        tokio::task::spawn_blocking(work).await.ok().flatten()
    };
    let bytes = bytes.ok_or_else(|| {
        let text = "The embedding provider answered with a vector that cannot be read.";
        Fault::new(FaultKind::Upstream, text).with_code("provider_bad_answer")
    })?;
    Ok(reply::json_bytes(StatusCode::OK, bytes))
}

/// The response body. `None`: a vector cannot be read.
fn list(model: &str, answer: &Embeddings, base64: bool) -> Option<Vec<u8>> {
    let vectors: Vec<_> = answer
        .vectors
        .iter()
        .map(|vector| embedding_json(vector, base64))
        .collect::<Option<_>>()?;
    let list = List {
        object: "list",
        data: vectors
            .iter()
            .enumerate()
            .map(|(index, embedding)| Item {
                object: "embedding",
                index,
                embedding,
            })
            .collect(),
        model,
        usage: Usage {
            prompt_tokens: answer.prompt_tokens,
            total_tokens: answer.prompt_tokens,
        },
    };
    serde_json::to_vec(&list).ok()
}
