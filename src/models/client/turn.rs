//! One chat request as a turn of an agent.

use std::sync::Arc;

use super::fields::{FlagError, flag, param_fault, sampling, text_field};
use super::messages::{Dialogue, read_messages};
use super::tools::read_tools;
use crate::domain::model::{Sampling, ToolChoice, ToolSpec};
use crate::domain::{Fault, Message, Part};
use crate::wire::openai::chat::ChatRequest;

/// What a chat request asks for.
#[derive(Debug, Clone)]
pub struct ChatTurn {
    /// `model` as sent, `openclaw` if absent. Names an agent; echoed verbatim.
    pub model: String,
    /// Whether chunks are wanted.
    pub stream: bool,
    /// Whether the stream ends with usage.
    pub include_usage: bool,
    /// `user`, if it is a non-empty string. Names a durable conversation.
    pub user: Option<String>,
    /// `system` and `developer` texts, joined by an empty line.
    pub system: Option<String>,
    /// Everything before the current message. Tool calls and results in it are complete pairs.
    pub history: Vec<Message>,
    /// The current message; empty if `tool_results` is not.
    pub input: Vec<Part>,
    /// Results for the calls of the last assistant message in `history`.
    pub tool_results: Vec<Message>,
    /// Tools that the client executes.
    pub tools: Arc<[ToolSpec]>,
    /// Choice among them.
    pub tool_choice: ToolChoice,
    /// `parallel_tool_calls`, if it is a boolean.
    pub parallel_tool_calls: Option<bool>,
    /// Passed to the provider, keyed by the chat-completions names.
    pub sampling: Arc<Sampling>,
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
    let Dialogue {
        system,
        history,
        input,
        tool_results,
    } = read_messages(request.messages)?;
    Ok(ChatTurn {
        model,
        stream,
        include_usage: include_usage(request),
        user: request
            .user
            .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
            .filter(|user| !user.trim().is_empty()),
        system,
        history,
        input,
        tool_results,
        tools,
        tool_choice,
        parallel_tool_calls: flag(request.parallel_tool_calls).ok().flatten(),
        sampling: Arc::new(sampling),
    })
}

fn include_usage(request: &ChatRequest<'_>) -> bool {
    request
        .stream_options
        .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).ok())
        .and_then(|options| options.get("include_usage")?.as_bool())
        .unwrap_or(false)
}
