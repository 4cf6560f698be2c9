//! A [`ModelCall`] as the body of a `generateContent` request. Pure.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::API;
use super::schema;
use crate::config::ModelEntry;
use crate::domain::model::{CallError, ModelCall, ToolChoice, ToolSpec};
use crate::domain::{Message, Part, Seal};
use crate::models::arguments::as_object;
use crate::models::sampling::{self, Column, Effort, Format};

/// Stands for the signature of a call that another model made; Gemini 3 refuses calls without any.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

/// Lays the body for `call` out. Fails on a parameter that cannot be honoured.
pub fn prepare<'a>(call: &'a ModelCall, provider: &str, entry: Option<&ModelEntry>) -> Result<Body<'a>, CallError> {
    sampling::check(provider, Column::Google, &call.sampling)?;
    if call.parallel_tool_calls == Some(false) && !call.tools.is_empty() {
        return Err(sampling::refused(
            provider,
            "parallel_tool_calls",
            "cannot be false here",
        ));
    }
    Ok(Body {
        contents: contents(call, provider),
        system_instruction: call
            .system
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| Instruction {
                parts: [TextPart { text }],
            }),
        tools: (!call.tools.is_empty()).then(|| {
            [Tools {
                function_declarations: call.tools.iter().map(declaration).collect(),
            }]
        }),
        tool_config: tool_config(call),
        generation_config: generation(call, entry),
    })
}

fn contents<'a>(call: &'a ModelCall, provider: &str) -> Vec<Content<'a>> {
    let mut contents: Vec<Content<'a>> = Vec::with_capacity(call.messages.len());
    let needs_signatures = call.model.contains("gemini-3");
    let mut is_result_open = false;
    for message in &call.messages {
        let is_result = matches!(&**message, Message::Tool { .. });
        match &**message {
            Message::User { parts } => push(&mut contents, "user", parts.iter().filter_map(part).collect()),
            Message::Assistant {
                text,
                reasoning,
                tool_calls,
                sealed,
            } => {
                let seals = sealed
                    .as_ref()
                    .map_or(&[][..], |sealed| sealed.made_by(API, provider, &call.model));
                let mut parts = Vec::new();
                if let (Some(thought), false) = (reasoning, seals.is_empty()) {
                    parts.push(Piece::Text {
                        text: thought,
                        thought: Some(true),
                    });
                }
                if !text.is_empty() {
                    parts.push(Piece::Text { text, thought: None });
                }
                for (at, call) in tool_calls.iter().enumerate() {
                    let own = seals.iter().find_map(|seal| match seal {
                        Seal::Call { id, signature } if *id == call.id => Some(signature.as_str()),
                        _ => None,
                    });
                    // Of parallel calls only the first is signed.
                    let stand_in = (needs_signatures && seals.is_empty() && at == 0).then_some(FOREIGN_CALL);
                    parts.push(Piece::Call {
                        function_call: FunctionCall {
                            name: &call.name,
                            args: as_object(&call.arguments),
                        },
                        thought_signature: own.or(stand_in),
                    });
                }
                push(&mut contents, "model", parts);
            }
            // All results of a round are one message.
            Message::Tool { call_id, name, content } => {
                let piece = Piece::Result {
                    function_response: FunctionResponse {
                        name: name.as_deref().or_else(|| called(call, call_id)).unwrap_or("tool"),
                        response: Output { output: content },
                    },
                };
                match contents.last_mut() {
                    Some(last) if is_result_open => last.parts.push(piece),
                    _ => push(&mut contents, "user", vec![piece]),
                }
            }
        }
        is_result_open = is_result;
    }
    contents
}

fn push<'a>(contents: &mut Vec<Content<'a>>, role: &'static str, parts: Vec<Piece<'a>>) {
    if !parts.is_empty() {
        contents.push(Content { role, parts });
    }
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

fn part(part: &Part) -> Option<Piece<'_>> {
    match part {
        Part::Text(text) if text.is_empty() => None,
        Part::Text(text) => Some(Piece::Text { text, thought: None }),
        Part::Image { mime, data, .. } => Some(Piece::Data {
            inline_data: InlineData {
                mime_type: Cow::Borrowed(mime),
                data,
            },
        }),
        Part::Audio { format, data } => Some(Piece::Data {
            inline_data: InlineData {
                mime_type: Cow::Owned(format!("audio/{format}")),
                data,
            },
        }),
    }
}

fn declaration(spec: &ToolSpec) -> Declaration<'_> {
    Declaration {
        name: &spec.name,
        description: spec.description.as_deref(),
        parameters_json_schema: spec
            .parameters
            .as_deref()
            .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
            .map(|parameters| schema::fit(&parameters)),
    }
}

fn tool_config(call: &ModelCall) -> Option<ToolConfig<'_>> {
    if call.tools.is_empty() {
        return None;
    }
    let (mode, allowed) = match &call.tool_choice {
        ToolChoice::Auto => return None,
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some([name.as_str()])),
    };
    Some(ToolConfig {
        function_calling_config: CallingConfig {
            mode,
            allowed_function_names: allowed,
        },
    })
}

fn generation<'a>(call: &'a ModelCall, entry: Option<&ModelEntry>) -> Generation<'a> {
    let value = |name| sampling::value(&call.sampling, name);
    let (mime, json_schema) = match Format::of(&call.sampling) {
        Format::Text => (None, None),
        Format::Json => (Some("application/json"), None),
        Format::Schema { schema, .. } => (Some("application/json"), Some(schema::fit(schema))),
    };
    Generation {
        max_output_tokens: sampling::limit(&call.sampling)
            .or(entry.map(|entry| entry.max_tokens).filter(|max| *max > 0)),
        temperature: value("temperature"),
        top_p: value("top_p"),
        frequency_penalty: value("frequency_penalty"),
        presence_penalty: value("presence_penalty"),
        seed: value("seed"),
        stop_sequences: sampling::stops(&call.sampling),
        response_mime_type: mime,
        response_json_schema: json_schema,
        thinking_config: thinking(call, entry),
    }
}

/// Models before 3 get a budget of tokens, later ones a level.
fn thinking(call: &ModelCall, entry: Option<&ModelEntry>) -> Option<ThinkingConfig> {
    entry.filter(|entry| entry.reasoning)?;
    let effort = Effort::of(&call.sampling)?;
    let is_pro = call.model.contains("pro");
    if call.model.contains("gemini-3") {
        // Thinking cannot be switched off.
        let level = match effort {
            Effort::Off | Effort::Minimal | Effort::Low => "LOW",
            Effort::Medium if is_pro => "HIGH",
            Effort::Medium => "MEDIUM",
            Effort::High | Effort::Xhigh | Effort::Max => "HIGH",
        };
        return Some(ThinkingConfig {
            include_thoughts: effort != Effort::Off,
            thinking_budget: None,
            thinking_level: Some(level),
        });
    }
    let budget = match effort {
        // The smallest that the larger model accepts.
        Effort::Off if is_pro => 128,
        Effort::Off => 0,
        Effort::Minimal => 512,
        Effort::Low => 2_048,
        Effort::Medium => 8_192,
        Effort::High | Effort::Xhigh | Effort::Max if is_pro => 32_768,
        Effort::High | Effort::Xhigh | Effort::Max => 24_576,
    };
    Some(ThinkingConfig {
        include_thoughts: effort != Effort::Off,
        thinking_budget: Some(budget),
        thinking_level: None,
    })
}

/// The body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body<'a> {
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Instruction<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Generation<'a>,
}

#[derive(Debug, Serialize)]
struct Instruction<'a> {
    parts: [TextPart<'a>; 1],
}

#[derive(Debug, Serialize)]
struct TextPart<'a> {
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: Vec<Piece<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Piece<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought: Option<bool>,
    },
    Data {
        inline_data: InlineData<'a>,
    },
    Call {
        function_call: FunctionCall<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'a str>,
    },
    Result {
        function_response: FunctionResponse<'a>,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: Cow<'a, str>,
    data: &'a str,
}

#[derive(Debug, Serialize)]
struct FunctionCall<'a> {
    name: &'a str,
    args: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct FunctionResponse<'a> {
    name: &'a str,
    response: Output<'a>,
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    output: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: CallingConfig<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallingConfig<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Generation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
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
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}
