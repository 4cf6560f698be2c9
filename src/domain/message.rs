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
        /// How closely to look; `None`: the model decides.
        detail: Option<Detail>,
    },
    /// Recorded sound, base64 without line breaks.
    Audio {
        /// `wav`, `mp3`, ...: the name that the chat-completions protocol has for it.
        format: String,
        /// Base64 data.
        data: Arc<str>,
    },
}

/// How closely a model looks at an image, which is also how much that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// A glance at a small copy.
    Low,
    /// Every part of it.
    High,
    /// At its full size.
    Original,
}

impl Detail {
    /// The name in OpenAI's APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
            Self::Original => "original",
        }
    }

    /// Inverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Low, Self::High, Self::Original]
            .into_iter()
            .find(|detail| detail.as_str() == text)
    }
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

/// What a provider wants to see again, unchanged, with a message that its model wrote. Means nothing to anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// A readable thought with its proof: a signature, or the whole encrypted item.
    Thought {
        /// The thought, possibly a summary.
        text: String,
        /// In the provider's own form.
        signature: String,
    },
    /// A thought that only the provider can read.
    Hidden(String),
    /// The proof of a tool call.
    Call {
        /// Id of the call.
        id: String,
        /// In the provider's own form.
        signature: String,
    },
}

/// The seals of one message, and the model that made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Dialect.
    pub api: Arc<str>,
    /// Key of `models.providers`.
    pub provider: Arc<str>,
    /// The provider's model id.
    pub model: Arc<str>,
    /// In the order in which they came.
    pub seals: Vec<Seal>,
}

impl Sealed {
    /// The seals, if this model made them. Shown to another model they would be refused.
    pub fn made_by(&self, api: &str, provider: &str, model: &str) -> &[Seal] {
        if *self.api == *api && *self.provider == *provider && *self.model == *model {
            &self.seals
        } else {
            &[]
        }
    }
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
        /// What its provider wants to see again.
        sealed: Option<Arc<Sealed>>,
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
            sealed: None,
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
                sealed,
            } => Ok(Message::Assistant {
                text,
                reasoning,
                tool_calls,
                sealed,
            }),
            Self::Tool { call_id, name, content } => Ok(Message::Tool { call_id, name, content }),
        }
    }
}

impl Message {
    /// Bytes of texts and media.
    pub fn bulk(&self) -> usize {
        match self {
            Self::User { parts } => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => text.len(),
                    Part::Image { data, .. } | Part::Audio { data, .. } => data.len(),
                })
                .sum(),
            Self::Assistant { text, tool_calls, .. } => {
                text.len() + tool_calls.iter().map(|call| call.arguments.len()).sum::<usize>()
            }
            Self::Tool { content, .. } => content.len(),
        }
    }

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
                    ..
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
