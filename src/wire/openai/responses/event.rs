//! Stream events, numbered in the order they are written.
//!
//! The constant part of an event is literal bytes; only ids, texts and snapshots are serialised. Nothing allocates but the
//! buffer.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::output::TextPart;
use crate::wire::openai::chunk::DONE;

/// How events are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events: `event:`, `data:`, an empty line; `[DONE]` at the end.
    Sse,
    /// One JSON text per line, to be sent as one WebSocket message each.
    Lines,
}

/// Which text an event is about.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Id of the item.
    pub item_id: &'a str,
    /// Position of the item in the output.
    pub output_index: usize,
}

/// Writes the events of one response.
#[derive(Debug, Clone)]
pub struct EventWriter {
    framing: Framing,
    next: u64,
}

impl EventWriter {
    /// A writer whose first event has number 0.
    pub const fn new(framing: Framing) -> Self {
        Self { framing, next: 0 }
    }

    /// `kind` with a snapshot of the response that is already serialised.
    pub fn snapshot(&mut self, out: &mut BytesMut, kind: &str, response: &[u8]) {
        self.open(out, kind);
        out.put_slice(b",\"response\":");
        out.put_slice(response);
        self.close(out);
    }

    /// `response.output_item.added` or `.done`.
    pub fn item(&mut self, out: &mut BytesMut, kind: &str, output_index: usize, item: &impl Serialize) {
        self.open(out, kind);
        out.put_slice(b",\"output_index\":");
        put_json(out, &output_index);
        out.put_slice(b",\"item\":");
        put_json(out, item);
        self.close(out);
    }

    /// `response.content_part.*` and `response.reasoning_summary_part.*`.
    pub fn part(&mut self, out: &mut BytesMut, done: bool, place: Place<'_>, part: TextPart<'_>) {
        self.open(
            out,
            match (part, done) {
                (TextPart::Output(_), false) => "response.content_part.added",
                (TextPart::Output(_), true) => "response.content_part.done",
                (TextPart::Summary(_), false) => "response.reasoning_summary_part.added",
                (TextPart::Summary(_), true) => "response.reasoning_summary_part.done",
            },
        );
        put_place(out, place);
        put_part_index(out, part);
        out.put_slice(b",\"part\":");
        put_json(out, &part);
        self.close(out);
    }

    /// `response.output_text.delta` and `response.reasoning_summary_text.delta`.
    pub fn text_delta(&mut self, out: &mut BytesMut, place: Place<'_>, delta: TextPart<'_>) {
        let text = match delta {
            TextPart::Output(text) => {
                self.open(out, "response.output_text.delta");
                text
            }
            TextPart::Summary(text) => {
                self.open(out, "response.reasoning_summary_text.delta");
                text
            }
        };
        put_place(out, place);
        put_part_index(out, delta);
        out.put_slice(b",\"delta\":");
        put_json(out, &text);
        put_logprobs(out, delta);
        self.close(out);
    }

    /// `response.output_text.done` and `response.reasoning_summary_text.done`.
    pub fn text_done(&mut self, out: &mut BytesMut, place: Place<'_>, whole: TextPart<'_>) {
        let text = match whole {
            TextPart::Output(text) => {
                self.open(out, "response.output_text.done");
                text
            }
            TextPart::Summary(text) => {
                self.open(out, "response.reasoning_summary_text.done");
                text
            }
        };
        put_place(out, place);
        put_part_index(out, whole);
        out.put_slice(b",\"text\":");
        put_json(out, &text);
        put_logprobs(out, whole);
        self.close(out);
    }

    /// `response.function_call_arguments.delta`.
    pub fn arguments_delta(&mut self, out: &mut BytesMut, place: Place<'_>, delta: &str) {
        self.open(out, "response.function_call_arguments.delta");
        put_place(out, place);
        out.put_slice(b",\"delta\":");
        put_json(out, &delta);
        self.close(out);
    }

    /// `response.function_call_arguments.done`.
    pub fn arguments_done(&mut self, out: &mut BytesMut, place: Place<'_>, name: &str, arguments: &str) {
        self.open(out, "response.function_call_arguments.done");
        put_place(out, place);
        out.put_slice(b",\"name\":");
        put_json(out, &name);
        out.put_slice(b",\"arguments\":");
        put_json(out, &arguments);
        self.close(out);
    }

    /// The end of the stream.
    pub fn done(&self, out: &mut BytesMut) {
        if self.framing == Framing::Sse {
            out.put_slice(DONE);
        }
    }

    fn open(&mut self, out: &mut BytesMut, kind: &str) {
        if self.framing == Framing::Sse {
            out.put_slice(b"event: ");
            out.put_slice(kind.as_bytes());
            out.put_slice(b"\ndata: ");
        }
        out.put_slice(b"{\"type\":\"");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\",\"sequence_number\":");
        put_json(out, &self.next);
        self.next += 1;
    }

    fn close(&self, out: &mut BytesMut) {
        match self.framing {
            Framing::Sse => out.put_slice(b"}\n\n"),
            Framing::Lines => out.put_slice(b"}\n"),
        }
    }
}

fn put_place(out: &mut BytesMut, place: Place<'_>) {
    out.put_slice(b",\"item_id\":");
    put_json(out, &place.item_id);
    out.put_slice(b",\"output_index\":");
    put_json(out, &place.output_index);
}

/// An item has one part at most.
fn put_part_index(out: &mut BytesMut, part: TextPart<'_>) {
    out.put_slice(match part {
        TextPart::Output(_) => b",\"content_index\":0",
        TextPart::Summary(_) => b",\"summary_index\":0",
    });
}

fn put_logprobs(out: &mut BytesMut, part: TextPart<'_>) {
    if let TextPart::Output(_) = part {
        out.put_slice(b",\"logprobs\":[]");
    }
}

/// Appends strings, numbers and items of this module's own making; writing those into memory cannot fail.
fn put_json(out: &mut BytesMut, value: &impl Serialize) {
    let written = serde_json::to_writer((&mut *out).writer(), value);
    debug_assert!(written.is_ok(), "serialising into memory failed");
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place {
        item_id: "msg_1",
        output_index: 2,
    };

    #[test]
    fn an_event_names_its_type_twice_and_counts() {
        let mut writer = EventWriter::new(Framing::Sse);
        let mut out = BytesMut::new();
        writer.snapshot(&mut out, "response.created", b"{}");
        writer.text_delta(&mut out, PLACE, TextPart::Output("a\n\"b\""));
        writer.done(&mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            concat!(
                "event: response.created\n",
                r#"data: {"type":"response.created","sequence_number":0,"response":{}}"#,
                "\n\nevent: response.output_text.delta\n",
                r#"data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","output_index":2,"#,
                r#""content_index":0,"delta":"a\n\"b\"","logprobs":[]}"#,
                "\n\ndata: [DONE]\n\n"
            )
        );
    }

    #[test]
    fn lines_hold_one_json_text_each() {
        let mut writer = EventWriter::new(Framing::Lines);
        let mut out = BytesMut::new();
        writer.part(&mut out, false, PLACE, TextPart::Summary("x\ny"));
        writer.arguments_done(&mut out, PLACE, "f", "{\"a\":\n1}");
        writer.done(&mut out);
        let text = std::str::from_utf8(&out).unwrap();
        let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[0]["summary_index"], 0);
        assert_eq!(events[0]["part"]["text"], "x\ny");
        assert_eq!(events[1]["arguments"], "{\"a\":\n1}");
        assert_eq!(events.len(), 2);
    }
}
