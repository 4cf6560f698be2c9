//! The chunks of one run.

use bytes::BytesMut;

use super::{Form, Label};
use crate::domain::Fault;
use crate::domain::run::{RunEvent, RunOutcome};
use crate::http::agent_call::{Narrator, Told, outcome_fault};
use crate::models::client::{error_body, wire_usage};
use crate::wire::openai::ChunkWriter;
use crate::wire::openai::completion::older_reason;

/// Tells a run as chat completion chunks.
pub(super) struct Chunks {
    writer: ChunkWriter,
    include_usage: bool,
    form: Form,
    has_text: bool,
    has_calls: bool,
}

impl Chunks {
    /// The chunks of the answer `label`.
    pub(super) fn new(label: &Label, include_usage: bool, form: Form) -> Self {
        Self {
            writer: ChunkWriter::new(&label.id, &label.model, label.created),
            include_usage,
            form,
            has_text: false,
            has_calls: false,
        }
    }

    /// A call begins. The older form has room for the first one.
    fn call(&self, out: &mut BytesMut, index: usize, id: &str, name: &str) {
        match (self.form.as_function, index) {
            (false, _) => self.writer.tool_call_start(out, index, id, name),
            (true, 0) => self.writer.function_call_start(out, name),
            (true, _) => {}
        }
    }

    fn arguments(&self, out: &mut BytesMut, index: usize, delta: &str) {
        match (self.form.as_function, index) {
            (false, _) => self.writer.tool_call_args(out, index, delta),
            (true, 0) => self.writer.function_call_args(out, delta),
            (true, _) => {}
        }
    }

    fn finish(&self, out: &mut BytesMut, outcome: &RunOutcome) {
        // A provider that answers in one piece gives no deltas.
        if !self.has_text && !outcome.text.is_empty() {
            self.writer.content(out, &outcome.text);
        }
        if !self.has_calls {
            for (index, call) in outcome.tool_calls.iter().enumerate() {
                self.call(out, index, &call.id, &call.name);
                self.arguments(out, index, &call.arguments);
            }
        }
        let reason = outcome.finish.as_str();
        let reason = if self.form.as_function {
            older_reason(reason)
        } else {
            reason
        };
        self.writer.finish(out, reason);
        if self.include_usage {
            self.writer.usage(out, &wire_usage(&outcome.usage));
        }
        self.writer.done(out);
    }
}

impl Narrator for Chunks {
    fn open(&mut self, out: &mut BytesMut) {
        self.writer.role(out);
    }

    fn tell(&mut self, out: &mut BytesMut, event: RunEvent) -> Told {
        match event {
            RunEvent::Started => {}
            RunEvent::Text(text) => {
                self.has_text = true;
                self.writer.content(out, &text);
            }
            RunEvent::Reasoning(text) => self.writer.reasoning(out, &text),
            RunEvent::ToolCallStart { index, id, name } => {
                self.has_calls = true;
                self.call(out, index, &id, &name);
            }
            RunEvent::Logprobs(object) if self.form.wants_logprobs => self.writer.logprobs(out, &object),
            RunEvent::Logprobs(_) => {}
            RunEvent::ToolCallArguments { index, delta } => self.arguments(out, index, &delta),
            RunEvent::Finished(outcome) => {
                match outcome_fault(&outcome) {
                    Some(fault) => self.fail(out, &fault),
                    None => self.finish(out, &outcome),
                }
                return Told::All;
            }
        }
        Told::More
    }

    fn fail(&mut self, out: &mut BytesMut, fault: &Fault) {
        self.writer.error(out, &error_body(fault));
        self.writer.done(out);
    }
}
