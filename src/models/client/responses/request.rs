//! One request as a turn of an agent, and what its response repeats of it.

use std::sync::Arc;

use super::fields::{self, Sampled};
use super::ids::IdMaker;
use super::items::{complete, own_items, to_stored};
use super::table::{COMPACT, RESPONSES};
use super::tools::{Offered, read_tools};
use crate::domain::Fault;
use crate::domain::model::ToolChoice;
use crate::models::client::contract::Fields;
use crate::models::client::{Dialogue, Turn, param_fault};
use crate::wire::openai::responses::Echo;

/// What a request asks for.
#[derive(Debug)]
pub struct Ask {
    /// The turn, still without its dialogue.
    pub turn: Turn,
    /// What the response repeats.
    pub echo: Echo,
    /// The request's own items in their complete form, a JSON array.
    pub input: String,
    /// `false`: keep the input, do not answer.
    pub generate: bool,
}

/// What a compaction asks for.
#[derive(Debug)]
pub struct CompactAsk {
    /// The turn, still without its dialogue.
    pub turn: Turn,
    /// The response whose conversation comes first.
    pub previous: Option<String>,
    /// What the summary should keep.
    pub instructions: Option<String>,
    /// The request's own items, a JSON array.
    pub input: String,
}

/// Reads a body; its items get ids of the response `ids`. The fault is a 400 that names the field.
pub fn parse_ask(body: &[u8], ids: &IdMaker) -> Result<Ask, Fault> {
    let read = Fields::read(body, RESPONSES)?;
    let model = required_model(&read)?;
    let stream = read.flag("stream").unwrap_or(false);
    let store = read.flag("store").unwrap_or(true);
    let background = read.flag("background").unwrap_or(false);
    if background && !store {
        return Err(param_fault(
            "background",
            "A response in the background must be kept: leave `store` out or set it to true.",
        ));
    }
    if background && stream {
        return Err(param_fault(
            "background",
            "A response in the background cannot be streamed; poll `GET /v1/responses/{id}`.",
        ));
    }
    let Offered {
        tools,
        choice,
        shown_tools,
        shown_choice,
    } = read_tools(read.get("tools"), read.get("tool_choice"))?;
    let Sampled {
        sampling,
        max_output_tokens,
        text,
        reasoning,
        temperature,
        top_p,
        presence_penalty,
        frequency_penalty,
        service_tier,
    } = fields::sampling(&read)?;
    let parallel_tool_calls = read.flag("parallel_tool_calls");
    let user = read.text("user").filter(|user| !user.trim().is_empty());
    let echo = Echo {
        model: model.clone(),
        instructions: read.text("instructions"),
        previous_response_id: read.text("previous_response_id").filter(|id| !id.is_empty()),
        tools: shown_tools,
        tool_choice: shown_choice,
        parallel_tool_calls: parallel_tool_calls.unwrap_or(true),
        max_tool_calls: fields::count("max_tool_calls", &read)?,
        max_output_tokens,
        text,
        reasoning,
        temperature,
        top_p,
        presence_penalty,
        frequency_penalty,
        truncation: fields::truncation(&read)?,
        service_tier,
        store,
        background,
        user: user.clone(),
        metadata: fields::metadata(&read)?,
        safety_identifier: read.text("safety_identifier"),
        prompt_cache_key: read.text("prompt_cache_key"),
    };
    let mut items = own_items(read.get("input"))?;
    complete(&mut items, ids);
    Ok(Ask {
        input: to_stored(&items),
        generate: read.flag("generate").unwrap_or(true),
        turn: Turn {
            model,
            stream,
            user,
            may_keep: store,
            dialogue: Dialogue::default(),
            tools,
            tool_choice: choice,
            parallel_tool_calls,
            sampling: Arc::new(sampling),
        },
        echo,
    })
}

/// Reads the body of a compaction.
pub fn parse_compact(body: &[u8], ids: &IdMaker) -> Result<CompactAsk, Fault> {
    let read = Fields::read(body, COMPACT)?;
    let model = required_model(&read)?;
    let previous = read.text("previous_response_id").filter(|id| !id.is_empty());
    let mut items = match (read.get("input"), &previous) {
        (None, Some(_)) => Vec::new(),
        (input, _) => own_items(input)?,
    };
    complete(&mut items, ids);
    Ok(CompactAsk {
        turn: Turn {
            model,
            stream: false,
            user: None,
            may_keep: false,
            dialogue: Dialogue::default(),
            tools: Arc::from([]),
            tool_choice: ToolChoice::None,
            parallel_tool_calls: None,
            sampling: Arc::new(read.passed_on()?),
        },
        previous,
        instructions: read.text("instructions"),
        input: to_stored(&items),
    })
}

fn required_model(read: &Fields<'_>) -> Result<String, Fault> {
    read.text("model")
        .ok_or_else(|| param_fault("model", "model: Invalid input: expected string, received undefined"))
}
