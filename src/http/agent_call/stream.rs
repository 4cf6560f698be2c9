//! The events of one run as a response body.
//!
//! hyper asks for frames at the pace of the client, and the run's events wait in their bounded channel meanwhile, so
//! nothing piles up here. Everything that is ready, or becomes so within one [`Pass`], goes out as one frame. The words
//! are the endpoint's own ([`Narrator`]); pace, signs of life and the end are the same for all.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::outcome;
use super::pass::Pass;
use super::refusal::Refusal;
use super::slot::Slot;
use crate::domain::Fault;
use crate::domain::run::{RunEvent, RunHandle};
use crate::http::Body;
use crate::http::body::BodyError;
use crate::wire::openai::chunk::PING;

/// Longest wait for the first words before the headers of a stream are sent without them.
const FIRST_WORDS: Duration = Duration::from_secs(10);
/// Longest silence on a stream; proxies cut silent ones.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A frame that has grown this far is sent before more events are looked at.
const FRAME_BYTES: usize = 16 * 1024;
const FIRST_CAPACITY: usize = 1024;

const HEADERS: [(HeaderName, HeaderValue); 3] = [
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

/// Whether a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Told {
    /// There is more to come.
    More,
    /// The run is over; the last word follows when [`Narrator::poll_end`] has it.
    Soon,
    /// That was the last word.
    All,
}

/// Puts a run into the words of one endpoint.
pub(in crate::http) trait Narrator: Send + Unpin + 'static {
    /// Appends what comes before the first event.
    fn open(&mut self, out: &mut BytesMut);

    /// Appends what `event` means to the client.
    fn tell(&mut self, out: &mut BytesMut, event: RunEvent) -> Told;

    /// Appends the last word after [`Told::Soon`] as soon as it may be said.
    fn poll_end(&mut self, _cx: &mut Context<'_>, _out: &mut BytesMut) -> Poll<()> {
        Poll::Ready(())
    }

    /// Appends the end of a stream that cannot go on.
    fn fail(&mut self, out: &mut BytesMut, fault: &Fault);
}

/// Waits for the first words of a run, or long enough; a run that fails before is a status and not a stream.
///
/// `None`: the run is silent for so long that the client should at least see headers.
pub(in crate::http) async fn first_words(
    handle: &mut RunHandle,
    started: Instant,
) -> Result<Option<RunEvent>, Refusal> {
    let patience = started + FIRST_WORDS;
    loop {
        match timeout_at(patience, handle.next_event()).await {
            // Nothing for the client yet: the provider may still refuse or break off.
            Ok(Some(RunEvent::Started)) => {}
            Ok(Some(RunEvent::Finished(outcome))) => {
                return match outcome::fault(&outcome) {
                    Some(fault) => Err(Refusal::of_run(fault)),
                    None => Ok(Some(RunEvent::Finished(outcome))),
                };
            }
            Ok(Some(event)) => return Ok(Some(event)),
            Ok(None) => return Err(Refusal::of_run(outcome::vanished())),
            Err(_) => return Ok(None),
        }
    }
}

/// The body. Dropping it aborts the run.
pub(in crate::http) struct RunStream<N> {
    handle: RunHandle,
    narrator: N,
    ready: BytesMut,
    pass: Pass,
    is_over: bool,
    is_done: bool,
    sent_at: Instant,
    ping: Pin<Box<Sleep>>,
    _slot: Slot,
}

impl<N: Narrator> RunStream<N> {
    /// A stream that begins with the narrator's opening and `first`; without `first`, with a sign of life.
    pub(in crate::http) fn new(handle: RunHandle, narrator: N, first: Option<RunEvent>, slot: Slot) -> Self {
        let now = Instant::now();
        let mut stream = Self {
            handle,
            narrator,
            ready: BytesMut::with_capacity(FIRST_CAPACITY),
            pass: Pass::default(),
            is_over: false,
            is_done: false,
            sent_at: now,
            ping: Box::pin(sleep_until(now + PING_EVERY)),
            _slot: slot,
        };
        stream.narrator.open(&mut stream.ready);
        match first {
            Some(event) => stream.tell(event),
            None => stream.ready.extend_from_slice(PING),
        }
        stream
    }

    /// The response whose body this is.
    pub(in crate::http) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::stream(self));
        *response.status_mut() = StatusCode::OK;
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn tell(&mut self, event: RunEvent) {
        match self.narrator.tell(&mut self.ready, event) {
            Told::More => {}
            Told::Soon => self.is_over = true,
            Told::All => self.is_done = true,
        }
    }
}

impl<N: Narrator> http_body::Body for RunStream<N> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        while !this.is_done && this.ready.len() < FRAME_BYTES {
            if this.is_over {
                match this.narrator.poll_end(cx, &mut this.ready) {
                    Poll::Ready(()) => this.is_done = true,
                    Poll::Pending => break,
                }
                continue;
            }
            match this.handle.poll_event(cx) {
                Poll::Ready(Some(event)) => this.tell(event),
                Poll::Ready(None) => {
                    this.narrator.fail(&mut this.ready, &outcome::vanished());
                    this.is_done = true;
                }
                Poll::Pending => break,
            }
        }
        if !this.ready.is_empty() {
            if !this.is_done && this.ready.len() < FRAME_BYTES && this.pass.poll(cx).is_pending() {
                return Poll::Pending;
            }
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
