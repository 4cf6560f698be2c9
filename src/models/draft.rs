//! The part of reading an answer that is the same in every dialect. Pure.
//!
//! A draft turns what a dialect found into events, remembers what the answer consists of, and decides at the end
//! whether that is an answer.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::failure::{Complaint, call_error, classify_in_stream, redact};
use crate::base::Secret;
use crate::domain::model::{CallError, CallErrorClass, FinishReason, ModelEvent, Usage};

/// One answer as it comes in.
#[derive(Debug)]
pub struct Draft {
    provider: Arc<str>,
    secrets: Arc<[Secret]>,
    accepts_empty: bool,
    has_output: bool,
    /// Ids of the calls so far.
    calls: Vec<String>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Draft {
    /// `secrets` are removed from the provider's error texts; `accepts_empty`: whether an answer without any content is
    /// an answer.
    pub fn new(provider: Arc<str>, secrets: Arc<[Secret]>, accepts_empty: bool) -> Self {
        Self {
            provider,
            secrets,
            accepts_empty,
            has_output: false,
            calls: Vec::new(),
            finish: None,
            usage: None,
        }
    }

    /// The provider's id, for messages.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Visible text; empty text is no event.
    pub fn text(&mut self, text: impl Into<String>, events: &mut VecDeque<ModelEvent>) {
        let text = text.into();
        if !text.is_empty() {
            self.has_output = true;
            events.push_back(ModelEvent::Text(text));
        }
    }

    /// Reasoning; empty text is no event.
    pub fn reasoning(&mut self, text: impl Into<String>, events: &mut VecDeque<ModelEvent>) {
        let text = text.into();
        if !text.is_empty() {
            self.has_output = true;
            events.push_back(ModelEvent::Reasoning(text));
        }
    }

    /// A tool call begins; returns its index. Without an id of the provider's, or with that of another call, it gets a
    /// new one, because results name their call by it.
    pub fn call(&mut self, id: &str, name: &str, events: &mut VecDeque<ModelEvent>) -> usize {
        let index = self.calls.len();
        self.has_output = true;
        let id = if id.is_empty() || self.calls.iter().any(|known| known == id) {
            format!("call_{}", uuid::Uuid::new_v4().simple())
        } else {
            id.to_owned()
        };
        self.calls.push(id.clone());
        events.push_back(ModelEvent::ToolCallStart {
            index,
            id,
            name: name.to_owned(),
        });
        index
    }

    /// More arguments of a call; empty text is no event.
    pub fn arguments(&mut self, index: usize, delta: impl Into<String>, events: &mut VecDeque<ModelEvent>) {
        let delta = delta.into();
        if !delta.is_empty() {
            events.push_back(ModelEvent::ToolCallArguments { index, delta });
        }
    }

    /// The reason for the end has come.
    pub fn set_finish(&mut self, reason: FinishReason) {
        self.finish = Some(reason);
    }

    /// Whether the reason for the end has come; only usage can follow.
    pub fn is_finishing(&self) -> bool {
        self.finish.is_some()
    }

    /// What the answer cost so far.
    pub fn usage_mut(&mut self) -> &mut Usage {
        self.usage.get_or_insert_default()
    }

    /// The last event. `is_complete`: the provider marked the end itself, so a missing reason is no cut.
    pub fn finish(&self, is_complete: bool) -> Result<ModelEvent, CallError> {
        let reason = match self.finish {
            Some(reason) => reason,
            None if is_complete => FinishReason::Stop,
            None => {
                return Err(self.error(CallErrorClass::Network, "ended the stream in the middle of the answer"));
            }
        };
        // Several servers report plain `stop` after tool calls, and some `tool_calls` without any.
        let reason = match (reason, self.calls.len()) {
            (FinishReason::Stop, 1..) => FinishReason::ToolCalls,
            (FinishReason::ToolCalls, 0) => FinishReason::Stop,
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

    /// The meaning of an error object inside a stream.
    pub fn reported(&self, error: &Value) -> CallError {
        let complaint = Complaint::from_value(error);
        let class = classify_in_stream(&complaint);
        let mut error = if complaint.message.is_empty() {
            self.error(class, "reported an error instead of an answer")
        } else {
            let message = format!("provider `{}`: {}", self.provider, complaint.message);
            call_error(class, redact(message, self.secrets.iter()))
        };
        error.retry_after = complaint.retry_after;
        error
    }

    /// The answer cannot be understood. `what` follows the provider's name.
    pub fn malformed(&self, what: &str) -> CallError {
        self.error(CallErrorClass::Malformed, what)
    }

    /// A failure of another class.
    pub fn error(&self, class: CallErrorClass, what: &str) -> CallError {
        let message = format!("provider `{}` {what}", self.provider);
        call_error(class, redact(message, self.secrets.iter()))
    }
}
