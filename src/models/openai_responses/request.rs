//! A [`ModelCall`] as the body of a responses request. Pure.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::API;
use crate::config::ModelEntry;
use crate::domain::model::{CallError, ModelCall, ToolChoice, ToolSpec};
use crate::domain::{Detail, Message, Part, Seal};
use crate::models::arguments::{as_object, plain_id};
use crate::models::audio;
use crate::models::data_url::DataUrl;
use crate::models::sampling::{self, Column, Effort, Format};

/// Makes reasoning readable to the provider later, although nothing is stored there.
const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

/// Lays the body for `call` out. Fails on a parameter that cannot be honoured.
pub fn prepare<'a>(call: &'a ModelCall, provider: &str, entry: Option<&ModelEntry>) -> Result<Body<'a>, CallError> {
    sampling::check(provider, Column::Responses, &call.sampling)?;
    audio::refuse(call, provider)?;
    let reasons = entry.is_some_and(|entry| entry.reasoning);
    let has_tools = !call.tools.is_empty();
    Ok(Body {
        model: &call.model,
        input: items(call, provider, reasons),
        stream: true,
        store: false,
        max_output_tokens: sampling::limit(&call.sampling)
            .or(entry.map(|entry| entry.max_tokens).filter(|max| *max > 0)),
        tools: call.tools.iter().map(tool).collect(),
        tool_choice: has_tools.then(|| choice(&call.tool_choice)).flatten(),
        parallel_tool_calls: call.parallel_tool_calls.filter(|_| has_tools),
        reasoning: reasons.then(|| reasoning(call)).flatten(),
        include: if reasons { vec![ENCRYPTED_REASONING] } else { Vec::new() },
        text: text(call),
        temperature: sampling::value(&call.sampling, "temperature"),
        top_p: sampling::value(&call.sampling, "top_p"),
        service_tier: sampling::value(&call.sampling, "service_tier"),
        prompt_cache_key: sampling::value(&call.sampling, "prompt_cache_key"),
        prompt_cache_retention: sampling::value(&call.sampling, "prompt_cache_retention"),
        safety_identifier: sampling::value(&call.sampling, "safety_identifier"),
    })
}

fn items<'a>(call: &'a ModelCall, provider: &str, reasons: bool) -> Vec<Item<'a>> {
    let mut items = Vec::with_capacity(call.messages.len() + 1);
    if let Some(text) = call.system.as_deref().filter(|text| !text.is_empty()) {
        let role = if reasons { "developer" } else { "system" };
        items.push(Item::Said(Said {
            role,
            content: Content::Plain(text),
        }));
    }
    for message in &call.messages {
        match &**message {
            Message::User { parts } if parts.is_empty() => {}
            Message::User { parts } => items.push(Item::Said(Said {
                role: "user",
                content: Content::Parts(parts.iter().map(part).collect()),
            })),
            Message::Assistant {
                text,
                tool_calls,
                sealed,
                ..
            } => {
                let seals = match sealed {
                    Some(sealed) if reasons => sealed.made_by(API, provider, &call.model),
                    _ => &[],
                };
                items.extend(seals.iter().filter_map(thought));
                if !text.is_empty() {
                    items.push(Item::Typed(Typed::Message {
                        role: "assistant",
                        content: [Written {
                            r#type: "output_text",
                            text,
                            annotations: [],
                        }],
                    }));
                }
                items.extend(tool_calls.iter().map(|call| {
                    Item::Typed(Typed::FunctionCall {
                        call_id: plain_id(&call.id),
                        name: &call.name,
                        arguments: as_object(&call.arguments).get(),
                    })
                }));
            }
            Message::Tool { call_id, content, .. } => items.push(Item::Typed(Typed::FunctionCallOutput {
                call_id: plain_id(call_id),
                output: content,
            })),
        }
    }
    items
}

fn part(part: &Part) -> InputPart<'_> {
    match part {
        Part::Text(text) => InputPart::InputText { text },
        Part::Audio { .. } => InputPart::InputText { text: audio::OMITTED },
        Part::Image { mime, data, detail } => InputPart::InputImage {
            detail: detail.map_or("auto", Detail::as_str),
            image_url: DataUrl { mime, data },
        },
    }
}

/// Seals of this dialect hold the whole item.
fn thought(seal: &Seal) -> Option<Item<'_>> {
    match seal {
        Seal::Thought { signature, .. } => serde_json::from_str(signature).ok().map(Item::Raw),
        Seal::Hidden(_) | Seal::Call { .. } => None,
    }
}

fn tool(spec: &ToolSpec) -> Tool<'_> {
    Tool {
        r#type: "function",
        name: &spec.name,
        description: spec.description.as_deref(),
        parameters: spec.parameters.as_deref(),
        strict: spec.strict.unwrap_or(false),
    }
}

fn choice(choice: &ToolChoice) -> Option<Choice<'_>> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(Choice::Word("none")),
        ToolChoice::Required => Some(Choice::Word("required")),
        ToolChoice::Named(name) => Some(Choice::Function {
            r#type: "function",
            name,
        }),
    }
}

fn reasoning(call: &ModelCall) -> Option<Reasoning> {
    let effort = Effort::of(&call.sampling)?;
    Some(match effort {
        Effort::Off => Reasoning {
            effort: "none",
            summary: None,
        },
        effort => Reasoning {
            effort: match effort {
                Effort::Off | Effort::Minimal => "minimal",
                Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High => "high",
                Effort::Xhigh | Effort::Max => "xhigh",
            },
            summary: Some("auto"),
        },
    })
}

fn text(call: &ModelCall) -> Option<Text<'_>> {
    let format = match Format::of(&call.sampling) {
        Format::Text => None,
        Format::Json => Some(OutputFormat {
            r#type: "json_object",
            name: None,
            schema: None,
            strict: None,
        }),
        Format::Schema { name, schema, strict } => Some(OutputFormat {
            r#type: "json_schema",
            name: Some(name),
            schema: Some(schema),
            strict,
        }),
    };
    let verbosity = sampling::value(&call.sampling, "verbosity");
    (format.is_some() || verbosity.is_some()).then_some(Text { format, verbosity })
}

/// The body.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    stream: bool,
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_retention: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a Value>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Said(Said<'a>),
    Typed(Typed<'a>),
    Raw(&'a RawValue),
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Plain(&'a str),
    Parts(Vec<InputPart<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum InputPart<'a> {
    InputText {
        text: &'a str,
    },
    InputImage {
        detail: &'static str,
        image_url: DataUrl<'a>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Typed<'a> {
    Message {
        role: &'static str,
        content: [Written<'a>; 1],
    },
    FunctionCall {
        call_id: Cow<'a, str>,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: Cow<'a, str>,
        output: &'a str,
    },
}

#[derive(Debug, Serialize)]
struct Written<'a> {
    r#type: &'static str,
    text: &'a str,
    annotations: [(); 0],
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// The API wants the field even where there are none.
    parameters: Option<&'a RawValue>,
    strict: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Function { r#type: &'static str, name: &'a str },
}

#[derive(Debug, Serialize)]
struct Reasoning {
    effort: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a Value>,
}

#[derive(Debug, Serialize)]
struct OutputFormat<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}
