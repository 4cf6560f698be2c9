//! Items as system text, history and the current message.
//!
//! The current message is the last one of a user, or the last outputs of tools; what follows it is dropped. A function
//! call belongs to the assistant message before it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::compaction::summary_text;
use super::items::{kind, read_list};
use crate::domain::{Fault, Part, ToolCall};
use crate::models::client::messages::into_dialogue;
use crate::models::client::parts::{IMAGES_ONLY, OMITTED, is_image, is_link, push_text, read_detail};
use crate::models::client::{Base64, Dialogue, InputPart, LinkKind, param_fault, read_data_url};
use crate::wire::openai::responses::{Item, ItemPart, TextOr};

type Message = crate::domain::Message<InputPart>;

/// The conversation of these lists of items, oldest first. `instructions` come before other system texts.
pub fn dialogue<L: AsRef<str>>(instructions: Option<&str>, lists: &[L]) -> Result<Dialogue<InputPart>, Fault> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for list in lists {
        items.extend(read_list(list.as_ref())?);
    }
    of_items(instructions, &items)
}

fn of_items(instructions: Option<&str>, items: &[Item<'_>]) -> Result<Dialogue<InputPart>, Fault> {
    let current = current_index(items).ok_or_else(|| param_fault("input", "Missing user message in `input`."))?;
    let mut entries: Vec<Message> = Vec::with_capacity(current + 1);
    let mut reasoning: Option<String> = None;
    let mut called: HashMap<&str, &Item<'_>> = HashMap::new();
    for (index, item) in items.iter().enumerate().take(current + 1) {
        match kind(item) {
            "message" => match role(item) {
                "user" => {
                    let parts = user_parts(item, index == current)?;
                    if !parts.is_empty() {
                        entries.push(Message::User { parts });
                    }
                }
                "assistant" => {
                    let text = joined(item.content.as_ref());
                    if !text.trim().is_empty() {
                        entries.push(Message::Assistant {
                            text: text.into_owned(),
                            reasoning: reasoning.take(),
                            tool_calls: Vec::new(),
                            sealed: None,
                        });
                    }
                }
                _ => {}
            },
            "reasoning" => reasoning = reasoning_text(item).or(reasoning),
            "function_call" => {
                called.extend(item.call_id.as_ref().map(|id| (&*id.0, item)));
                push_call(&mut entries, call(item), &mut reasoning);
            }
            "function_call_output" => entries.push(output(item, &called)?),
            "compaction" => {
                let content = item.encrypted_content.as_ref().map_or("", |content| &*content.0);
                let summary = summary_text(content).ok_or_else(|| {
                    param_fault(
                        "input",
                        "A `compaction` item in `input` is not one of this gateway; send the conversation instead.",
                    )
                })?;
                entries.push(Message::user(summary));
            }
            _ => {}
        }
    }
    let system = system_text(instructions, items);
    into_dialogue(system, entries).ok_or_else(|| param_fault("input", "Missing user message in `input`."))
}

fn role<'i>(item: &'i Item<'_>) -> &'i str {
    item.role.as_ref().map_or("", |role| &*role.0)
}

fn system_text(instructions: Option<&str>, items: &[Item<'_>]) -> Option<String> {
    let said = items
        .iter()
        .filter(|item| kind(item) == "message" && matches!(role(item), "system" | "developer"))
        .map(|item| joined(item.content.as_ref()));
    let texts: Vec<String> = instructions
        .map(Cow::Borrowed)
        .into_iter()
        .chain(said)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// The last usable message of a user or output of a tool; if there is none, the last text of the assistant.
fn current_index(items: &[Item<'_>]) -> Option<usize> {
    let is_current = |item: &Item<'_>| match kind(item) {
        "function_call_output" => true,
        "message" if role(item) == "user" => match &item.content {
            Some(TextOr::Other(parts)) => parts
                .iter()
                .any(|part| is_media(part) || !part_text(part).trim().is_empty()),
            Some(TextOr::Text(text)) => !text.trim().is_empty(),
            None => false,
        },
        _ => false,
    };
    let is_said = |item: &Item<'_>| {
        kind(item) == "message" && role(item) == "assistant" && !joined(item.content.as_ref()).trim().is_empty()
    };
    items
        .iter()
        .rposition(is_current)
        .or_else(|| items.iter().rposition(is_said))
}

/// The content of a user message. A part that cannot be read is an error in the current message, whose answer would miss
/// it, and a short note in older ones.
fn user_parts(item: &Item<'_>, is_current: bool) -> Result<Vec<InputPart>, Fault> {
    let parts = match &item.content {
        None => return Ok(Vec::new()),
        Some(TextOr::Text(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(TextOr::Text(text)) => return Ok(vec![InputPart::text(&**text)]),
        Some(TextOr::Other(parts)) => parts,
    };
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        match read_part(part) {
            Ok(Some(InputPart::Ready(Part::Text(text)))) => push_text(&mut out, &text),
            Ok(Some(part)) => out.push(part),
            Ok(None) => {}
            Err(fault) if is_current => return Err(fault),
            Err(_) => push_text(&mut out, OMITTED),
        }
    }
    if !out.is_empty() && out.iter().all(is_image) {
        out.insert(0, InputPart::text(IMAGES_ONLY));
    }
    Ok(out)
}

fn read_part(part: &ItemPart<'_>) -> Result<Option<InputPart>, Fault> {
    match part_kind(part) {
        "input_image" => image(part).map(Some),
        "input_file" => file(part).map(Some),
        "" | "input_text" | "output_text" | "text" | "refusal" | "summary_text" => {
            let text = part_text(part);
            Ok((!text.trim().is_empty()).then(|| InputPart::text(text)))
        }
        // Leaving it out silently would let the model answer a question that was not asked.
        other => Err(param_fault(
            "input",
            format!(
                "Unsupported content part type `{other}` in `input`; supported: input_text, input_image, input_file."
            ),
        )),
    }
}

fn image(part: &ItemPart<'_>) -> Result<InputPart, Fault> {
    let Some(url) = &part.image_url else {
        return Err(no_uploads(part, "image_url"));
    };
    let detail = read_detail(part.detail.as_ref().or(url.detail.as_ref()), "input")?;
    let url = url.url.trim();
    if is_link(url) {
        return Ok(InputPart::Link {
            kind: LinkKind::Image(detail),
            url: url.to_owned(),
            name: None,
        });
    }
    let (mime, data) = read_data_url(url).ok_or_else(|| {
        param_fault(
            "input",
            "Invalid input_image in `input`: `image_url` must be an http(s) address or a base64 data URL.",
        )
    })?;
    Ok(InputPart::Ready(Part::Image {
        mime,
        data: data.0,
        detail,
    }))
}

fn file(part: &ItemPart<'_>) -> Result<InputPart, Fault> {
    let name = part.filename.as_ref().map(|name| name.0.clone().into_owned());
    if let Some(url) = &part.file_url {
        return Ok(InputPart::Link {
            kind: LinkKind::File,
            url: url.0.trim().to_owned(),
            name,
        });
    }
    let Some(data) = &part.file_data else {
        return Err(no_uploads(part, "file_data"));
    };
    let text = data.0.trim();
    let (mime, data) = read_data_url(text)
        .or_else(|| Some((String::new(), Base64::parse(text)?)))
        .ok_or_else(|| {
            param_fault(
                "input",
                "Invalid input_file in `input`: `file_data` must be base64 or a base64 data URL.",
            )
        })?;
    Ok(InputPart::File {
        name,
        mime,
        data: data.0,
    })
}

fn no_uploads(part: &ItemPart<'_>, field: &str) -> Fault {
    let text = if part.file_id.is_some() {
        format!("Uploaded files are not available; send `{field}` instead of `file_id` in `input`.")
    } else {
        format!("A part of type `{}` in `input` has no `{field}`.", part_kind(part))
    };
    param_fault("input", text)
}

fn call(item: &Item<'_>) -> ToolCall {
    let text = |text: &Option<crate::wire::openai::chat::Text<'_>>| {
        text.as_ref()
            .map(|text| text.0.clone().into_owned())
            .unwrap_or_default()
    };
    let arguments = text(&item.arguments);
    ToolCall {
        id: text(&item.call_id),
        name: text(&item.name),
        arguments: if arguments.trim().is_empty() {
            "{}".to_owned()
        } else {
            arguments
        },
    }
}

fn push_call(entries: &mut Vec<Message>, call: ToolCall, reasoning: &mut Option<String>) {
    if reasoning.is_none()
        && let Some(Message::Assistant { tool_calls, .. }) = entries.last_mut()
    {
        tool_calls.push(call);
        return;
    }
    entries.push(Message::Assistant {
        text: String::new(),
        reasoning: reasoning.take(),
        tool_calls: vec![call],
        sealed: None,
    });
}

/// A tool's output; one that answers no call before it becomes text of the user.
fn output(item: &Item<'_>, called: &HashMap<&str, &Item<'_>>) -> Result<Message, Fault> {
    if let Some(TextOr::Other(parts)) = &item.output
        && parts.iter().any(is_media)
    {
        return Err(param_fault(
            "input",
            "Images and files in a `function_call_output` are not supported; send them in a user message.",
        ));
    }
    let call_id = item.call_id.as_ref().map_or("", |id| &*id.0);
    let content = joined(item.output.as_ref()).into_owned();
    Ok(match called.get(call_id) {
        Some(called) => Message::Tool {
            call_id: call_id.to_owned(),
            name: called.name.as_ref().map(|name| name.0.clone().into_owned()),
            content,
        },
        None => Message::user(format!("Tool:{call_id}: {content}")),
    })
}

fn reasoning_text(item: &Item<'_>) -> Option<String> {
    let raw = match &item.content {
        Some(TextOr::Other(parts)) => parts.iter().map(part_text).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    };
    let shown = || {
        let parts = item.summary.iter().flatten();
        parts.map(part_text).collect::<Vec<_>>().join("\n")
    };
    let text = if raw.trim().is_empty() { shown() } else { raw };
    (!text.trim().is_empty()).then_some(text)
}

fn part_kind<'p>(part: &'p ItemPart<'_>) -> &'p str {
    part.r#type.as_ref().map_or("", |kind| &*kind.0)
}

fn is_media(part: &ItemPart<'_>) -> bool {
    matches!(part_kind(part), "input_image" | "input_file")
}

fn part_text<'p>(part: &'p ItemPart<'_>) -> &'p str {
    part.text.as_ref().or(part.refusal.as_ref()).map_or("", |text| &*text.0)
}

/// All texts of a content, one per line.
fn joined<'c>(content: Option<&'c TextOr<'_, Vec<ItemPart<'_>>>>) -> Cow<'c, str> {
    match content {
        None => Cow::Borrowed(""),
        Some(TextOr::Text(text)) => Cow::Borrowed(text),
        Some(TextOr::Other(parts)) => {
            let texts: Vec<&str> = parts.iter().map(part_text).filter(|text| !text.is_empty()).collect();
            match texts.as_slice() {
                [text] => Cow::Borrowed(text),
                texts => Cow::Owned(texts.join("\n")),
            }
        }
    }
}
