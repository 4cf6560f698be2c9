//! What people and models said, for spans whose collector was allowed to have it (`diagnostics.otel.captureContent`).
//!
//! Each attribute is set under upstream's name and under that of the semantic conventions, as JSON that stays whole:
//! texts are masked and cut, the newest messages come first into the room there is, files are named and not sent.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::agent::answer::Answer;
use crate::domain::model::ModelCall;
use crate::domain::{Message, Part, ToolCall};
use crate::telemetry::redaction::Redaction;
use crate::telemetry::span::Span;

/// Most bytes of text in one attribute.
const MOST: usize = 32 * 1024;

/// What a model is asked.
pub(super) fn asked(span: &mut Span, call: &ModelCall) {
    let Some(policy) = span.content() else { return };
    let system = call.system.as_deref().filter(|_| policy.system_prompt);
    let system = system.map(|system| {
        let text = Room::new(&policy.redaction).text(system);
        json!([{"type": "text", "content": text}]).to_string()
    });
    let input = policy.input_messages.then(|| input(&call.messages, &policy.redaction));
    put(
        span,
        ["openclaw.content.system_prompt", "gen_ai.system_instructions"],
        system,
    );
    put(
        span,
        ["openclaw.content.input_messages", "gen_ai.input.messages"],
        input,
    );
}

/// What it answered, as far as it came.
pub(super) fn answered(span: &mut Span, answer: &Answer) {
    let Some(policy) = span.content() else { return };
    let output = (policy.output_messages && !answer.is_empty()).then(|| {
        let mut room = Room::new(&policy.redaction);
        let parts = spoken(&answer.text, &answer.tool_calls, &mut room);
        let finish = answer.finish.map(|finish| finish.as_str());
        json!([{"role": "assistant", "parts": parts, "finish_reason": finish}]).to_string()
    });
    put(
        span,
        ["openclaw.content.output_messages", "gen_ai.output.messages"],
        output,
    );
}

/// What a tool was given and gave back.
pub(super) fn tool(span: &mut Span, arguments: &str, result: &str) {
    let Some(policy) = span.content() else { return };
    let text = |wanted: bool, text: &str| wanted.then(|| Room::new(&policy.redaction).text(text));
    let (input, output) = (text(policy.tool_inputs, arguments), text(policy.tool_outputs, result));
    put(
        span,
        ["openclaw.content.tool_input", "gen_ai.tool.call.arguments"],
        input,
    );
    put(
        span,
        ["openclaw.content.tool_output", "gen_ai.tool.call.result"],
        output,
    );
}

fn put(span: &mut Span, keys: [&'static str; 2], text: Option<String>) {
    let Some(text) = text else { return };
    let [upstream, conventional] = keys;
    span.set_text(upstream, &text);
    span.set(conventional, text);
}

/// The newest messages that have room, in their order.
fn input(messages: &[Arc<Message>], redaction: &Redaction) -> String {
    let mut room = Room::new(redaction);
    let mut shown: Vec<Value> = Vec::new();
    for message in messages.iter().rev() {
        if room.left == 0 {
            break;
        }
        shown.push(shape(message, &mut room));
    }
    shown.reverse();
    Value::from(shown).to_string()
}

fn shape(message: &Message, room: &mut Room<'_>) -> Value {
    match message {
        Message::User { parts } => {
            let parts: Vec<Value> = parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => json!({"type": "text", "content": room.text(text)}),
                    Part::Image { mime, .. } => json!({"type": "image", "mime_type": mime}),
                    Part::Audio { format, .. } => json!({"type": "audio", "mime_type": format!("audio/{format}")}),
                })
                .collect();
            json!({"role": "user", "parts": parts})
        }
        Message::Assistant { text, tool_calls, .. } => {
            json!({"role": "assistant", "parts": spoken(text, tool_calls, room)})
        }
        Message::Tool { call_id, content, .. } => {
            let part = json!({"type": "tool_call_response", "id": call_id, "response": room.text(content)});
            json!({"role": "tool", "parts": [part]})
        }
    }
}

fn spoken(text: &str, calls: &[ToolCall], room: &mut Room<'_>) -> Vec<Value> {
    let text = (!text.is_empty()).then(|| json!({"type": "text", "content": room.text(text)}));
    let calls = calls.iter().map(
        |call| json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": room.text(&call.arguments)}),
    );
    text.into_iter().chain(calls).collect()
}

/// What is left of an attribute.
struct Room<'a> {
    redaction: &'a Redaction,
    left: usize,
}

impl<'a> Room<'a> {
    fn new(redaction: &'a Redaction) -> Self {
        Self { redaction, left: MOST }
    }

    /// The text, masked and then cut, so that no half of a secret remains.
    fn text(&mut self, text: &str) -> String {
        let mut shown = self.redaction.line(head(text, 2 * MOST));
        let keep = head(&shown, self.left).len();
        self.left -= keep;
        let is_cut = keep < shown.len() || text.len() > 2 * MOST;
        shown.truncate(keep);
        if is_cut {
            shown.push('…');
        }
        shown
    }
}

/// At most `most` bytes from the beginning, in whole characters.
fn head(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_messages_are_kept_whole_and_older_ones_cut() {
        let say = |text: String| {
            Arc::new(Message::User {
                parts: vec![Part::Text(text)],
            })
        };
        let messages = [say("never".into()), say("ü".repeat(MOST)), say("newest".into())];
        let shown: Value = serde_json::from_str(&input(&messages, &Redaction::default())).unwrap();
        let text = |at: usize| shown[at]["parts"][0]["content"].as_str().unwrap();
        assert_eq!(shown.as_array().unwrap().len(), 2);
        assert_eq!(text(1), "newest");
        assert!(text(0).ends_with("ü…") && text(0).len() <= MOST);
    }

    #[test]
    fn secrets_are_masked_and_files_only_named() {
        let parts = vec![
            Part::Text("my key is sk-abcdefghijklmnopqrstuvwx".into()),
            Part::Image {
                mime: "image/png".into(),
                data: "AAAA".into(),
                detail: None,
            },
        ];
        let shown = input(&[Arc::new(Message::User { parts })], &Redaction::default());
        assert!(!shown.contains("mnopqrst") && !shown.contains("AAAA"), "{shown}");
        assert!(shown.contains("image/png"));
    }
}
