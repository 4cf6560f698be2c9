//! From a request to a run: the conversation that it continues, its own items, the agent.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::value::RawValue;

use super::keep::{self, Record, now_s};
use super::{KEYS, owner};
use crate::domain::run::RunRequest;
use crate::domain::{Fault, Principal};
use crate::http::agent_call::{self, Target};
use crate::http::surface::Exchange;
use crate::models::client::responses::{Answer, Ask, IdMaker, dialogue, output_of, response_of_item, with_ids};
use crate::models::client::{Dialogue, InputPart};
use crate::store::ResponseChain;

/// Most references to stored items in one request; each is a look-up.
const MAX_REFERENCES: usize = 100;

/// A conversation so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Prior {
    /// Lists of items, oldest first.
    pub lists: Vec<Arc<str>>,
    /// The agent that answered last.
    pub agent: Option<String>,
}

/// A request that is ready to run.
pub(super) struct Prepared {
    pub run: RunRequest,
    pub answer: Answer,
    /// What to store; `None`: the client wants nothing kept.
    pub record: Option<Record>,
    /// The conversation up to the answer.
    pub prior: Prior,
}

/// The conversation that ends with the stored response `id`.
pub(super) async fn prior(exchange: &Exchange<'_>, owner: &str, id: &str) -> Result<Prior, Fault> {
    if exchange.surface.background.is_at_work(owner, id) {
        return Err(Fault::invalid(format!(
            "Previous response with id '{id}' is still in progress; wait for its end or cancel it."
        ))
        .with_code("previous_response_in_progress")
        .with_param("previous_response_id"));
    }
    let chain = exchange.surface.ports.store.response_chain(owner, id).await;
    let chain = match chain.map_err(|error| keep::fault(&error))? {
        ResponseChain::Whole(chain) => chain,
        ResponseChain::Missing(missing) => return Err(not_found(&missing)),
        ResponseChain::TooLong => {
            return Err(Fault::invalid(format!(
                "The conversation before response '{id}' is too long to be continued; start a new one with a summary of it."
            ))
            .with_code("context_length_exceeded")
            .with_param("previous_response_id"));
        }
    };
    let agent = chain.last().map(|last| last.agent_id.clone());
    let lists = chain
        .iter()
        .flat_map(|response| [Some(response.input.as_str()), output_of(&response.body)])
        .flatten()
        .map(Arc::from)
        .collect();
    Ok(Prior { lists, agent })
}

/// There is no such response to continue.
fn not_found(id: &str) -> Fault {
    Fault::invalid(format!("Previous response with id '{id}' not found."))
        .with_code("previous_response_not_found")
        .with_param("previous_response_id")
}

/// The messages of a conversation; a long one is read without holding up other requests.
pub(super) async fn read_dialogue(
    instructions: Option<String>,
    lists: Vec<Arc<str>>,
) -> Result<Dialogue<InputPart>, Fault> {
    let size = lists.iter().map(|list| list.len()).sum();
    agent_call::off_worker(size, move || dialogue(instructions.as_deref(), &lists)).await
}

/// Puts a request together. `prior` is what `previous_response_id` led to.
pub(super) async fn prepare(
    exchange: &Exchange<'_>,
    headers: &HeaderMap,
    principal: &Principal,
    ids: IdMaker,
    ask: Ask,
    mut prior: Prior,
) -> Result<Prepared, Fault> {
    let Ask { turn, echo, input, .. } = ask;
    let owner = owner(principal);
    let target = Target::of(&exchange.live, headers, principal, &turn, KEYS)?;
    let agent = target.agent.to_string();
    if let (Some(before), Some(id)) = (&prior.agent, &echo.previous_response_id)
        && *before != agent
    {
        return Err(Fault::invalid(format!(
            "Previous response with id '{id}' was answered by agent '{before}'; ask the same agent to continue it."
        ))
        .with_code("previous_response_not_found")
        .with_param("previous_response_id"));
    }
    let own = with_references(exchange, &owner, input).await?;
    prior.lists.push(Arc::from(own.as_str()));
    prior.agent = Some(agent.clone());
    let dialogue = read_dialogue(echo.instructions.clone(), prior.lists.clone()).await?;
    let inputs = &exchange.surface.inputs;
    let dialogue = inputs
        .resolve(dialogue, &exchange.settings.responses_inputs, "input")
        .await?;
    let record = echo.store.then(|| Record {
        id: ids.response().to_owned(),
        owner,
        agent,
        previous: echo.previous_response_id.clone(),
        input: own,
    });
    Ok(Prepared {
        run: agent_call::run_request(target, &turn, dialogue, headers),
        answer: Answer::new(ids, now_s(&*exchange.surface.ports.clock), echo),
        record,
        prior,
    })
}

/// The list with the stored items in place of the references to them.
async fn with_references(exchange: &Exchange<'_>, owner: &str, list: String) -> Result<String, Fault> {
    // Most requests have none; texts that mention the word are looked at twice, that is all.
    if !list.contains("\"item_reference\"") {
        return Ok(list);
    }
    let items: Vec<&RawValue> = serde_json::from_str(&list).unwrap_or_default();
    let mut out: Vec<String> = Vec::with_capacity(items.len());
    let mut references = 0;
    for item in items {
        let Some(id) = referred(item) else {
            out.push(item.get().to_owned());
            continue;
        };
        references += 1;
        if references > MAX_REFERENCES {
            return Err(Fault::invalid(format!("input: at most {MAX_REFERENCES} item references")).with_param("input"));
        }
        out.push(stored_item(exchange, owner, &id).await?);
    }
    Ok(format!("[{}]", out.join(",")))
}

/// The id of the item that a reference means; `None`: it is no reference.
fn referred(item: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Reference {
        r#type: String,
        id: String,
    }
    let item: Reference = serde_json::from_str(item.get()).ok()?;
    (item.r#type == "item_reference").then_some(item.id)
}

async fn stored_item(exchange: &Exchange<'_>, owner: &str, id: &str) -> Result<String, Fault> {
    let unknown = || {
        Fault::invalid(format!(
            "Item with id '{id}' not found. Items are kept with their response; send the item itself instead of a \
             reference."
        ))
        .with_code("item_not_found")
        .with_param("input")
    };
    let response = response_of_item(id).ok_or_else(unknown)?;
    let response = exchange.surface.ports.store.response(owner, &response).await;
    let response = response.map_err(|error| keep::fault(&error))?.ok_or_else(unknown)?;
    let lists = [Some(response.input.as_str()), output_of(&response.body)];
    lists
        .into_iter()
        .flatten()
        .flat_map(with_ids)
        .find(|(known, _)| known == id)
        .map(|(_, item)| item.get().to_owned())
        .ok_or_else(unknown)
}
