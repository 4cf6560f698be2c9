//! Conversation messages as models see them, independent of any provider dialect.

use std::sync::Arc;

/// A piece of a user message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// An image, base64 without line breaks.
    Image {
        /// `image/png`, `image/jpeg`, ...
        mime: String,
        /// Base64 data.
        data: Arc<str>,
    },
    /// Recorded sound, base64 without line breaks.
    Audio {
        /// `wav`, `mp3`, ...: the name that the chat-completions protocol has for it.
        format: String,
        /// Base64 data.
        data: Arc<str>,
    },
}

/// A tool call made by a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The id that the result must name.
    pub id: String,
    /// Tool name.
    pub name: String,
    /// Arguments as the JSON text that the model wrote.
    pub arguments: String,
}

/// One message of a conversation. `P` is what user messages are made of: what models see, or what is still to be looked
/// at before they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<P = Part> {
    /// From the person (or program) that talks to the agent.
    User {
        /// Pieces in order.
        parts: Vec<P>,
    },
    /// From the model.
    Assistant {
        /// Visible text, possibly empty.
        text: String,
        /// Reasoning that the provider wants to see again.
        reasoning: Option<String>,
        /// Calls that follow the text.
        tool_calls: Vec<ToolCall>,
    },
    /// The result of a tool call.
    Tool {
        /// Id of the call.
        call_id: String,
        /// Tool name, if known.
        name: Option<String>,
        /// Result text.
        content: String,
    },
}

impl<P: From<Part>> Message<P> {
    /// A user message of plain text.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User {
            parts: vec![Part::Text(text.into()).into()],
        }
    }

    /// An assistant message of plain text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant {
            text: text.into(),
            reasoning: None,
            tool_calls: Vec::new(),
        }
    }
}

impl<P> Message<P> {
    /// The same message with another kind of parts. `Err`: a user message, whose parts have yet to be made into others.
    pub fn with_other_parts<Q>(self) -> Result<Message<Q>, Vec<P>> {
        match self {
            Self::User { parts } => Err(parts),
            Self::Assistant {
                text,
                reasoning,
                tool_calls,
            } => Ok(Message::Assistant {
                text,
                reasoning,
                tool_calls,
            }),
            Self::Tool { call_id, name, content } => Ok(Message::Tool { call_id, name, content }),
        }
    }
}

impl Message {
    /// Rough size in characters, for the context budget. Images and sound count as a fixed amount.
    pub fn weight(&self) -> usize {
        const MEDIA_WEIGHT: usize = 6_000;
        const OVERHEAD: usize = 16;
        OVERHEAD
            + match self {
                Self::User { parts } => parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => text.len(),
                        Part::Image { .. } | Part::Audio { .. } => MEDIA_WEIGHT,
                    })
                    .sum(),
                Self::Assistant {
                    text,
                    reasoning,
                    tool_calls,
                } => {
                    text.len()
                        + reasoning.as_ref().map_or(0, String::len)
                        + tool_calls
                            .iter()
                            .map(|call| call.name.len() + call.arguments.len())
                            .sum::<usize>()
                }
                Self::Tool { content, .. } => content.len(),
            }
    }
}
