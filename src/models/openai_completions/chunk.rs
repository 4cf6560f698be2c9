//! Chunks and whole answers of chat completions as model events. Pure.
//!
//! Reads what OpenAI documents and tolerates what compatible servers send instead: tool calls without index or id,
//! reasoning under three names, usage inside a choice, `null` wherever a value is expected.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::shape::{Chunk, Delta, WireCall};

use crate::base::Secret;
use crate::domain::model::{CallError, CallErrorClass, FinishReason, ModelEvent, Usage};
use crate::models::failure::{Complaint, call_error, classify_in_stream, redact};

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
    provider: Arc<str>,
    secrets: Arc<[Secret]>,
    accepts_empty: bool,
    slots: Vec<Slot>,
    has_output: bool,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Assembler {
    /// `secrets` are removed from the provider's error texts; `accepts_empty`: whether an answer without any content is
    /// an answer.
    pub fn new(provider: Arc<str>, secrets: Arc<[Secret]>, accepts_empty: bool) -> Self {
        Self {
            provider,
            secrets,
            accepts_empty,
            slots: Vec::new(),
            has_output: false,
            finish: None,
            usage: None,
        }
    }

    /// The provider's id, for messages.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Whether the reason for the end has come; only usage can follow.
    pub fn is_finishing(&self) -> bool {
        self.finish.is_some()
    }

    /// Reads one chunk (the data of one SSE event other than `[DONE]`).
    pub fn take_chunk(&mut self, data: &[u8], events: &mut VecDeque<ModelEvent>) -> Result<(), CallError> {
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|_| self.malformed("sent a piece of the stream that is not a valid chunk"))?;
        self.apply(chunk, events)
    }

    /// Reads an answer that came in one piece.
    pub fn take_whole(&mut self, body: &[u8]) -> Result<VecDeque<ModelEvent>, CallError> {
        let chunk: Chunk<'_> = serde_json::from_slice(body)
            .map_err(|_| self.malformed("answered with something that is not a chat completion"))?;
        let has_choice = chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        if !has_choice && chunk.error.is_none() {
            return Err(self.malformed("answered without any choice"));
        }
        let mut events = VecDeque::new();
        self.apply(chunk, &mut events)?;
        events.push_back(self.finish(true)?);
        Ok(events)
    }

    /// The last event. `is_complete`: the provider marked the end itself (`[DONE]`), so a missing reason is no cut.
    pub fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError> {
        let reason = match self.finish {
            Some(reason) => reason,
            None if is_complete => FinishReason::Stop,
            None => {
                return Err(call_error(
                    CallErrorClass::Network,
                    format!(
                        "provider `{}` ended the stream in the middle of the answer",
                        self.provider
                    ),
                ));
            }
        };
        if self.slots.iter().any(|slot| !slot.is_started) {
            return Err(self.malformed("called a tool without naming it"));
        }
        // Several servers report plain `stop` after tool calls, and some `tool_calls` without any.
        let reason = match (reason, self.slots.is_empty()) {
            (FinishReason::Stop, false) => FinishReason::ToolCalls,
            (FinishReason::ToolCalls, true) => FinishReason::Stop,
            (reason, _) => reason,
        };
        if reason == FinishReason::Stop && !self.has_output && !self.accepts_empty {
            return Err(self.malformed("gave an empty answer"));
        }
        Ok(ModelEvent::Finish {
            reason,
            usage: self.usage,
        })
    }

    fn apply(&mut self, chunk: Chunk<'_>, events: &mut VecDeque<ModelEvent>) -> Result<(), CallError> {
        if let Some(error) = chunk.error {
            return Err(self.in_stream(error));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
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
                self.usage = Some(usage.into());
            }
            match choice.finish_reason.as_ref().map(|reason| &*reason.0) {
                None | Some("") => {}
                Some("length" | "max_tokens") => self.finish = Some(FinishReason::Length),
                Some("tool_calls" | "function_call") => self.finish = Some(FinishReason::ToolCalls),
                Some("content_filter") => self.finish = Some(FinishReason::ContentFilter),
                Some("error") => {
                    return Err(call_error(
                        CallErrorClass::Server,
                        format!("provider `{}` broke the answer off with an error", self.provider),
                    ));
                }
                Some(_) => self.finish = Some(FinishReason::Stop),
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
            self.has_output = true;
            events.push_back(ModelEvent::Reasoning(text.0.into_owned()));
        }
        for text in [delta.content, delta.refusal].into_iter().flatten() {
            if !text.0.is_empty() {
                self.has_output = true;
                events.push_back(ModelEvent::Text(text.0.into_owned()));
            }
        }
        for (position, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.take_call(position as u64, call, events);
        }
    }

    fn take_call(&mut self, position: u64, call: WireCall<'_>, events: &mut VecDeque<ModelEvent>) {
        self.has_output = true;
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
            if slot.id.is_empty() {
                // Without an id the result could not be matched to its call.
                slot.id = format!("call_{}", uuid::Uuid::new_v4().simple());
            }
            events.push_back(ModelEvent::ToolCallStart {
                index: at,
                id: slot.id.clone(),
                name: name.to_owned(),
            });
            if !slot.early.is_empty() {
                events.push_back(ModelEvent::ToolCallArguments {
                    index: at,
                    delta: std::mem::take(&mut slot.early),
                });
            }
        }
        if !arguments.is_empty() {
            events.push_back(ModelEvent::ToolCallArguments {
                index: at,
                delta: arguments.to_owned(),
            });
        }
    }

    fn in_stream(&self, error: &RawValue) -> CallError {
        let value = serde_json::from_str(error.get()).unwrap_or_default();
        let complaint = Complaint::from_value(&value);
        let class = classify_in_stream(&complaint);
        let message = if complaint.message.is_empty() {
            format!("provider `{}` reported an error instead of an answer", self.provider)
        } else {
            format!("provider `{}`: {}", self.provider, complaint.message)
        };
        call_error(class, redact(message, self.secrets.iter()))
    }

    fn malformed(&self, what: &str) -> CallError {
        call_error(
            CallErrorClass::Malformed,
            format!("provider `{}` {what}", self.provider),
        )
    }
}
