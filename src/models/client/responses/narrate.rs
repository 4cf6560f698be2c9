//! A run as the stream events of a response.
//!
//! One item is open at a time, except function calls, whose arguments may come in turns; those are closed at the end, when
//! the run says what they finally are.

use bytes::BytesMut;

use super::answer::{Answer, End};
use crate::domain::model::Usage;
use crate::domain::run::{RunEvent, RunOutcome};
use crate::wire::openai::responses::event::Place;
use crate::wire::openai::responses::output::TextPart;
use crate::wire::openai::responses::{EventWriter, Framing, OutputItem};

/// Which kind of text an open item takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Message(usize),
    Reasoning(usize),
}

/// A function call that was begun.
#[derive(Debug, Clone, Copy)]
struct Begun {
    /// Position among the run's calls.
    call: usize,
    /// Position in the output.
    item: usize,
}

/// Tells a run event by event.
#[derive(Debug)]
pub struct Narration {
    answer: Answer,
    writer: EventWriter,
    open: Option<Open>,
    calls: Vec<Begun>,
    has_text: bool,
}

impl Narration {
    /// A narration of the run that brings `answer`.
    pub const fn new(answer: Answer, framing: Framing) -> Self {
        Self {
            answer,
            writer: EventWriter::new(framing),
            open: None,
            calls: Vec::new(),
            has_text: false,
        }
    }

    /// The response so far.
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The first events.
    pub fn begin(&mut self, out: &mut BytesMut) {
        let snapshot = self.answer.pending("in_progress");
        self.writer.snapshot(out, "response.created", &snapshot);
        self.writer.snapshot(out, "response.in_progress", &snapshot);
    }

    /// What an event of the run means. The end is told by [`Self::end`].
    pub fn tell(&mut self, out: &mut BytesMut, event: &RunEvent) {
        match event {
            RunEvent::Started | RunEvent::Logprobs(_) | RunEvent::Finished(_) => {}
            RunEvent::Text(delta) => self.text(out, delta),
            RunEvent::Reasoning(delta) => self.reasoning(out, delta),
            RunEvent::ToolCallStart { index, id, name } => self.call(out, *index, id, name),
            RunEvent::ToolCallArguments { index, delta } => self.arguments(out, *index, delta),
        }
    }

    /// Closes what is open and returns the last snapshot, which [`Self::conclude`] puts out once it is stored.
    ///
    /// `outcome`: the end of the run, if it completed.
    pub fn end(
        &mut self,
        out: &mut BytesMut,
        end: &End,
        outcome: Option<&RunOutcome>,
        usage: &Usage,
        now_s: i64,
    ) -> Vec<u8> {
        if let Some(outcome) = outcome {
            self.complete(out, outcome);
        }
        // A failed response has no finished items to tell of.
        let is_cut = matches!(end, End::Failed(_) | End::Cancelled);
        if !is_cut {
            self.answer.settle(end);
            self.close_open(out);
            self.close_calls(out);
        }
        self.answer.close(end, usage, now_s)
    }

    /// The last event, with the snapshot that [`Self::end`] returned.
    pub fn conclude(&mut self, out: &mut BytesMut, end: &End, snapshot: &[u8]) {
        let kind = match end {
            End::Completed => "response.completed",
            End::Incomplete(_) => "response.incomplete",
            End::Failed(_) | End::Cancelled => "response.failed",
        };
        self.writer.snapshot(out, kind, snapshot);
        self.writer.done(out);
    }

    /// Tells what was not streamed: a provider that answers in one piece gives no deltas.
    fn complete(&mut self, out: &mut BytesMut, outcome: &RunOutcome) {
        let is_silent = self.answer.items.is_empty();
        if is_silent && !outcome.reasoning.is_empty() {
            self.reasoning(out, &outcome.reasoning);
        }
        if !self.has_text && (!outcome.text.is_empty() || outcome.tool_calls.is_empty()) {
            self.text(out, &outcome.text);
        }
        for (index, call) in outcome.tool_calls.iter().enumerate() {
            if !self.calls.iter().any(|begun| begun.call == index) {
                self.call(out, index, &call.id, &call.name);
                self.arguments(out, index, &call.arguments);
            }
        }
    }

    fn text(&mut self, out: &mut BytesMut, delta: &str) {
        let index = match self.open {
            Some(Open::Message(index)) => index,
            _ => {
                self.shut(out);
                let index = self.answer.push_message(None);
                self.open = Some(Open::Message(index));
                self.added(out, index);
                self.part(out, index, false, TextPart::Output(""));
                index
            }
        };
        self.has_text = true;
        if let Some(OutputItem::Message(item)) = self.answer.items.get_mut(index) {
            item.text.get_or_insert_default().push_str(delta);
            if !delta.is_empty() {
                let place = Place {
                    item_id: &item.id,
                    output_index: index,
                };
                self.writer.text_delta(out, place, TextPart::Output(delta));
            }
        }
    }

    fn reasoning(&mut self, out: &mut BytesMut, delta: &str) {
        let index = match self.open {
            Some(Open::Reasoning(index)) => index,
            _ => {
                self.shut(out);
                let index = self.answer.push_reasoning(String::new());
                self.open = Some(Open::Reasoning(index));
                self.added(out, index);
                self.part(out, index, false, TextPart::Summary(""));
                index
            }
        };
        if let Some(OutputItem::Reasoning(item)) = self.answer.items.get_mut(index) {
            item.summary.get_or_insert_default().push_str(delta);
            let place = Place {
                item_id: &item.id,
                output_index: index,
            };
            self.writer.text_delta(out, place, TextPart::Summary(delta));
        }
    }

    fn call(&mut self, out: &mut BytesMut, call: usize, id: &str, name: &str) {
        if self.calls.len() >= self.answer.most_calls() {
            return;
        }
        self.shut(out);
        let item = self.answer.push_call(id, name);
        self.calls.push(Begun { call, item });
        self.added(out, item);
    }

    fn arguments(&mut self, out: &mut BytesMut, call: usize, delta: &str) {
        let Some(begun) = self.calls.iter().rev().find(|begun| begun.call == call) else {
            return;
        };
        if let Some(OutputItem::FunctionCall(item)) = self.answer.items.get_mut(begun.item) {
            item.arguments.push_str(delta);
            let place = Place {
                item_id: &item.id,
                output_index: begun.item,
            };
            self.writer.arguments_delta(out, place, delta);
        }
    }

    /// Closes the open text in the middle of a run.
    fn shut(&mut self, out: &mut BytesMut) {
        if let Some(open) = self.open {
            match (open, self.answer.items.last_mut()) {
                (Open::Message(_), Some(OutputItem::Message(item))) => {
                    item.status = "completed";
                    // Something follows, so it was not the last word.
                    item.phase = Some("commentary");
                }
                (Open::Reasoning(_), Some(OutputItem::Reasoning(item))) => item.status = "completed",
                _ => {}
            }
        }
        self.close_open(out);
    }

    fn close_open(&mut self, out: &mut BytesMut) {
        let Some(open) = self.open.take() else { return };
        let (Open::Message(index) | Open::Reasoning(index)) = open;
        let Some(item) = self.answer.items.get(index) else {
            return;
        };
        let text = match item {
            OutputItem::Message(item) => TextPart::Output(item.text.as_deref().unwrap_or_default()),
            OutputItem::Reasoning(item) => TextPart::Summary(item.summary.as_deref().unwrap_or_default()),
            OutputItem::FunctionCall(_) => return,
        };
        let place = Place {
            item_id: item.id(),
            output_index: index,
        };
        self.writer.text_done(out, place, text);
        self.writer.part(out, true, place, text);
        self.writer.item(out, "response.output_item.done", index, item);
    }

    fn close_calls(&mut self, out: &mut BytesMut) {
        for begun in &self.calls {
            let Some(item @ OutputItem::FunctionCall(call)) = self.answer.items.get(begun.item) else {
                continue;
            };
            let place = Place {
                item_id: &call.id,
                output_index: begun.item,
            };
            self.writer.arguments_done(out, place, &call.name, &call.arguments);
            self.writer.item(out, "response.output_item.done", begun.item, item);
        }
    }

    fn added(&mut self, out: &mut BytesMut, index: usize) {
        if let Some(item) = self.answer.items.get(index) {
            self.writer.item(out, "response.output_item.added", index, item);
        }
    }

    fn part(&mut self, out: &mut BytesMut, index: usize, done: bool, part: TextPart<'_>) {
        if let Some(item) = self.answer.items.get(index) {
            let place = Place {
                item_id: item.id(),
                output_index: index,
            };
            self.writer.part(out, done, place, part);
        }
    }
}
