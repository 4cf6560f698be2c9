//! A response body as a stream of model events, with the deadline between two pieces.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as _;
use reqwest::{Body, Response};
use tokio::time::{Instant, Sleep};

use super::failure::call_error;
use super::lines::Lines;
use super::sse::{Event, EventTooLarge, Splitter};
use crate::domain::model::{CallError, CallErrorClass, ModelEvent};

/// Largest single event; one delta is a few hundred bytes, a large tool call in one piece a few hundred kilobytes.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// After the reason for the end only usage can come; a provider that keeps silent then has answered.
const FINISH_GRACE: Duration = Duration::from_secs(5);

/// After the provider's own end mark the end of the body is read so that the connection can be used again.
const DRAIN_GRACE: Duration = Duration::from_millis(100);

/// Reads the pieces of one answer of a dialect. Pure.
pub trait Decoder: Send + Unpin + 'static {
    /// The provider's id, for messages.
    fn provider(&self) -> &str;

    /// Reads one piece. `Complete`: the provider marked the end; nothing of use follows.
    fn take(&mut self, event: Event<'_>, ready: &mut VecDeque<ModelEvent>) -> Result<Flow, CallError>;

    /// Whether the reason for the end has come; only usage can follow.
    fn is_finishing(&self) -> bool;

    /// The last event. `is_complete`: the provider marked the end itself, so that it is no cut.
    fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError>;
}

/// Whether more pieces are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The answer goes on.
    More,
    /// The provider marked its end.
    Complete,
}

/// How a body is cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON value per line.
    Lines,
}

#[derive(Debug)]
enum Frames {
    Sse(Splitter),
    Lines(Lines),
}

impl Frames {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Splitter::new(MAX_EVENT_BYTES)),
            Framing::Lines => Self::Lines(Lines::new(MAX_EVENT_BYTES)),
        }
    }

    fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) -> Result<(), EventTooLarge> {
        match self {
            Self::Sse(splitter) => splitter.push(bytes, on_event),
            Self::Lines(lines) => lines.push(bytes, |data| on_event(Event { name: "", data })),
        }
    }

    fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) -> Result<(), EventTooLarge> {
        match self {
            Self::Sse(splitter) => splitter.finish(on_event),
            Self::Lines(lines) => {
                lines.finish(|data| on_event(Event { name: "", data }));
                Ok(())
            }
        }
    }
}

/// Events of one streamed answer.
pub struct Answer<D> {
    body: Body,
    frames: Frames,
    decoder: D,
    ready: VecDeque<ModelEvent>,
    phase: Phase,
    idle: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    is_timer_set: bool,
}

#[derive(Debug)]
enum Phase {
    Reading,
    /// The answer is complete; only the end of the body is missing.
    Draining,
    /// Delivered after the events that came before it.
    Failed(CallError),
    Ended,
}

impl<D: Decoder> Answer<D> {
    /// Nothing is read before the first poll. `idle`: longest silence between two pieces of the body.
    pub fn new(response: Response, framing: Framing, decoder: D, idle: Option<Duration>) -> Self {
        Self {
            body: Body::from(response),
            frames: Frames::new(framing),
            decoder,
            ready: VecDeque::new(),
            phase: Phase::Reading,
            idle,
            timer: None,
            is_timer_set: false,
        }
    }

    fn take(&mut self, bytes: &Bytes) {
        let Self {
            frames,
            decoder,
            ready,
            phase,
            ..
        } = self;
        let split = frames.push(bytes, |event| take_event(event, decoder, ready, phase));
        if let Err(error) = split {
            let message = format!("provider `{}`: {error}", self.decoder.provider());
            self.phase = Phase::Failed(call_error(CallErrorClass::Malformed, message));
        }
    }

    /// The body ended, `broken` or not.
    fn end(&mut self, broken: Option<&reqwest::Error>) {
        let Self {
            frames,
            decoder,
            ready,
            phase,
            ..
        } = self;
        // The flushed rest is shorter than what was accepted before.
        let flushed = frames.finish(|event| take_event(event, decoder, ready, phase));
        if flushed.is_err() || !matches!(self.phase, Phase::Reading) {
            return;
        }
        self.phase = match self.decoder.finish(false) {
            Ok(finish) => {
                self.ready.push_back(finish);
                Phase::Ended
            }
            Err(error) if broken.is_none() || error.class != CallErrorClass::Network => Phase::Failed(error),
            Err(_) => Phase::Failed(call_error(
                CallErrorClass::Network,
                format!(
                    "the connection to provider `{}` broke in the middle of the answer",
                    self.decoder.provider()
                ),
            )),
        };
    }

    fn silence(&mut self) {
        self.phase = match (&self.phase, self.decoder.is_finishing()) {
            (Phase::Reading, true) => match self.decoder.finish(false) {
                Ok(finish) => {
                    self.ready.push_back(finish);
                    Phase::Ended
                }
                Err(error) => Phase::Failed(error),
            },
            (Phase::Reading, false) => Phase::Failed(call_error(
                CallErrorClass::Timeout,
                format!(
                    "provider `{}` sent nothing for {} s",
                    self.decoder.provider(),
                    self.idle.unwrap_or_default().as_secs()
                ),
            )),
            _ => Phase::Ended,
        };
    }

    /// Whether nothing came for too long. The clock starts when the body first has nothing to give.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = match self.phase {
            Phase::Draining => Some(DRAIN_GRACE),
            _ if self.decoder.is_finishing() => Some(FINISH_GRACE),
            _ => self.idle,
        };
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_timer_set {
            self.is_timer_set = true;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx)
    }
}

fn take_event<D: Decoder>(event: Event<'_>, decoder: &mut D, ready: &mut VecDeque<ModelEvent>, phase: &mut Phase) {
    // An event without data is a sign of life, whatever its name.
    if !matches!(phase, Phase::Reading) || event.data.trim_ascii().is_empty() {
        return;
    }
    let taken = decoder.take(event, ready).and_then(|flow| match flow {
        Flow::More => Ok(None),
        Flow::Complete => decoder.finish(true).map(Some),
    });
    match taken {
        Ok(None) => {}
        Ok(Some(finish)) => {
            ready.push_back(finish);
            *phase = Phase::Draining;
        }
        Err(error) => *phase = Phase::Failed(error),
    }
}

impl<D: Decoder> Stream for Answer<D> {
    type Item = Result<ModelEvent, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let is_finish = matches!(this.ready.front(), Some(ModelEvent::Finish { .. }));
            // The end of the body usually arrives with the end mark: read it before the reader leaves with `Finish`.
            if is_finish && matches!(this.phase, Phase::Draining) && this.poll_end(cx).is_ready() {
                this.phase = Phase::Ended;
            }
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match &mut this.phase {
                Phase::Reading => {}
                Phase::Draining => {
                    if this.poll_end(cx).is_pending() && this.poll_silence(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.phase = Phase::Ended;
                    return Poll::Ready(None);
                }
                Phase::Failed(_) => {
                    let Phase::Failed(error) = std::mem::replace(&mut this.phase, Phase::Ended) else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(Err(error)));
                }
                Phase::Ended => return Poll::Ready(None),
            }
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.is_timer_set = false;
                    if let Ok(bytes) = frame.into_data() {
                        this.take(&bytes);
                    }
                }
                Poll::Ready(Some(Err(error))) => this.end(Some(&error)),
                Poll::Ready(None) => this.end(None),
                Poll::Pending => {
                    if this.poll_silence(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.silence();
                }
            }
        }
    }
}

impl<D: Decoder> Answer<D> {
    /// Reads to the end of the body; ready when there is nothing more to come.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
