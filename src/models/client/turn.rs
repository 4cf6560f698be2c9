//! What a request of any OpenAI dialect asks of an agent.

use std::sync::Arc;

use super::input::{Dialogue, InputPart};
use crate::domain::model::{Sampling, ToolChoice, ToolSpec};

/// One turn of an agent.
#[derive(Debug, Clone)]
pub struct Turn {
    /// `model` as sent, `openclaw` if absent. Names an agent; echoed verbatim.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// `user`, if it is a non-empty string. Names a durable conversation.
    pub user: Option<String>,
    /// `false`: the client wants nothing stored, so neither `user` nor a chat's id names a conversation that is kept.
    pub may_keep: bool,
    /// The conversation.
    pub dialogue: Dialogue<InputPart>,
    /// Tools that the client executes.
    pub tools: Arc<[ToolSpec]>,
    /// Choice among them.
    pub tool_choice: ToolChoice,
    /// `parallel_tool_calls`, if the caller said so.
    pub parallel_tool_calls: Option<bool>,
    /// Passed to the provider, keyed by the chat-completions names.
    pub sampling: Arc<Sampling>,
}
