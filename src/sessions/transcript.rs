//! The stored form of a message: upstream's transcript message object as JSON text.
//!
//! Written here, read back for models in `read` and for clients in `view`. Pure.

mod read;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

pub use self::read::to_model;
pub use self::view::{history_view, marked, oversized_view};
use crate::domain::model::{FinishReason, ModelRef, Usage};
use crate::domain::run::{RunEnd, RunOutcome};
use crate::domain::{Detail, Message, Part, Seal, Sealed, ToolCall};
use crate::store::NewMessage;

/// `provider` of assistant messages that no model wrote.
pub const GATEWAY_PROVIDER: &str = "openclaw";
/// `model` of assistant messages that no model wrote.
pub const GATEWAY_MODEL: &str = "gateway-injected";
/// `thinkingSignature` of reasoning that came as plain text beside the answer.
const PLAIN_REASONING: &str = "reasoning_content";

/// `stopReason` of an assistant message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// The answer is complete.
    Stop,
    /// Tool results must follow.
    ToolUse,
    /// The token limit was reached.
    Length,
    /// The provider failed; models never see the message.
    Error,
    /// The run was stopped; the text is partial.
    Aborted,
}

impl From<FinishReason> for StopReason {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop | FinishReason::ContentFilter => Self::Stop,
            FinishReason::Length => Self::Length,
            FinishReason::ToolCalls => Self::ToolUse,
        }
    }
}

/// What a model wrote in one call.
#[derive(Debug, Clone, Copy)]
pub struct AssistantTurn<'a> {
    /// Visible text, possibly empty.
    pub text: &'a str,
    /// Reasoning text, possibly empty.
    pub reasoning: &'a str,
    /// Calls that follow the text.
    pub tool_calls: &'a [ToolCall],
    /// What the provider wants to see again.
    pub seals: &'a [Seal],
    /// Dialect of the provider (`openai-completions`, ...).
    pub api: &'a str,
    /// The model that answered.
    pub model: Option<&'a ModelRef>,
    /// Tokens of this call.
    pub usage: Usage,
    /// What it cost, USD.
    pub cost_usd: f64,
    /// How it ended.
    pub stop: StopReason,
    /// Error text of a failed or aborted turn.
    pub error: Option<&'a str>,
    /// Wall clock, ms.
    pub now_ms: i64,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        data: &'a str,
        #[serde(rename = "mimeType")]
        mime: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'static str>,
    },
    Audio {
        data: &'a str,
        format: &'a str,
    },
    Thinking {
        thinking: &'a str,
        #[serde(rename = "thinkingSignature")]
        signature: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        redacted: bool,
    },
    ToolCall {
        id: &'a str,
        name: &'a str,
        arguments: Arguments<'a>,
        #[serde(rename = "thoughtSignature", skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
}

/// Arguments are an object where the model wrote one, else the text as it was.
#[derive(Serialize)]
#[serde(untagged)]
enum Arguments<'a> {
    Object(&'a RawValue),
    Text(&'a str),
}

impl<'a> Arguments<'a> {
    fn new(text: &'a str) -> Self {
        let trimmed = text.trim();
        match serde_json::from_str::<&RawValue>(if trimmed.is_empty() { "{}" } else { trimmed }) {
            Ok(raw) if raw.get().starts_with('{') => Self::Object(raw),
            _ => Self::Text(text),
        }
    }
}

#[derive(Serialize)]
struct UserBody<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssistantBody<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
    api: &'a str,
    provider: &'a str,
    model: &'a str,
    usage: UsageBody,
    stop_reason: StopReason,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResultBody<'a> {
    role: &'static str,
    tool_call_id: &'a str,
    tool_name: &'a str,
    content: [Block<'a>; 1],
    is_error: bool,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageBody {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    total_tokens: u64,
    cost: CostBody,
}

#[derive(Serialize)]
struct CostBody {
    total: f64,
}

impl UsageBody {
    fn new(usage: Usage, cost_usd: f64) -> Self {
        Self {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            total_tokens: usage.total(),
            cost: CostBody { total: cost_usd },
        }
    }
}

/// A user message.
pub fn user_message(parts: &[Part], now_ms: i64) -> NewMessage {
    let content = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Block::Text { text },
            Part::Image { mime, data, detail } => Block::Image {
                data,
                mime,
                detail: detail.map(Detail::as_str),
            },
            Part::Audio { format, data } => Block::Audio { data, format },
        })
        .collect();
    let body = UserBody {
        role: "user",
        content,
        timestamp: now_ms,
    };
    message("user", &body)
}

/// What a model wrote in one call.
pub fn turn_message(turn: &AssistantTurn<'_>) -> NewMessage {
    let mut content = Vec::with_capacity(2 + turn.tool_calls.len());
    content.extend(turn.seals.iter().filter_map(thinking));
    if content.is_empty() && !turn.reasoning.is_empty() {
        content.push(Block::Thinking {
            thinking: turn.reasoning,
            signature: PLAIN_REASONING,
            redacted: false,
        });
    }
    if !turn.text.is_empty() {
        content.push(Block::Text { text: turn.text });
    }
    content.extend(turn.tool_calls.iter().map(|call| Block::ToolCall {
        id: &call.id,
        name: &call.name,
        arguments: Arguments::new(&call.arguments),
        signature: turn.seals.iter().find_map(|seal| match seal {
            Seal::Call { id, signature } if *id == call.id => Some(signature.as_str()),
            _ => None,
        }),
    }));
    let body = AssistantBody {
        role: "assistant",
        content,
        api: turn.api,
        provider: turn.model.map_or("", |model| &model.provider),
        model: turn.model.map_or("", |model| &model.model),
        usage: UsageBody::new(turn.usage, turn.cost_usd),
        stop_reason: turn.stop,
        timestamp: turn.now_ms,
        error_message: turn.error,
    };
    message("assistant", &body)
}

fn thinking(seal: &Seal) -> Option<Block<'_>> {
    match seal {
        Seal::Thought { text, signature } => Some(Block::Thinking {
            thinking: text,
            signature,
            redacted: false,
        }),
        Seal::Hidden(signature) => Some(Block::Thinking {
            thinking: "",
            signature,
            redacted: true,
        }),
        Seal::Call { .. } => None,
    }
}

/// The answer of a run (partial unless it completed). `api` is the dialect of the provider that answered, `seals` what it
/// wants to see again.
pub fn assistant_message(outcome: &RunOutcome, api: &str, seals: &[Seal], cost_usd: f64) -> NewMessage {
    const ABORTED: &str = "Request was aborted";
    let (stop, error) = match &outcome.end {
        RunEnd::Completed => (outcome.finish.into(), None),
        RunEnd::Aborted(_) | RunEnd::TimedOut => (StopReason::Aborted, Some(ABORTED)),
        RunEnd::Failed(failure) => (StopReason::Error, Some(failure.message.as_str())),
    };
    turn_message(&AssistantTurn {
        text: &outcome.text,
        reasoning: &outcome.reasoning,
        tool_calls: &outcome.tool_calls,
        seals,
        api,
        model: outcome.model.as_ref(),
        usage: outcome.usage,
        cost_usd,
        stop,
        error,
        now_ms: outcome.ended_at_ms,
    })
}

/// A message of the conversation in its stored form, for turns whose model and cost are accounted elsewhere. `None`: it
/// says nothing.
pub fn from_model(message: &Message, now_ms: i64) -> Option<NewMessage> {
    match message {
        Message::User { parts } if parts.is_empty() => None,
        Message::User { parts } => Some(user_message(parts, now_ms)),
        Message::Assistant { text, tool_calls, .. } if text.is_empty() && tool_calls.is_empty() => None,
        Message::Assistant {
            text,
            reasoning,
            tool_calls,
            sealed,
        } => Some(turn_message(&AssistantTurn {
            text,
            reasoning: reasoning.as_deref().unwrap_or_default(),
            tool_calls,
            seals: sealed.as_ref().map_or(&[], |sealed| &sealed.seals),
            api: sealed.as_ref().map_or("", |sealed| &sealed.api),
            model: sealed.as_ref().map(|sealed| sealed_by(sealed)).as_ref(),
            usage: Usage::default(),
            cost_usd: 0.0,
            stop: if tool_calls.is_empty() {
                StopReason::Stop
            } else {
                StopReason::ToolUse
            },
            error: None,
            now_ms,
        })),
        Message::Tool { call_id, name, content } => Some(tool_result(
            call_id,
            name.as_deref().unwrap_or_default(),
            content,
            false,
            now_ms,
        )),
    }
}

fn sealed_by(sealed: &Sealed) -> ModelRef {
    ModelRef {
        provider: Arc::clone(&sealed.provider),
        model: Arc::clone(&sealed.model),
    }
}

/// An assistant message that the gateway writes by itself.
pub fn gateway_message(text: &str, now_ms: i64) -> NewMessage {
    let body = AssistantBody {
        role: "assistant",
        content: vec![Block::Text { text }],
        api: "openai-responses",
        provider: GATEWAY_PROVIDER,
        model: GATEWAY_MODEL,
        usage: UsageBody::new(Usage::default(), 0.0),
        stop_reason: StopReason::Stop,
        timestamp: now_ms,
        error_message: None,
    };
    message("assistant", &body)
}

/// The result of a tool call.
pub fn tool_result(call_id: &str, name: &str, content: &str, is_error: bool, now_ms: i64) -> NewMessage {
    let body = ToolResultBody {
        role: "toolResult",
        tool_call_id: call_id,
        tool_name: name,
        content: [Block::Text { text: content }],
        is_error,
        timestamp: now_ms,
    };
    message("toolResult", &body)
}

fn message<T: Serialize>(role: &'static str, body: &T) -> NewMessage {
    NewMessage {
        role,
        // Plain structs of strings and numbers: serialising them cannot fail.
        body: serde_json::to_string(body).unwrap_or_default(),
    }
}
