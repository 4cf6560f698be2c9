//! One model answer, put together from its events.

use crate::domain::model::{FinishReason, ModelEvent, Usage};
use crate::domain::{Seal, ToolCall};

/// Most tool calls of one answer; a provider that sends more is broken.
const MAX_TOOL_CALLS: usize = 128;
/// Largest answer, bytes. No model writes so much; a provider that never ends does.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The answer grows beyond what any model writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Endless {
    /// It is too long.
    #[error("the provider's answer is larger than {MAX_BYTES} bytes")]
    Bytes,
    /// It calls too many tools.
    #[error("the provider's answer calls more than {MAX_TOOL_CALLS} tools")]
    Calls,
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) seals: Vec<Seal>,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Option<Usage>,
    bytes: usize,
}

impl Answer {
    /// Takes one event in.
    pub(super) fn take(&mut self, event: &ModelEvent) -> Result<(), Endless> {
        self.bytes = self.bytes.saturating_add(size(event));
        if self.bytes > MAX_BYTES {
            return Err(Endless::Bytes);
        }
        match event {
            ModelEvent::Text(delta) => self.text.push_str(delta),
            ModelEvent::Reasoning(delta) => self.reasoning.push_str(delta),
            ModelEvent::ToolCallStart { id, name, .. } => {
                if self.tool_calls.len() == MAX_TOOL_CALLS {
                    return Err(Endless::Calls);
                }
                self.tool_calls.push(ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                });
            }
            ModelEvent::ToolCallArguments { index, delta } => {
                if let Some(call) = self.tool_calls.get_mut(*index) {
                    call.arguments.push_str(delta);
                }
            }
            ModelEvent::Logprobs(_) => {}
            ModelEvent::Seal(seal) => self.seals.push(seal.clone()),
            ModelEvent::Finish { reason, usage } => {
                self.finish = Some(*reason);
                self.usage = *usage;
            }
        }
        Ok(())
    }

    /// Whether the model said anything.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tool_calls.is_empty()
    }
}

/// What an event adds, bytes.
fn size(event: &ModelEvent) -> usize {
    match event {
        ModelEvent::Text(delta) | ModelEvent::Reasoning(delta) | ModelEvent::ToolCallArguments { delta, .. } => {
            delta.len()
        }
        ModelEvent::ToolCallStart { id, name, .. } => id.len() + name.len(),
        ModelEvent::Seal(Seal::Thought { text, signature }) => text.len() + signature.len(),
        ModelEvent::Seal(Seal::Hidden(data)) => data.len(),
        ModelEvent::Seal(Seal::Call { id, signature }) => id.len() + signature.len(),
        // Passed on or dropped, never kept.
        ModelEvent::Logprobs(_) | ModelEvent::Finish { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_end_is_stopped() {
        let mut answer = Answer::default();
        let piece = ModelEvent::Text("x".repeat(1024 * 1024));
        for _ in 0..16 {
            answer.take(&piece).unwrap();
        }
        assert_eq!(answer.take(&ModelEvent::Reasoning("y".into())), Err(Endless::Bytes));

        let mut answer = Answer::default();
        let call = |index: usize| ModelEvent::ToolCallStart {
            index,
            id: format!("c{index}"),
            name: "f".into(),
        };
        for index in 0..MAX_TOOL_CALLS {
            answer.take(&call(index)).unwrap();
        }
        assert_eq!(answer.take(&call(MAX_TOOL_CALLS)), Err(Endless::Calls));
    }
}
