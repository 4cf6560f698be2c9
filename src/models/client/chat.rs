//! One chat-completions request as a turn of an agent.

use std::sync::Arc;

use super::fields::{FlagError, flag, param_fault, sampling, text_field};
use super::messages::read_messages;
use super::tools::read_tools;
use super::turn::Turn;
use crate::domain::Fault;
use crate::wire::openai::chat::ChatRequest;

/// What a chat request asks for.
#[derive(Debug, Clone)]
pub struct ChatTurn {
    /// What the agent is asked.
    pub turn: Turn,
    /// Whether the stream ends with usage.
    pub include_usage: bool,
}

/// Reads a body. The fault is a 400 in the words of the error object.
pub fn parse_turn(body: &[u8]) -> Result<ChatTurn, Fault> {
    let request = ChatRequest::parse(body).map_err(|error| Fault::invalid(error.to_string()))?;
    to_turn(&request)
}

/// Checks a request and puts it in domain terms.
pub fn to_turn(request: &ChatRequest<'_>) -> Result<ChatTurn, Fault> {
    let model = match request.model {
        None => "openclaw".to_owned(),
        Some(raw) => text_field("model", raw)?,
    };
    let stream = match flag(request.stream) {
        Ok(stream) => stream.unwrap_or(false),
        Err(FlagError { found }) => {
            return Err(param_fault(
                "stream",
                format!("stream: Invalid input: expected boolean, received {found}"),
            ));
        }
    };
    let sampling = sampling(request)?;
    let (tools, tool_choice) = read_tools(request.tools, request.tool_choice)?;
    let turn = Turn {
        model,
        stream,
        user: request
            .user
            .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
            .filter(|user| !user.trim().is_empty()),
        dialogue: read_messages(request.messages)?,
        tools,
        tool_choice,
        parallel_tool_calls: flag(request.parallel_tool_calls).ok().flatten(),
        sampling: Arc::new(sampling),
    };
    Ok(ChatTurn {
        turn,
        include_usage: include_usage(request),
    })
}

fn include_usage(request: &ChatRequest<'_>) -> bool {
    request
        .stream_options
        .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).ok())
        .and_then(|options| options.get("include_usage")?.as_bool())
        .unwrap_or(false)
}
