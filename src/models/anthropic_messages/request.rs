//! A [`ModelCall`] as the body of a messages request. Pure.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::API;
use super::thinking::{Field, Thinking};
use crate::config::ModelEntry;
use crate::domain::model::{CallError, ModelCall, ToolChoice, ToolSpec};
use crate::domain::{Message, Part, Seal, ToolCall};
use crate::models::arguments::{as_object, plain_id};
use crate::models::audio;
use crate::models::sampling::{self, Column, Effort, Format};

/// Limit of an answer of a model that is not listed; the API insists on one.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

/// Stands before a conversation that the model began; the API wants the user to speak first.
const OPENING: &str = "(The conversation begins.)";

/// A checked request, not yet written.
#[derive(Debug)]
pub struct Prepared<'a> {
    body: Body<'a>,
    thinking: Thinking,
}

impl Prepared<'_> {
    /// Whether the model thinks between tool calls.
    pub fn interleaves(&self) -> bool {
        matches!(self.thinking, Thinking::Budget { .. }) && !self.body.tools.is_empty()
    }

    /// The JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.body)
    }
}

/// Checks `call` and lays its body out. Fails on a parameter that cannot be honoured.
pub fn prepare<'a>(call: &'a ModelCall, provider: &str, entry: Option<&ModelEntry>) -> Result<Prepared<'a>, CallError> {
    sampling::check(provider, Column::Anthropic, &call.sampling)?;
    audio::refuse(call, provider)?;
    let temperature = sampling::value(&call.sampling, "temperature");
    if temperature.and_then(Value::as_f64).is_some_and(|value| value > 1.0) {
        return Err(sampling::refused(provider, "temperature", "must be at most 1"));
    }
    let format = match Format::of(&call.sampling) {
        Format::Text => None,
        Format::Schema { schema, .. } => Some(OutputFormat {
            r#type: "json_schema",
            schema,
        }),
        Format::Json => {
            let why = "can only be of type json_schema here, not json_object";
            return Err(sampling::refused(provider, "response_format", why));
        }
    };
    let thinking = thinking(call, provider, entry);
    let limit = limit(call, entry);
    let is_thinking = thinking != Thinking::None;
    let mut messages = turns(call, provider, is_thinking);
    mark_last_user_block(&mut messages);
    let effort = match thinking {
        Thinking::Adaptive(effort) => Some(effort),
        _ => None,
    };
    let body = Body {
        model: &call.model,
        max_tokens: match thinking {
            Thinking::Budget { max_tokens, .. } => max_tokens,
            _ => limit,
        },
        stream: true,
        system: call.system.as_deref().filter(|text| !text.is_empty()).map(|text| {
            [System {
                r#type: "text",
                text,
                cache_control: EPHEMERAL,
            }]
        }),
        messages,
        tools: tools(&call.tools),
        tool_choice: choice(call),
        thinking: thinking.field(),
        output_config: (format.is_some() || effort.is_some()).then_some(OutputConfig { effort, format }),
        // Neither goes together with thinking.
        temperature: temperature.filter(|_| !is_thinking),
        top_p: sampling::value(&call.sampling, "top_p").filter(|_| !is_thinking),
        stop_sequences: sampling::stops(&call.sampling),
        metadata: sampling::value(&call.sampling, "safety_identifier").map(|user_id| Metadata { user_id }),
    };
    Ok(Prepared { body, thinking })
}

fn limit(call: &ModelCall, entry: Option<&ModelEntry>) -> u64 {
    sampling::limit(&call.sampling)
        .or(entry.map(|entry| entry.max_tokens).filter(|max| *max > 0))
        .unwrap_or(DEFAULT_MAX_TOKENS)
}

fn thinking(call: &ModelCall, provider: &str, entry: Option<&ModelEntry>) -> Thinking {
    let Some(entry) = entry.filter(|entry| entry.reasoning) else {
        return Thinking::None;
    };
    let Some(effort) = Effort::of(&call.sampling) else {
        return Thinking::None;
    };
    let is_forced = matches!(call.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) && !call.tools.is_empty();
    if is_forced {
        return Thinking::None;
    }
    let thinking = Thinking::new(&call.model, effort, limit(call, Some(entry)), entry.max_tokens);
    // Within a round of tools the API wants the thought that led to the call; a client that keeps the history itself
    // does not have it.
    if matches!(thinking, Thinking::Budget { .. }) && !has_thought_of_open_round(call, provider) {
        return Thinking::None;
    }
    thinking
}

fn has_thought_of_open_round(call: &ModelCall, provider: &str) -> bool {
    call.messages
        .iter()
        .rev()
        .take_while(|message| !matches!(&***message, Message::User { .. }))
        .all(|message| match &**message {
            Message::Assistant { tool_calls, sealed, .. } if !tool_calls.is_empty() => {
                sealed.as_ref().is_some_and(|sealed| {
                    let seals = sealed.made_by(API, provider, &call.model);
                    seals.iter().any(|seal| !matches!(seal, Seal::Call { .. }))
                })
            }
            _ => true,
        })
}

fn turns<'a>(call: &'a ModelCall, provider: &str, with_thoughts: bool) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::with_capacity(call.messages.len() + 1);
    let mut is_result_open = false;
    for message in &call.messages {
        let is_result = matches!(&**message, Message::Tool { .. });
        match &**message {
            Message::User { parts } => {
                let content: Vec<Block<'a>> = parts.iter().filter_map(part).collect();
                if !content.is_empty() {
                    turns.push(Turn { role: "user", content });
                }
            }
            Message::Assistant {
                text,
                tool_calls,
                sealed,
                ..
            } => {
                let seals = match sealed {
                    Some(sealed) if with_thoughts => sealed.made_by(API, provider, &call.model),
                    _ => &[],
                };
                let mut content: Vec<Block<'a>> = seals.iter().filter_map(thought).collect();
                if !text.trim().is_empty() {
                    content.push(text_block(text));
                }
                content.extend(tool_calls.iter().map(tool_use));
                if !content.is_empty() {
                    turns.push(Turn {
                        role: "assistant",
                        content,
                    });
                }
            }
            // All results of a round are one message.
            Message::Tool { call_id, content, .. } => {
                let block = Block::ToolResult {
                    tool_use_id: plain_id(call_id),
                    content,
                    cache_control: None,
                };
                match turns.last_mut() {
                    Some(turn) if is_result_open => turn.content.push(block),
                    _ => turns.push(Turn {
                        role: "user",
                        content: vec![block],
                    }),
                }
            }
        }
        is_result_open = is_result;
    }
    if turns.first().is_some_and(|turn| turn.role == "assistant") {
        turns.insert(
            0,
            Turn {
                role: "user",
                content: vec![text_block(OPENING)],
            },
        );
    }
    turns
}

fn part(part: &Part) -> Option<Block<'_>> {
    match part {
        Part::Text(text) if text.trim().is_empty() => None,
        Part::Text(text) => Some(text_block(text)),
        Part::Audio { .. } => Some(text_block(audio::OMITTED)),
        Part::Image { mime, data, .. } => Some(Block::Image {
            source: Source {
                r#type: "base64",
                media_type: mime,
                data,
            },
            cache_control: None,
        }),
    }
}

fn text_block(text: &str) -> Block<'_> {
    Block::Text {
        text,
        cache_control: None,
    }
}

fn thought(seal: &Seal) -> Option<Block<'_>> {
    match seal {
        Seal::Thought { text, signature } => Some(Block::Thinking {
            thinking: text,
            signature,
        }),
        Seal::Hidden(data) => Some(Block::RedactedThinking { data }),
        Seal::Call { .. } => None,
    }
}

fn tool_use(call: &ToolCall) -> Block<'_> {
    Block::ToolUse {
        id: plain_id(&call.id),
        name: &call.name,
        input: as_object(&call.arguments),
    }
}

/// The cache holds everything up to a mark; the next request of the conversation begins the same way.
fn mark_last_user_block(turns: &mut [Turn<'_>]) {
    let Some(Turn { role: "user", content }) = turns.last_mut() else {
        return;
    };
    if let Some(
        Block::Text { cache_control, .. }
        | Block::Image { cache_control, .. }
        | Block::ToolResult { cache_control, .. },
    ) = content.last_mut()
    {
        *cache_control = Some(EPHEMERAL);
    }
}

fn tools(specs: &[ToolSpec]) -> Vec<Tool<'_>> {
    let last = specs.len().saturating_sub(1);
    specs
        .iter()
        .enumerate()
        .map(|(at, spec)| Tool {
            name: &spec.name,
            description: spec.description.as_deref(),
            input_schema: Schema(spec.parameters.as_deref()),
            cache_control: (at == last).then_some(EPHEMERAL),
        })
        .collect()
}

fn choice(call: &ModelCall) -> Option<Choice<'_>> {
    if call.tools.is_empty() {
        return None;
    }
    let disable_parallel_tool_use = (call.parallel_tool_calls == Some(false)).then_some(true);
    let (r#type, name) = match &call.tool_choice {
        ToolChoice::Auto if disable_parallel_tool_use.is_none() => return None,
        ToolChoice::Auto => ("auto", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Named(name) => ("tool", Some(name.as_str())),
        ToolChoice::None => {
            return Some(Choice {
                r#type: "none",
                name: None,
                disable_parallel_tool_use: None,
            });
        }
    };
    Some(Choice {
        r#type,
        name,
        disable_parallel_tool_use,
    })
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<[System<'a>; 1]>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a Value,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct CacheControl {
    r#type: &'static str,
}

const EPHEMERAL: CacheControl = CacheControl { r#type: "ephemeral" };

#[derive(Debug, Serialize)]
struct System<'a> {
    r#type: &'static str,
    text: &'a str,
    cache_control: CacheControl,
}

#[derive(Debug, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

#[derive(Debug, Serialize)]
struct Source<'a> {
    r#type: &'static str,
    media_type: &'a str,
    data: &'a str,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

/// A tool without parameters still needs a schema.
#[derive(Debug)]
struct Schema<'a>(Option<&'a RawValue>);

impl Serialize for Schema<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(schema) => schema.serialize(serializer),
            None => serde_json::json!({"type": "object", "properties": {}}).serialize(serializer),
        }
    }
}

#[derive(Debug, Serialize)]
struct Choice<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
}

#[derive(Debug, Serialize)]
struct OutputFormat<'a> {
    r#type: &'static str,
    schema: &'a Value,
}
