//! Chunks and whole answers of chat completions as model events. Pure.
//!
//! Reads what OpenAI documents and tolerates what compatible servers send instead: tool calls without index or id,
//! reasoning under three names, usage inside a choice, `null` wherever a value is expected.

use std::collections::VecDeque;

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
    /// Arguments that came before the name.
    early: String,
    is_started: bool,
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
        self.apply(chunk, events)
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
        // Servers that never count send index 0 for every call; there, a new id with a name is a new call.
        let known = self.slots.iter().rposition(|slot| slot.key == key).filter(|at| {
            let opens_another = !id.is_empty() && !name.is_empty();
            self.slots
                .get(*at)
                .is_some_and(|slot| !(opens_another && slot.is_started && slot.id != id))
        });
        let at = known.unwrap_or_else(|| {
            self.draft.reserve_call();
            self.slots.push(Slot {
                key,
                id: String::new(),
                early: String::new(),
                is_started: false,
            });
            self.slots.len() - 1
        });
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if !slot.is_started {
            if slot.id.is_empty() {
                slot.id.push_str(id);
            }
            if name.is_empty() {
                slot.early.push_str(arguments);
                return;
            }
            slot.is_started = true;
            self.draft.start_call(at, &slot.id, name, events);
            self.draft.arguments(at, std::mem::take(&mut slot.early), events);
        }
        self.draft.arguments(at, arguments, events);
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
        if !event.data.is_empty() {
            self.take_chunk(event.data, ready)?;
        }
        Ok(Flow::More)
    }

    fn is_finishing(&self) -> bool {
        self.draft.is_finishing()
    }

    fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError> {
        let finish = self.draft.finish(is_complete)?;
        if self.slots.iter().any(|slot| !slot.is_started) {
            return Err(self.draft.malformed("called a tool without naming it"));
        }
        Ok(finish)
    }
}
