//! `messages` as system text, history and the current message.
//!
//! The current message is the last one of a user or tool; what follows it is dropped. Providers insist that every tool
//! call is answered and every result belongs to a call, so unpaired calls are left out and unpaired results become
//! ordinary text.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::fields::{param_fault, wrong_type};
use super::input::{Dialogue, InputPart};
use super::parts::{OMITTED, is_attachment, part_text, user_parts};
use crate::domain::{Fault, ToolCall};
use crate::wire::openai::chat::{CallIn, ChatMessage, Content, Messages, Text};

type Message = crate::domain::Message<InputPart>;

pub(super) fn read_messages(raw: Option<&RawValue>) -> Result<Dialogue<InputPart>, Fault> {
    let messages = match raw {
        None => Vec::new(),
        Some(raw) => parse(raw)?,
    };
    let system = system_text(&messages);
    let current = current_index(&messages).ok_or_else(missing_user_message)?;
    into_dialogue(system, read_entries(&messages, current)?).ok_or_else(missing_user_message)
}

/// The conversation of these entries, the last of which is to be answered; `None`: nothing is.
pub(super) fn into_dialogue(system: Option<String>, entries: Vec<Message>) -> Option<Dialogue<InputPart>> {
    let mut entries = pair_tools(entries);
    let mut dialogue = Dialogue {
        system,
        ..Dialogue::default()
    };
    match entries.pop()? {
        Message::User { parts } => dialogue.input = parts,
        Message::Assistant { text, .. } => dialogue.input = vec![InputPart::text(text)],
        result @ Message::Tool { .. } => {
            dialogue.tool_results.push(result);
            while let Some(result) = entries.pop_if(|entry| matches!(entry, Message::Tool { .. })) {
                dialogue.tool_results.push(result);
            }
            dialogue.tool_results.reverse();
        }
    }
    dialogue.history = entries;
    Some(dialogue)
}

fn missing_user_message() -> Fault {
    param_fault("messages", "Missing user message in `messages`.")
}

fn parse(raw: &RawValue) -> Result<Vec<ChatMessage<'_>>, Fault> {
    let parsed: Result<Messages<'_>, _> = serde_json::from_str(raw.get());
    parsed.map(|messages| messages.0).map_err(|_| {
        if !raw.get().trim_start().starts_with('[') {
            return wrong_type("messages", "array", raw);
        }
        // Only now is it worth the price to find out where.
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        match serde_path_to_error::deserialize::<_, Messages<'_>>(&mut deserializer) {
            Ok(_) => param_fault("messages", "messages: Invalid input"),
            Err(error) => {
                let path = match error.path().to_string().as_str() {
                    "." => "messages".to_owned(),
                    path => format!("messages{path}"),
                };
                let reason = error.inner().to_string();
                // The position counts from the start of `messages`, which nobody can see.
                let reason = reason.split(" at line ").next().unwrap_or_default();
                param_fault(&path, format!("{path}: Invalid input: {reason}"))
            }
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Tool,
    Unknown,
}

fn role(message: &ChatMessage<'_>) -> Role {
    match message.role.as_ref().map_or("", |role| &*role.0) {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::Unknown,
    }
}

fn system_text(messages: &[ChatMessage<'_>]) -> Option<String> {
    let texts: Vec<String> = messages
        .iter()
        .filter(|message| role(message) == Role::System)
        .map(|message| text_of(message).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// The last usable user or tool message; if there is none, the last assistant text.
fn current_index(messages: &[ChatMessage<'_>]) -> Option<usize> {
    messages
        .iter()
        .rposition(|message| match role(message) {
            Role::User => !text_of(message).trim().is_empty() || has_attachment(message),
            Role::Tool => true,
            _ => false,
        })
        .or_else(|| {
            messages
                .iter()
                .rposition(|message| role(message) == Role::Assistant && !text_of(message).trim().is_empty())
        })
}

/// Messages up to the current one.
fn read_entries(messages: &[ChatMessage<'_>], current: usize) -> Result<Vec<Message>, Fault> {
    let mut entries = Vec::with_capacity(current + 1);
    for (index, message) in messages.iter().enumerate().take(current + 1) {
        match role(message) {
            Role::User => {
                let parts = user_message(message, index == current)?;
                if !parts.is_empty() {
                    entries.push(Message::User { parts });
                }
            }
            Role::Assistant => entries.extend(assistant(message, index)),
            Role::Tool => {
                // The results that are answered now: nothing but results between them and the end.
                let is_current = messages
                    .get(index..=current)
                    .is_some_and(|rest| rest.iter().all(|message| role(message) == Role::Tool));
                entries.push(tool_result(message, index, messages, is_current)?);
            }
            Role::System | Role::Unknown => {}
        }
    }
    Ok(entries)
}

fn user_message(message: &ChatMessage<'_>, is_current: bool) -> Result<Vec<InputPart>, Fault> {
    match &message.content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) if text.trim().is_empty() => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(vec![InputPart::text(&**text)]),
        Some(Content::Parts(parts)) => user_parts(&parts.0, is_current),
    }
}

fn assistant(message: &ChatMessage<'_>, index: usize) -> Option<Message> {
    let text = text_of(message);
    let calls = message.tool_calls.iter().flat_map(|calls| &calls.0);
    let mut tool_calls: Vec<ToolCall> = calls.filter_map(tool_call).collect();
    if let Some(function) = &message.function_call
        && let Some(name) = &function.name
    {
        tool_calls.push(ToolCall {
            id: function_call_id(index),
            name: name.0.clone().into_owned(),
            arguments: arguments(function.arguments.as_ref()),
        });
    }
    if text.trim().is_empty() && tool_calls.is_empty() {
        return None;
    }
    Some(Message::Assistant {
        text,
        reasoning: message
            .reasoning_content
            .as_ref()
            .filter(|reasoning| !reasoning.0.is_empty())
            .map(|reasoning| reasoning.0.clone().into_owned()),
        tool_calls,
        sealed: None,
    })
}

fn tool_call(call: &CallIn<'_>) -> Option<ToolCall> {
    let function = call.function.as_ref()?;
    Some(ToolCall {
        id: call.id.as_ref()?.0.clone().into_owned(),
        name: function.name.as_ref()?.0.clone().into_owned(),
        arguments: arguments(function.arguments.as_ref()),
    })
}

fn arguments(text: Option<&Text<'_>>) -> String {
    text.filter(|text| !text.0.trim().is_empty())
        .map_or_else(|| "{}".to_owned(), |text| text.0.clone().into_owned())
}

fn tool_result(
    message: &ChatMessage<'_>,
    index: usize,
    messages: &[ChatMessage<'_>],
    is_current: bool,
) -> Result<Message, Fault> {
    let name = message.name.as_ref().map(|name| name.0.clone().into_owned());
    let call_id = match &message.tool_call_id {
        Some(id) => id.0.clone().into_owned(),
        // The older form has no ids: the result answers the function call right before it.
        None => index
            .checked_sub(1)
            .filter(|before| {
                messages
                    .get(*before)
                    .is_some_and(|before| before.function_call.is_some())
            })
            .map(function_call_id)
            .unwrap_or_default(),
    };
    let mut content = text_of(message);
    if has_attachment(message) {
        if is_current {
            let text = "Images and files in a tool message are not supported; send them in a user message.";
            return Err(param_fault("messages", text));
        }
        content.push('\n');
        content.push_str(OMITTED);
    }
    Ok(Message::Tool { call_id, name, content })
}

fn function_call_id(index: usize) -> String {
    format!("call_function_{index}")
}

/// Keeps calls and results only in pairs.
fn pair_tools(entries: Vec<Message>) -> Vec<Message> {
    let mut out = Vec::with_capacity(entries.len());
    let mut rest = entries.into_iter().peekable();
    while let Some(entry) = rest.next() {
        match entry {
            Message::Assistant {
                text,
                reasoning,
                mut tool_calls,
                sealed,
            } if !tool_calls.is_empty() => {
                let mut results = Vec::new();
                while let Some(result) = rest.next_if(|next| matches!(next, Message::Tool { .. })) {
                    results.push(result);
                }
                let answered: HashSet<&str> = results.iter().filter_map(call_id).collect();
                let mut open: HashSet<String> = HashSet::with_capacity(tool_calls.len());
                // A second call of the same id could never be told from the first by its result.
                tool_calls.retain(|call| answered.contains(&*call.id) && open.insert(call.id.clone()));
                if !(text.trim().is_empty() && tool_calls.is_empty()) {
                    out.push(Message::Assistant {
                        text,
                        reasoning,
                        tool_calls,
                        sealed,
                    });
                }
                let mut strays = Vec::new();
                for result in results {
                    if call_id(&result).is_some_and(|id| open.remove(id)) {
                        out.push(result);
                    } else {
                        strays.extend(as_user_text(result));
                    }
                }
                out.append(&mut strays);
            }
            Message::Tool { .. } => out.extend(as_user_text(entry)),
            other => out.push(other),
        }
    }
    out
}

fn call_id(message: &Message) -> Option<&str> {
    match message {
        Message::Tool { call_id, .. } => Some(call_id),
        _ => None,
    }
}

fn as_user_text(message: Message) -> Option<Message> {
    let Message::Tool { name, content, .. } = message else {
        return None;
    };
    if content.trim().is_empty() {
        return None;
    }
    let label = name.map_or_else(|| "Tool".to_owned(), |name| format!("Tool:{name}"));
    Some(Message::user(format!("{label}: {content}")))
}

fn has_attachment(message: &ChatMessage<'_>) -> bool {
    match &message.content {
        Some(Content::Parts(parts)) => parts.0.iter().any(is_attachment),
        _ => false,
    }
}

/// All texts of a message, one per line.
fn text_of(message: &ChatMessage<'_>) -> String {
    match &message.content {
        None => String::new(),
        Some(Content::Text(text)) => text.clone().into_owned(),
        Some(Content::Parts(parts)) => {
            let texts: Vec<&str> = parts
                .0
                .iter()
                .filter_map(part_text)
                .filter(|text| !text.is_empty())
                .collect();
            texts.join("\n")
        }
    }
}
