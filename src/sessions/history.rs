//! What a model sees of a stored conversation: a bounded window of its newest messages.
//!
//! The cost of building it depends on the window, never on the length of the conversation.

use std::sync::Arc;

use crate::base::SessionKey;
use crate::domain::Message;
use crate::store::{Store, StoreError, StoredMessage};

use super::transcript::to_model;

/// The newest messages of a session, oldest first: at most `max_messages`, together at most `max_chars` heavy
/// (see [`Message::weight`]; the newest turn is kept whatever it weighs), starting with a user message, every tool call
/// followed by its result and every result preceded by its call.
pub async fn model_context(
    store: &Store,
    session_key: &SessionKey,
    max_messages: usize,
    max_chars: usize,
) -> Result<Vec<Arc<Message>>, StoreError> {
    let limit = u32::try_from(max_messages).unwrap_or(u32::MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let stored = store.messages(session_key.as_str(), None, limit).await?;
    Ok(window(&stored, max_chars))
}

/// The pure part of [`model_context`]: `stored` is oldest first.
pub fn window(stored: &[StoredMessage], max_chars: usize) -> Vec<Arc<Message>> {
    let mut kept = Vec::new();
    let mut weight = 0_usize;
    let mut has_turn = false;
    for message in stored.iter().rev().filter_map(to_model) {
        weight = weight.saturating_add(message.weight());
        if has_turn && weight > max_chars {
            break;
        }
        has_turn |= matches!(message, Message::User { .. });
        kept.push(message);
    }
    kept.reverse();
    let is_user = |message: &Message| matches!(message, Message::User { .. });
    let is_tool = |message: &Message| matches!(message, Message::Tool { .. });
    // A turn of tool calls may be longer than the window; then its newest part is better than nothing.
    let start = kept
        .iter()
        .position(is_user)
        .or_else(|| kept.iter().position(|message| !is_tool(message)))
        .unwrap_or(kept.len());
    paired(kept.into_iter().skip(start)).into_iter().map(Arc::new).collect()
}

/// Drops results without a call, and answers calls without a result (the process died between the two), because
/// providers refuse both.
fn paired(messages: impl Iterator<Item = Message>) -> Vec<Message> {
    let mut out = Vec::new();
    let mut open: Vec<(String, String)> = Vec::new();
    for message in messages {
        if let Message::Tool { call_id, .. } = &message {
            if let Some(index) = open.iter().position(|(id, _)| id == call_id) {
                open.remove(index);
                out.push(message);
            }
            continue;
        }
        close(&mut open, &mut out);
        if let Message::Assistant { tool_calls, .. } = &message {
            open.extend(tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
        }
        out.push(message);
    }
    // Calls at the very end may still be answered by the caller, who appends the results to this window.
    out
}

fn close(open: &mut Vec<(String, String)>, out: &mut Vec<Message>) {
    out.extend(open.drain(..).map(|(call_id, name)| Message::Tool {
        call_id,
        name: Some(name),
        content: "No result: the tool call was interrupted.".to_owned(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Part, ToolCall};
    use crate::sessions::transcript::{AssistantTurn, StopReason, tool_result, turn_message, user_message};
    use crate::store::NewMessage;

    fn user(text: &str) -> NewMessage {
        user_message(&[Part::Text(text.into())], 0)
    }

    fn assistant(text: &str, calls: &[&str]) -> NewMessage {
        let tool_calls: Vec<ToolCall> = calls
            .iter()
            .map(|id| ToolCall {
                id: (*id).into(),
                name: "t".into(),
                arguments: "{}".into(),
            })
            .collect();
        turn_message(&AssistantTurn {
            text,
            reasoning: "",
            tool_calls: &tool_calls,
            seals: &[],
            api: "demo",
            model: None,
            usage: crate::domain::model::Usage::default(),
            cost_usd: 0.0,
            stop: if calls.is_empty() {
                StopReason::Stop
            } else {
                StopReason::ToolUse
            },
            error: None,
            now_ms: 0,
        })
    }

    fn shape(messages: Vec<NewMessage>, max_chars: usize) -> Vec<String> {
        let stored: Vec<StoredMessage> = messages
            .into_iter()
            .zip(1..)
            .map(|(message, seq)| StoredMessage {
                id: seq.to_string(),
                seq,
                role: message.role.into(),
                body: message.body,
                run_id: None,
                created_at_ms: 0,
            })
            .collect();
        window(&stored, max_chars)
            .iter()
            .map(|message| match &**message {
                Message::User { parts } => format!("user {parts:?}").replace("[Text(\"", "").replace("\")]", ""),
                Message::Assistant { text, .. } => format!("assistant {text}"),
                Message::Tool { call_id, .. } => format!("tool {call_id}"),
            })
            .collect()
    }

    #[test]
    fn a_window_starts_with_a_user_message_and_never_with_a_dangling_result() {
        let cut = vec![
            tool_result("a", "t", "x", false, 0),
            assistant("done", &[]),
            user("two"),
            assistant("ok", &[]),
        ];
        assert_eq!(shape(cut, 10_000), ["user two", "assistant ok"]);
    }

    #[test]
    fn a_turn_longer_than_the_window_keeps_its_newest_calls_with_their_results() {
        let cut = vec![
            tool_result("a", "t", "x", false, 0),
            assistant("", &["b"]),
            tool_result("b", "t", "x", false, 0),
        ];
        assert_eq!(shape(cut, 10_000), ["assistant ", "tool b"]);
    }

    #[test]
    fn the_weight_limit_drops_old_messages_but_keeps_the_newest_turn_whole() {
        let messages = vec![
            user("old"),
            assistant("old", &[]),
            user(&"x".repeat(500)),
            assistant("new", &[]),
        ];
        let kept = shape(messages, 100);
        assert_eq!(kept.len(), 2);
        assert!(kept[0].starts_with("user xxx"));
    }

    #[test]
    fn calls_and_results_are_paired_even_after_a_crash_between_them() {
        let messages = vec![
            user("one"),
            assistant("", &["a", "b"]),
            tool_result("a", "t", "x", false, 0),
            tool_result("zombie", "t", "x", false, 0),
            user("two"),
        ];
        assert_eq!(
            shape(messages, 10_000),
            ["user one", "assistant ", "tool a", "tool b", "user two"]
        );
    }

    #[test]
    fn open_calls_at_the_end_wait_for_the_results_that_the_caller_brings() {
        let messages = vec![user("one"), assistant("", &["a"])];
        assert_eq!(shape(messages, 10_000), ["user one", "assistant "]);
    }
}
