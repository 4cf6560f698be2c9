//! From what a client sent to what a model sees: links and documents become parts.

use crate::domain::{Fault, Message, Part};
use crate::models::client::{Dialogue, InputPart, LinkKind, param_fault};

/// What is left of something in the history that is no longer sent.
const OMITTED_IMAGE: &str = "[image omitted]";
const OMITTED_FILE: &str = "[file omitted]";

/// Resolves every part of `dialogue`. What cannot be resolved is an error in the current message, whose answer would
/// miss it, and a short note in older ones. `param` is the request field that errors name.
pub(in crate::http) fn resolve(dialogue: Dialogue<InputPart>, param: &str) -> Result<Dialogue, Fault> {
    let input = dialogue
        .input
        .into_iter()
        .map(|part| current(part, param))
        .collect::<Result<_, _>>()?;
    Ok(Dialogue {
        system: dialogue.system,
        history: dialogue.history.into_iter().map(past).collect(),
        input,
        tool_results: dialogue.tool_results.into_iter().map(past).collect(),
    })
}

fn current(part: InputPart, param: &str) -> Result<Part, Fault> {
    match part {
        InputPart::Ready(part) => Ok(part),
        InputPart::Link {
            kind: LinkKind::Image, ..
        } => Err(param_fault(
            param,
            format!(
                "Invalid image_url content in `{param}`. Remote image URLs are not fetched; send the image as a base64 \
                 data URL."
            ),
        )),
        InputPart::File { .. } | InputPart::Link { .. } => {
            Err(param_fault(param, format!("Files in `{param}` are not supported.")))
        }
    }
}

fn past(message: Message<InputPart>) -> Message {
    let part = |part| match part {
        InputPart::Ready(part) => part,
        InputPart::Link {
            kind: LinkKind::Image, ..
        } => Part::Text(OMITTED_IMAGE.to_owned()),
        InputPart::File { .. } | InputPart::Link { .. } => Part::Text(OMITTED_FILE.to_owned()),
    };
    match message {
        Message::User { parts } => Message::User {
            parts: parts.into_iter().map(part).collect(),
        },
        Message::Assistant {
            text,
            reasoning,
            tool_calls,
        } => Message::Assistant {
            text,
            reasoning,
            tool_calls,
        },
        Message::Tool { call_id, name, content } => Message::Tool { call_id, name, content },
    }
}
