//! One model answer, put together from its events.

use crate::domain::model::{FinishReason, ModelEvent, Usage};
use crate::domain::{Seal, ToolCall};

/// Most tool calls of one answer; a provider that sends more is broken.
const MAX_TOOL_CALLS: usize = 128;

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) seals: Vec<Seal>,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Option<Usage>,
}

impl Answer {
    /// Takes one event in.
    pub(super) fn take(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Text(delta) => self.text.push_str(delta),
            ModelEvent::Reasoning(delta) => self.reasoning.push_str(delta),
            ModelEvent::ToolCallStart { id, name, .. } => {
                if self.tool_calls.len() < MAX_TOOL_CALLS {
                    self.tool_calls.push(ToolCall {
                        id: id.clone(),
                        name: name.clone(),
                        arguments: String::new(),
                    });
                }
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
    }

    /// Whether the model said anything.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tool_calls.is_empty()
    }
}
