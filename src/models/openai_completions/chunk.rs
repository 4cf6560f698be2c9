//! Chunks and whole answers of chat completions as model events. Pure.
//!
//! Reads what OpenAI documents and tolerates what compatible servers send instead: tool calls without index or id,
//! reasoning under three names, usage inside a choice, `null` wherever a value is expected.

use std::collections::VecDeque;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::shape::{Chunk, Delta, WireCall};
use crate::domain::model::{CallError, CallErrorClass, FinishReason, ModelEvent};
use crate::models::answer::{Decoder, Flow};
use crate::models::draft::Draft;
use crate::models::sse::Event;

/// A tool call as it comes together.
#[derive(Debug)]
struct Slot {
    /// The provider's index.
    key: u64,
    id: String,
    /// Arguments so far.
    arguments: String,
    /// Our index, once the call has a name.
    call: Option<usize>,
}

impl Slot {
    /// Whether this delta begins another call under the same index. Servers that never count send index 0 for every
    /// call: there, a new id with a name is a new call, and so is a name without an id once the arguments are whole.
    fn is_left(&self, id: &str, name: &str, arguments: &str) -> bool {
        if self.call.is_none() || name.is_empty() {
            return false;
        }
        if id.is_empty() {
            arguments.starts_with('{') && serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok()
        } else {
            self.id != id
        }
    }
}

/// Puts the chunks of one answer together and yields events.
#[derive(Debug)]
pub struct Assembler {
    draft: Draft,
    slots: Vec<Slot>,
}

impl Assembler {
    /// Nothing was read yet.
    pub fn new(draft: Draft) -> Self {
        Self {
            draft,
            slots: Vec::new(),
        }
    }

    /// Reads one chunk (the data of one SSE event other than `[DONE]`).
    pub fn take_chunk(&mut self, data: &[u8], events: &mut VecDeque<ModelEvent>) -> Result<(), CallError> {
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|_| {
            self.draft
                .malformed("sent a piece of the stream that is not a valid chunk")
        })?;
        if chunk.choices.is_none() && chunk.usage.is_none() && chunk.error.is_none() {
            self.check_bare_error(data)?;
        }
        self.apply(chunk, events)
    }

    /// vLLM and its relatives report an error as an object of that name instead of one in a field.
    fn check_bare_error(&self, data: &[u8]) -> Result<(), CallError> {
        match serde_json::from_slice::<Value>(data) {
            Ok(value) if value.get("object").is_some_and(|object| object == "error") => {
                Err(self.draft.reported(&value))
            }
            _ => Ok(()),
        }
    }

    /// Reads an answer that came in one piece.
    pub fn take_whole(&mut self, body: &[u8]) -> Result<VecDeque<ModelEvent>, CallError> {
        let chunk: Chunk<'_> = serde_json::from_slice(body).map_err(|_| {
            self.draft
                .malformed("answered with something that is not a chat completion")
        })?;
        let has_choice = chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        if !has_choice && chunk.error.is_none() {
            return Err(self.draft.malformed("answered without any choice"));
        }
        let mut events = VecDeque::new();
        self.apply(chunk, &mut events)?;
        events.push_back(self.finish(true)?);
        Ok(events)
    }

    fn apply(&mut self, chunk: Chunk<'_>, events: &mut VecDeque<ModelEvent>) -> Result<(), CallError> {
        if let Some(error) = chunk.error {
            return Err(self
                .draft
                .reported(&serde_json::from_str(error.get()).unwrap_or_default()));
        }
        if let Some(usage) = chunk.usage {
            *self.draft.usage_mut() = usage.into();
        }
        let choices = chunk.choices.unwrap_or_default();
        for choice in choices.into_iter().filter(|choice| choice.index.unwrap_or(0) == 0) {
            if let Some(delta) = choice.delta.or(choice.message) {
                self.take_delta(delta, events);
            }
            if let Some(logprobs) = choice.logprobs {
                events.push_back(ModelEvent::Logprobs(logprobs.get().to_owned()));
            }
            if let Some(usage) = choice.usage {
                *self.draft.usage_mut() = usage.into();
            }
            match choice.finish_reason.as_ref().map(|reason| &*reason.0) {
                None | Some("") => {}
                Some("length" | "max_tokens") => self.draft.set_finish(FinishReason::Length),
                Some("tool_calls" | "function_call") => self.draft.set_finish(FinishReason::ToolCalls),
                Some("content_filter") => self.draft.set_finish(FinishReason::ContentFilter),
                Some("error") => {
                    return Err(self
                        .draft
                        .error(CallErrorClass::Server, "broke the answer off with an error"));
                }
                Some(_) => self.draft.set_finish(FinishReason::Stop),
            }
        }
        Ok(())
    }

    fn take_delta(&mut self, delta: Delta<'_>, events: &mut VecDeque<ModelEvent>) {
        let reasoning = [delta.reasoning_content, delta.reasoning, delta.reasoning_text]
            .into_iter()
            .flatten()
            .find(|text| !text.0.is_empty());
        if let Some(text) = reasoning {
            self.draft.reasoning(text.0, events);
        }
        for text in [delta.content, delta.refusal].into_iter().flatten() {
            self.draft.text(text.0, events);
        }
        for (position, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.take_call(position as u64, call, events);
        }
    }

    fn take_call(&mut self, position: u64, call: WireCall<'_>, events: &mut VecDeque<ModelEvent>) {
        let key = call.index.unwrap_or(position);
        let id = call.id.as_ref().map_or("", |id| &*id.0);
        let (name, arguments) = call
            .function
            .map_or((None, None), |function| (function.name, function.arguments));
        let name = name.as_ref().map_or("", |name| &*name.0);
        let arguments = arguments.as_ref().map_or("", |arguments| &*arguments.0);
        // Some servers put an empty call beside plain text.
        if id.is_empty() && name.is_empty() && arguments.is_empty() {
            return;
        }
        let of_id = |slot: &Slot| !id.is_empty() && slot.id == id;
        let known = match call.index {
            None => self.slots.iter().rposition(of_id),
            Some(_) => None,
        };
        let known = known.or_else(|| {
            let at = self.slots.iter().rposition(|slot| slot.key == key)?;
            let is_left = self.slots.get(at)?.is_left(id, name, arguments);
            (!is_left).then_some(at)
        });
        let at = known.unwrap_or_else(|| {
            self.slots.push(Slot {
                key,
                id: String::new(),
                arguments: String::new(),
                call: None,
            });
            self.slots.len() - 1
        });
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if slot.id.is_empty() {
            slot.id.push_str(id);
        }
        slot.arguments.push_str(arguments);
        match slot.call {
            Some(call) => self.draft.arguments(call, arguments, events),
            None if name.is_empty() => {}
            None => {
                let call = self.draft.call(&slot.id, name, events);
                slot.call = Some(call);
                self.draft.arguments(call, slot.arguments.as_str(), events);
            }
        }
    }
}

impl Decoder for Assembler {
    fn provider(&self) -> &str {
        self.draft.provider()
    }

    fn take(&mut self, event: Event<'_>, ready: &mut VecDeque<ModelEvent>) -> Result<Flow, CallError> {
        if event.data.trim_ascii() == b"[DONE]" {
            return Ok(Flow::Complete);
        }
        if event.name == "error" {
            let said = serde_json::from_slice(event.data)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(event.data).into_owned()));
            return Err(self.draft.reported(&said));
        }
        self.take_chunk(event.data, ready)?;
        Ok(Flow::More)
    }

    fn is_finishing(&self) -> bool {
        self.draft.is_finishing()
    }

    fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError> {
        if (is_complete || self.draft.is_finishing()) && self.slots.iter().any(|slot| slot.call.is_none()) {
            return Err(self.draft.malformed("called a tool without naming it"));
        }
        self.draft.finish(is_complete)
    }
}
