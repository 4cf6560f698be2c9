//! The chunks of one run as a response body.
//!
//! hyper asks for frames at the pace of the client, and the run's events wait in their bounded channel meanwhile, so
//! nothing piles up here. Everything that is ready when asked goes out as one frame.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};

use super::slot::Slot;
use super::{Label, outcome};
use crate::domain::Fault;
use crate::domain::run::{RunEvent, RunHandle, RunOutcome};
use crate::http::body::BodyError;
use crate::models::client::{error_body, wire_usage};
use crate::wire::openai::ChunkWriter;
use crate::wire::openai::chunk::PING;

/// Longest silence on a stream; proxies cut silent ones.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A frame that has grown this far is sent before more events are looked at.
const FRAME_BYTES: usize = 16 * 1024;
const FIRST_CAPACITY: usize = 1024;

/// Headers of every stream.
pub(super) const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    ),
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    ),
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
];

/// The body. Dropping it aborts the run.
pub(super) struct Chunks {
    handle: RunHandle,
    writer: ChunkWriter,
    include_usage: bool,
    ready: BytesMut,
    has_text: bool,
    has_calls: bool,
    is_done: bool,
    sent_at: Instant,
    ping: Pin<Box<Sleep>>,
    _slot: Slot,
}

impl Chunks {
    /// A stream that begins with the role and `first`; without `first` it begins with a sign of life.
    pub(super) fn new(
        handle: RunHandle,
        label: &Label,
        include_usage: bool,
        first: Option<RunEvent>,
        slot: Slot,
    ) -> Self {
        let now = Instant::now();
        let mut chunks = Self {
            handle,
            writer: ChunkWriter::new(&label.id, &label.model, label.created),
            include_usage,
            ready: BytesMut::with_capacity(FIRST_CAPACITY),
            has_text: false,
            has_calls: false,
            is_done: false,
            sent_at: now,
            ping: Box::pin(sleep_until(now + PING_EVERY)),
            _slot: slot,
        };
        chunks.writer.role(&mut chunks.ready);
        match first {
            Some(event) => chunks.write(event),
            None => chunks.ready.extend_from_slice(PING),
        }
        chunks
    }

    fn write(&mut self, event: RunEvent) {
        let out = &mut self.ready;
        match event {
            RunEvent::Started => {}
            RunEvent::Text(text) => {
                self.has_text = true;
                self.writer.content(out, &text);
            }
            RunEvent::Reasoning(text) => self.writer.reasoning(out, &text),
            RunEvent::ToolCallStart { index, id, name } => {
                self.has_calls = true;
                self.writer.tool_call_start(out, index, &id, &name);
            }
            RunEvent::ToolCallArguments { index, delta } => self.writer.tool_call_args(out, index, &delta),
            RunEvent::Finished(outcome) => match outcome::fault(&outcome) {
                Some(fault) => self.fail(&fault),
                None => self.finish(&outcome),
            },
        }
    }

    fn finish(&mut self, outcome: &RunOutcome) {
        let out = &mut self.ready;
        // A provider that answers in one piece gives no deltas.
        if !self.has_text && !outcome.text.is_empty() {
            self.writer.content(out, &outcome.text);
        }
        if !self.has_calls {
            for (index, call) in outcome.tool_calls.iter().enumerate() {
                self.writer.tool_call_start(out, index, &call.id, &call.name);
                self.writer.tool_call_args(out, index, &call.arguments);
            }
        }
        self.writer.finish(out, outcome.finish.as_str());
        if self.include_usage {
            self.writer.usage(out, &wire_usage(&outcome.usage));
        }
        self.end();
    }

    fn fail(&mut self, fault: &Fault) {
        self.writer.error(&mut self.ready, &error_body(fault));
        self.end();
    }

    fn end(&mut self) {
        self.writer.done(&mut self.ready);
        self.is_done = true;
    }
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        while !this.is_done && this.ready.len() < FRAME_BYTES {
            match this.handle.poll_event(cx) {
                Poll::Ready(Some(event)) => this.write(event),
                Poll::Ready(None) => this.fail(&outcome::vanished()),
                Poll::Pending => break,
            }
        }
        if !this.ready.is_empty() {
            this.sent_at = Instant::now();
            return Poll::Ready(Some(Ok(Frame::data(this.ready.split().freeze()))));
        }
        if this.is_done {
            return Poll::Ready(None);
        }
        // The timer is not set anew for every frame; when it fires, it looks how long the silence really was.
        while this.ping.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now.duration_since(this.sent_at) >= PING_EVERY {
                this.sent_at = now;
                this.ping.as_mut().reset(now + PING_EVERY);
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PING)))));
            }
            let due = this.sent_at + PING_EVERY;
            this.ping.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.is_done && self.ready.is_empty()
    }
}
