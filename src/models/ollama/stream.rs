//! Lines of an Ollama chat answer as model events. Pure.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::model::{CallError, FinishReason, ModelEvent, Usage};
use crate::models::answer::{Decoder, Flow};
use crate::models::counts::tokens;
use crate::models::draft::Draft;
use crate::models::sse::Event;

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    draft: Draft,
}

impl Reader {
    /// Nothing was read yet.
    pub fn new(draft: Draft) -> Self {
        Self { draft }
    }
}

impl Decoder for Reader {
    fn provider(&self) -> &str {
        self.draft.provider()
    }

    fn take(&mut self, event: Event<'_>, ready: &mut VecDeque<ModelEvent>) -> Result<Flow, CallError> {
        let line: Line<'_> = serde_json::from_slice(event.data).map_err(|_| {
            self.draft
                .malformed("sent a line that is not a valid piece of an answer")
        })?;
        if let Some(error) = line.error {
            return Err(self.draft.reported(&serde_json::json!({"error": error})));
        }
        if let Some(message) = line.message {
            self.draft.reasoning(message.thinking.unwrap_or_default(), ready);
            self.draft.text(message.content.unwrap_or_default(), ready);
            for call in message.tool_calls.into_iter().flatten() {
                let function = call.function;
                let id = call.id.unwrap_or_default();
                let index = self.draft.call(&id, &function.name.unwrap_or_default(), ready);
                // Calls come whole.
                self.draft
                    .arguments(index, function.arguments.map_or("{}", RawValue::get), ready);
            }
        }
        if !line.done {
            return Ok(Flow::More);
        }
        *self.draft.usage_mut() = Usage {
            input: line.prompt_eval_count.unwrap_or(0),
            output: line.eval_count.unwrap_or(0),
            ..Usage::default()
        };
        self.draft.set_finish(match line.done_reason.as_deref() {
            Some("length") => FinishReason::Length,
            _ => FinishReason::Stop,
        });
        Ok(Flow::Complete)
    }

    fn is_finishing(&self) -> bool {
        self.draft.is_finishing()
    }

    fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError> {
        self.draft.finish(is_complete)
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default, deserialize_with = "tokens")]
    prompt_eval_count: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    eval_count: Option<u64>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}
