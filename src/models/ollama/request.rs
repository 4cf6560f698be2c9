//! A [`ModelCall`] as the body of an Ollama chat request. Pure.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::ModelEntry;
use crate::domain::model::{CallError, ModelCall, ToolChoice, ToolSpec};
use crate::domain::{Message, Part, ToolCall};
use crate::models::arguments::as_object;
use crate::models::audio;
use crate::models::sampling::{self, Column, Effort, Format};

/// Lays the body for `call` out. Fails on a parameter that cannot be honoured.
pub fn prepare<'a>(call: &'a ModelCall, provider: &str, entry: Option<&ModelEntry>) -> Result<Body<'a>, CallError> {
    sampling::check(provider, Column::Ollama, &call.sampling)?;
    audio::refuse(call, provider)?;
    let mut tools: &[ToolSpec] = &call.tools;
    if !tools.is_empty() {
        if call.parallel_tool_calls == Some(false) {
            return Err(sampling::refused(
                provider,
                "parallel_tool_calls",
                "cannot be false here",
            ));
        }
        match call.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::None => tools = &[],
            ToolChoice::Required | ToolChoice::Named(_) => {
                return Err(sampling::refused(provider, "tool_choice", "cannot force a call here"));
            }
        }
    }
    Ok(Body {
        model: &call.model,
        messages: messages(call),
        stream: true,
        tools: tools.iter().map(tool).collect(),
        format: match Format::of(&call.sampling) {
            Format::Text => None,
            Format::Json => Some(OutputFormat::Word("json")),
            Format::Schema { schema, .. } => Some(OutputFormat::Schema(schema)),
        },
        options: options(call, entry),
        think: entry
            .filter(|entry| entry.reasoning)
            .and_then(|_| Effort::of(&call.sampling))
            .map(think),
    })
}

fn messages(call: &ModelCall) -> Vec<Turn<'_>> {
    let mut turns = Vec::with_capacity(call.messages.len() + 1);
    if let Some(system) = call.system.as_deref().filter(|text| !text.is_empty()) {
        turns.push(Turn::said("system", system.to_owned()));
    }
    for message in &call.messages {
        turns.push(match &**message {
            Message::User { parts } => Turn {
                images: parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Image { data, .. } => Some(&**data),
                        Part::Text(_) | Part::Audio { .. } => None,
                    })
                    .collect(),
                ..Turn::said("user", joined(parts))
            },
            Message::Assistant { text, tool_calls, .. } => Turn {
                tool_calls: tool_calls.iter().map(made_call).collect(),
                ..Turn::said("assistant", text.clone())
            },
            Message::Tool { name, content, call_id } => Turn {
                tool_name: name.as_deref().or_else(|| called(call, call_id)),
                ..Turn::said("tool", content.clone())
            },
        });
    }
    turns
}

fn joined(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Audio { .. } => Some(audio::OMITTED),
            Part::Image { .. } => None,
        })
        .collect();
    texts.join("\n")
}

/// The name of the tool that the call with this id called.
fn called<'a>(call: &'a ModelCall, call_id: &str) -> Option<&'a str> {
    call.messages.iter().rev().find_map(|message| match &**message {
        Message::Assistant { tool_calls, .. } => tool_calls
            .iter()
            .find(|made| made.id == call_id)
            .map(|made| made.name.as_str()),
        _ => None,
    })
}

fn made_call(call: &ToolCall) -> MadeCall<'_> {
    MadeCall {
        function: MadeFunction {
            name: &call.name,
            arguments: as_object(&call.arguments),
        },
    }
}

fn tool(spec: &ToolSpec) -> Tool<'_> {
    Tool {
        r#type: "function",
        function: Function {
            name: &spec.name,
            description: spec.description.as_deref(),
            parameters: spec.parameters.as_deref(),
        },
    }
}

fn options<'a>(call: &'a ModelCall, entry: Option<&ModelEntry>) -> Options<'a> {
    let value = |name| sampling::value(&call.sampling, name);
    Options {
        // A window that nobody stated could be more than the machine has memory for.
        num_ctx: entry
            .filter(|entry| entry.is_window_known)
            .map(|entry| entry.context_window),
        num_predict: sampling::limit(&call.sampling),
        temperature: value("temperature"),
        top_p: value("top_p"),
        frequency_penalty: value("frequency_penalty"),
        presence_penalty: value("presence_penalty"),
        seed: value("seed"),
        stop: sampling::stops(&call.sampling),
    }
}

fn think(effort: Effort) -> Think {
    match effort {
        Effort::Off => Think::Switch(false),
        Effort::Minimal | Effort::Low => Think::Level("low"),
        Effort::Medium => Think::Level("medium"),
        Effort::High | Effort::Xhigh | Effort::Max => Think::Level("high"),
    }
}

/// The body.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
    options: Options<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think>,
}

#[derive(Debug, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<MadeCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

impl Turn<'_> {
    fn said(role: &'static str, content: String) -> Self {
        Self {
            role,
            content,
            images: Vec::new(),
            tool_calls: Vec::new(),
            tool_name: None,
        }
    }
}

#[derive(Debug, Serialize)]
struct MadeCall<'a> {
    function: MadeFunction<'a>,
}

#[derive(Debug, Serialize)]
struct MadeFunction<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OutputFormat<'a> {
    Word(&'static str),
    Schema(&'a Value),
}

#[derive(Debug, Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    num_ctx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Think {
    Switch(bool),
    Level(&'static str),
}
