//! A [`ModelCall`] as the body of a chat-completions request. Pure; written straight into bytes.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::domain::model::{ModelCall, ToolChoice, ToolSpec};
use crate::domain::{Detail, Message, Part, ToolCall};
use crate::models::data_url::DataUrl;

/// What the provider adds to a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestSettings {
    /// The model's configured `maxTokens`, sent unless the caller gave a limit.
    pub max_tokens: Option<u64>,
    /// Whether usage may be asked for in streams.
    pub stream_options: bool,
    /// Whether the old name `max_tokens` must be sent under its new one (OpenAI itself refuses it for newer models).
    pub renames_max_tokens: bool,
}

/// Written by the dialect itself, never taken from the sampling map.
const RESERVED: [&str; 7] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
];

/// The JSON body for `call`.
pub fn to_request(call: &ModelCall, settings: &RequestSettings) -> Result<Vec<u8>, serde_json::Error> {
    let weight: usize = call.messages.iter().map(|message| message.weight()).sum();
    let mut body = Vec::with_capacity(512 + weight + call.system.as_ref().map_or(0, String::len));
    serde_json::to_writer(&mut body, &Body { call, settings })?;
    Ok(body)
}

struct Body<'a> {
    call: &'a ModelCall,
    settings: &'a RequestSettings,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { call, settings } = self;
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("model", &*call.model)?;
        body.serialize_entry("messages", &Messages(call))?;
        body.serialize_entry("stream", &call.stream)?;
        if call.stream && settings.stream_options {
            body.serialize_entry("stream_options", &IncludeUsage { include_usage: true })?;
        }
        if !call.tools.is_empty() {
            body.serialize_entry("tools", &Tools(&call.tools))?;
            match &call.tool_choice {
                ToolChoice::Auto => {}
                ToolChoice::None => body.serialize_entry("tool_choice", "none")?,
                ToolChoice::Required => body.serialize_entry("tool_choice", "required")?,
                ToolChoice::Named(name) => body.serialize_entry("tool_choice", &NamedChoice::new(name))?,
            }
            if let Some(parallel) = call.parallel_tool_calls {
                body.serialize_entry("parallel_tool_calls", &parallel)?;
            }
        }
        let mut is_limited = false;
        for (name, value) in call.sampling.iter() {
            match name.as_str() {
                reserved if RESERVED.contains(&reserved) => {}
                "max_tokens" if settings.renames_max_tokens => {
                    if !call.sampling.contains_key("max_completion_tokens") {
                        is_limited = true;
                        body.serialize_entry("max_completion_tokens", value)?;
                    }
                }
                name => {
                    is_limited |= matches!(name, "max_tokens" | "max_completion_tokens");
                    body.serialize_entry(name, value)?;
                }
            }
        }
        if let (false, Some(max)) = (is_limited, settings.max_tokens) {
            body.serialize_entry("max_completion_tokens", &max)?;
        }
        body.end()
    }
}

#[derive(Serialize)]
struct IncludeUsage {
    include_usage: bool,
}

struct Messages<'a>(&'a ModelCall);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(call) = self;
        let system = call.system.as_deref().filter(|text| !text.is_empty());
        let mut list = serializer.serialize_seq(Some(call.messages.len() + usize::from(system.is_some())))?;
        if let Some(content) = system {
            list.serialize_element(&Plain {
                role: "system",
                content,
            })?;
        }
        for message in &call.messages {
            match &**message {
                Message::User { parts } => match parts.as_slice() {
                    [Part::Text(text)] => list.serialize_element(&Plain {
                        role: "user",
                        content: text,
                    })?,
                    parts => list.serialize_element(&Mixed {
                        role: "user",
                        content: parts.iter().map(WirePart::from).collect(),
                    })?,
                },
                Message::Assistant {
                    text,
                    reasoning,
                    tool_calls,
                    ..
                } => list.serialize_element(&Assistant {
                    role: "assistant",
                    // Beside tool calls, no text is null: some servers take an empty string for an answer.
                    content: (!text.is_empty() || tool_calls.is_empty()).then_some(text),
                    reasoning_content: reasoning.as_deref(),
                    tool_calls: tool_calls.iter().map(WireCall::from).collect(),
                })?,
                Message::Tool { call_id, content, .. } => list.serialize_element(&ToolResult {
                    role: "tool",
                    content,
                    tool_call_id: call_id,
                })?,
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Mixed<'a> {
    role: &'static str,
    content: Vec<WirePart<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WirePart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
    InputAudio { input_audio: InputAudio<'a> },
}

#[derive(Serialize)]
struct InputAudio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: DataUrl<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

impl<'a> From<&'a Part> for WirePart<'a> {
    fn from(part: &'a Part) -> Self {
        match part {
            Part::Text(text) => Self::Text { text },
            Part::Image { mime, data, detail } => Self::ImageUrl {
                image_url: ImageUrl {
                    url: DataUrl { mime, data },
                    detail: detail.map(Detail::as_str),
                },
            },
            Part::Audio { format, data } => Self::InputAudio {
                input_audio: InputAudio { data, format },
            },
        }
    }
}

#[derive(Serialize)]
struct Assistant<'a> {
    role: &'static str,
    content: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
}

#[derive(Serialize)]
struct WireCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: WireFunction<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> From<&'a ToolCall> for WireCall<'a> {
    fn from(call: &'a ToolCall) -> Self {
        Self {
            id: &call.id,
            r#type: "function",
            function: WireFunction {
                name: &call.name,
                arguments: &call.arguments,
            },
        }
    }
}

#[derive(Serialize)]
struct ToolResult<'a> {
    role: &'static str,
    content: &'a str,
    tool_call_id: &'a str,
}

struct Tools<'a>(&'a [ToolSpec]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Tool<'a> {
            r#type: &'static str,
            function: Function<'a>,
        }
        #[derive(Serialize)]
        struct Function<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            parameters: Option<&'a serde_json::value::RawValue>,
            #[serde(skip_serializing_if = "Option::is_none")]
            strict: Option<bool>,
        }
        serializer.collect_seq(self.0.iter().map(|tool| Tool {
            r#type: "function",
            function: Function {
                name: &tool.name,
                description: tool.description.as_deref(),
                parameters: tool.parameters.as_deref(),
                strict: tool.strict,
            },
        }))
    }
}

#[derive(Serialize)]
struct NamedChoice<'a> {
    r#type: &'static str,
    function: NamedFunction<'a>,
}

#[derive(Serialize)]
struct NamedFunction<'a> {
    name: &'a str,
}

impl<'a> NamedChoice<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            r#type: "function",
            function: NamedFunction { name },
        }
    }
}
