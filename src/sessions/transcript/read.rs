//! From a stored message to the one that a model sees.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::PLAIN_REASONING;
use crate::domain::{Detail, Message, Part, Seal, Sealed, ToolCall};
use crate::store::StoredMessage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    api: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    provider: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    mime_type: Option<String>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(borrow, default)]
    thinking_signature: Option<Cow<'a, str>>,
    #[serde(default)]
    redacted: bool,
    #[serde(default)]
    thought_signature: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// The message as a model sees it. `None`: it is of no use to a model (a failed or empty turn, an unknown role, text
/// that is not a transcript message).
pub fn to_model(stored: &StoredMessage) -> Option<Message> {
    let body: Body<'_> = serde_json::from_str(&stored.body).ok()?;
    match stored.role.as_str() {
        "user" => user(&body),
        "assistant" => assistant(&body),
        "toolResult" => Some(Message::Tool {
            call_id: body.tool_call_id.as_deref()?.to_owned(),
            name: body
                .tool_name
                .as_deref()
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            content: text_of(&blocks(body.content)),
        }),
        _ => None,
    }
}

fn user(body: &Body<'_>) -> Option<Message> {
    let parts: Vec<Part> = blocks(body.content)
        .into_iter()
        .filter_map(|block| match &*block.kind {
            "text" => block.text.filter(|text| !text.is_empty()).map(Part::Text),
            "image" => Some(Part::Image {
                mime: block.mime_type?,
                data: Arc::from(block.data?),
                detail: block.detail.as_deref().and_then(Detail::parse),
            }),
            "audio" => Some(Part::Audio {
                format: block.format?,
                data: Arc::from(block.data?),
            }),
            _ => None,
        })
        .collect();
    (!parts.is_empty()).then_some(Message::User { parts })
}

fn assistant(body: &Body<'_>) -> Option<Message> {
    let stop = body.stop_reason.as_deref();
    if stop == Some("error") {
        return None;
    }
    let blocks = blocks(body.content);
    let text = text_of(&blocks);
    let mut reasoning = String::new();
    let mut tool_calls = Vec::new();
    let mut seals = Vec::new();
    for block in blocks {
        match &*block.kind {
            "thinking" if block.thinking_signature.as_deref() == Some(PLAIN_REASONING) => {
                reasoning.push_str(block.thinking.as_deref().unwrap_or_default());
            }
            "thinking" => seals.extend(seal(block)),
            // Nobody answered the calls of an aborted turn; providers refuse calls without results.
            "toolCall" if stop != Some("aborted") => {
                if let (Some(id), Some(signature)) = (&block.id, &block.thought_signature) {
                    seals.push(Seal::Call {
                        id: id.clone(),
                        signature: signature.clone(),
                    });
                }
                tool_calls.extend(call(block));
            }
            _ => {}
        }
    }
    if text.is_empty() && tool_calls.is_empty() {
        return None;
    }
    Some(Message::Assistant {
        text,
        reasoning: (!reasoning.is_empty()).then_some(reasoning),
        tool_calls,
        sealed: sealed(body, seals),
    })
}

fn seal(block: Block<'_>) -> Option<Seal> {
    let signature = block.thinking_signature.filter(|text| !text.is_empty())?.into_owned();
    Some(if block.redacted {
        Seal::Hidden(signature)
    } else {
        Seal::Thought {
            text: block.thinking.unwrap_or_default(),
            signature,
        }
    })
}

fn sealed(body: &Body<'_>, seals: Vec<Seal>) -> Option<Arc<Sealed>> {
    if seals.is_empty() {
        return None;
    }
    Some(Arc::new(Sealed {
        api: Arc::from(body.api.as_deref()?),
        provider: Arc::from(body.provider.as_deref()?),
        model: Arc::from(body.model.as_deref()?),
        seals,
    }))
}

fn call(block: Block<'_>) -> Option<ToolCall> {
    let arguments = block.arguments.map_or("{}", RawValue::get);
    Some(ToolCall {
        id: block.id?,
        name: block.name?,
        arguments: if arguments.starts_with('"') {
            serde_json::from_str(arguments).ok()?
        } else {
            arguments.to_owned()
        },
    })
}

/// Content is a string or an array of blocks. Blocks that are not understood are left out.
fn blocks(content: Option<&RawValue>) -> Vec<Block<'_>> {
    let Some(raw) = content else {
        return Vec::new();
    };
    if raw.get().starts_with('"') {
        let text = serde_json::from_str(raw.get()).unwrap_or_default();
        return vec![Block {
            kind: Cow::Borrowed("text"),
            text: Some(text),
            data: None,
            mime_type: None,
            detail: None,
            format: None,
            thinking: None,
            thinking_signature: None,
            redacted: false,
            thought_signature: None,
            id: None,
            name: None,
            arguments: None,
        }];
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| serde_json::from_str(item.get()).ok())
        .collect()
}

fn text_of(blocks: &[Block<'_>]) -> String {
    blocks
        .iter()
        .filter(|block| block.kind == "text")
        .filter_map(|block| block.text.as_deref())
        .collect()
}
