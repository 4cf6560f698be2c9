//! Items of a request in their complete form, and stored lists of items.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ids::IdMaker;
use crate::domain::Fault;
use crate::models::client::param_fault;
use crate::wire::openai::chat::{ImageUrl, Text, kind_of};
use crate::wire::openai::list::List;
use crate::wire::openai::responses::item::{MAX_ITEMS, Source};
use crate::wire::openai::responses::{Item, ItemPart, TextOr};

/// Reads `input`: a string is a user message.
pub(super) fn own_items(raw: Option<&RawValue>) -> Result<Vec<Item<'_>>, Fault> {
    let raw = raw.ok_or_else(|| param_fault("input", "input: Invalid input"))?;
    let mut items = match kind_of(raw) {
        "string" => {
            let text: Text<'_> =
                serde_json::from_str(raw.get()).map_err(|_| param_fault("input", "input: Invalid input"))?;
            vec![Item {
                role: Some(word("user")),
                content: Some(TextOr::Text(text.0)),
                ..Item::default()
            }]
        }
        "array" => read_list(raw.get())?,
        _ => {
            return Err(param_fault(
                "input",
                "input: Invalid input: expected a string or an array of items",
            ));
        }
    };
    for (index, item) in items.iter_mut().enumerate() {
        normalise(item, index)?;
    }
    Ok(items)
}

/// Gives every item what storage and other clients expect of one: id and status.
pub(super) fn complete(items: &mut [Item<'_>], ids: &IdMaker) {
    for (index, item) in items.iter_mut().enumerate() {
        let prefix = match kind(item) {
            "message" => "msg",
            "function_call" => "fc",
            "function_call_output" => "fco",
            "reasoning" => "rs",
            "compaction" => "cmp",
            _ => continue,
        };
        if item.id.as_ref().is_none_or(|id| id.0.is_empty()) {
            item.id = Some(Text(Cow::Owned(ids.input(prefix, index))));
        }
        if item.status.is_none() && !matches!(prefix, "rs" | "cmp") {
            item.status = Some(word("completed"));
        }
    }
}

/// The stored form of a list.
pub fn to_stored(items: &[Item<'_>]) -> String {
    // Texts under constant keys: serialising cannot fail.
    serde_json::to_string(items).unwrap_or_else(|_| "[]".to_owned())
}

/// `output` of a stored response, as JSON text.
pub fn output_of(body: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        output: &'a RawValue,
    }
    serde_json::from_str::<Body<'_>>(body)
        .ok()
        .map(|body| body.output.get())
}

/// The items of a stored list with their ids, each as JSON text.
pub fn with_ids(list: &str) -> Vec<(Cow<'_, str>, &RawValue)> {
    #[derive(Deserialize)]
    struct Id<'a> {
        #[serde(borrow)]
        id: Text<'a>,
    }
    let items: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| Some((serde_json::from_str::<Id<'_>>(item.get()).ok()?.id.0, item)))
        .collect()
}

/// Reads a list of items.
pub(super) fn read_list(list: &str) -> Result<Vec<Item<'_>>, Fault> {
    let read: Result<List<Item<'_>, MAX_ITEMS>, _> = serde_json::from_str(list);
    read.map(|items| items.0).map_err(|_| {
        // Only now is it worth the price to find out where.
        let mut deserializer = serde_json::Deserializer::from_str(list);
        match serde_path_to_error::deserialize::<_, List<Item<'_>, MAX_ITEMS>>(&mut deserializer) {
            Ok(_) => param_fault("input", "input: Invalid input"),
            Err(error) => {
                let path = match error.path().to_string().as_str() {
                    "." => "input".to_owned(),
                    path => format!("input{path}"),
                };
                let reason = error.inner().to_string();
                // The position counts from the start of `input`, which nobody can see.
                let reason = reason.split(" at line ").next().unwrap_or_default();
                param_fault(&path, format!("{path}: Invalid input: {reason}"))
            }
        }
    })
}

pub(super) fn word(text: &'static str) -> Text<'static> {
    Text(Cow::Borrowed(text))
}

/// The item's type; messages may come without.
pub(super) fn kind<'i>(item: &'i Item<'_>) -> &'i str {
    match &item.r#type {
        Some(kind) => &kind.0,
        None if item.role.is_some() => "message",
        None if item.id.is_some() => "item_reference",
        None => "",
    }
}

/// Checks what the type requires and brings older forms into the present one.
fn normalise(item: &mut Item<'_>, index: usize) -> Result<(), Fault> {
    let at = |field: &str| format!("input.{index}{field}");
    let missing = |field: &str| {
        param_fault(
            &at(field),
            format!("{}: Invalid input: expected string, received undefined", at(field)),
        )
    };
    match kind(item) {
        "message" => {
            let role = item.role.as_ref().map_or("", |role| &*role.0);
            if !matches!(role, "user" | "assistant" | "system" | "developer") {
                return Err(param_fault(
                    &at(".role"),
                    format!(
                        "{}: Invalid input: expected user, assistant, system or developer",
                        at(".role")
                    ),
                ));
            }
            if item.phase.is_some() && role != "assistant" {
                return Err(param_fault(
                    &at(".phase"),
                    format!("{}: `phase` is only valid on assistant messages.", at(".phase")),
                ));
            }
            let text_kind = if role == "assistant" {
                "output_text"
            } else {
                "input_text"
            };
            item.r#type = Some(word("message"));
            item.content = Some(TextOr::Other(match item.content.take() {
                None => return Err(missing(".content")),
                Some(TextOr::Text(text)) => vec![ItemPart::text(text_kind, text)],
                Some(TextOr::Other(parts)) => parts.into_iter().map(modern).collect(),
            }));
        }
        "function_call" => {
            if item.call_id.is_none() {
                item.call_id = item.id.as_ref().map(|id| Text(id.0.clone()));
            }
            for (field, value) in [
                (".call_id", &item.call_id),
                (".name", &item.name),
                (".arguments", &item.arguments),
            ] {
                if value.is_none() {
                    return Err(missing(field));
                }
            }
        }
        "function_call_output" => {
            if item.call_id.is_none() {
                return Err(missing(".call_id"));
            }
            match item.output.take() {
                None => return Err(missing(".output")),
                Some(TextOr::Other(parts)) => {
                    item.output = Some(TextOr::Other(parts.into_iter().map(modern).collect()));
                }
                text => item.output = text,
            }
        }
        "compaction" | "compaction_summary" => {
            item.r#type = Some(word("compaction"));
            if item.encrypted_content.is_none() {
                return Err(missing(".encrypted_content"));
            }
        }
        "item_reference" => {
            item.r#type = Some(word("item_reference"));
            if item.id.is_none() {
                return Err(missing(".id"));
            }
        }
        "reasoning" => {
            item.summary.get_or_insert_default();
        }
        "" => {
            return Err(param_fault(
                &at(".type"),
                format!("{}: Invalid input: neither a `type` nor a `role`", at("")),
            ));
        }
        other => {
            let text = format!(
                "{}: Invalid input: items of type \"{other}\" are not supported; supported: message, function_call, \
                 function_call_output, reasoning, item_reference, compaction",
                at(".type")
            );
            return Err(param_fault(&at(".type"), text));
        }
    }
    Ok(())
}

/// Upstream's `source` as the fields that everybody else has.
fn modern(mut part: ItemPart<'_>) -> ItemPart<'_> {
    // The nested form of chat completions keeps `detail` beside the address, which is kept as a string.
    if part.detail.is_none() {
        part.detail = part.image_url.as_mut().and_then(|image| image.detail.take());
    }
    let Some(source) = part.source.take() else { return part };
    let Source {
        url,
        media_type,
        data,
        filename,
        ..
    } = *source;
    let is_image = part.r#type.as_ref().is_some_and(|kind| kind.0 == "input_image");
    let inline = data.map(|data| {
        let media_type = media_type.as_ref().map_or("", |kind| &*kind.0);
        Cow::Owned(format!("data:{media_type};base64,{}", data.0))
    });
    if is_image {
        part.image_url = inline.or(url.map(|url| url.0)).map(ImageUrl::from);
    } else {
        part.file_url = url;
        part.file_data = inline.map(Text);
        part.filename = part.filename.or(filename);
    }
    part
}
