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

use super::chunk::Assembler;
use crate::domain::model::{CallError, CallErrorClass, ModelEvent};
use crate::models::failure::call_error;
use crate::models::sse::Splitter;

/// Largest single event; one delta is a few hundred bytes, a large tool call in one piece a few hundred kilobytes.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// After the reason for the end only usage can come; a provider that keeps silent then has answered.
const FINISH_GRACE: Duration = Duration::from_secs(5);

/// After `[DONE]` the end of the body is read so that the connection can be used again.
const DRAIN_GRACE: Duration = Duration::from_millis(100);

/// Events of one streamed answer.
pub(super) struct Answer {
    body: Body,
    splitter: Splitter,
    assembler: Assembler,
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

impl Answer {
    pub(super) fn new(response: Response, assembler: Assembler, idle: Option<Duration>) -> Self {
        Self {
            body: Body::from(response),
            splitter: Splitter::new(MAX_EVENT_BYTES),
            assembler,
            ready: VecDeque::new(),
            phase: Phase::Reading,
            idle,
            timer: None,
            is_timer_set: false,
        }
    }

    fn take(&mut self, bytes: &Bytes) {
        let Self {
            splitter,
            assembler,
            ready,
            phase,
            ..
        } = self;
        let split = splitter.push(bytes, |event| take_event(event.data, assembler, ready, phase));
        if let Err(error) = split {
            let message = format!("provider `{}`: {error}", self.assembler.provider());
            self.phase = Phase::Failed(call_error(CallErrorClass::Malformed, message));
        }
    }

    /// The body ended, `broken` or not.
    fn end(&mut self, broken: Option<&reqwest::Error>) {
        let Self {
            splitter,
            assembler,
            ready,
            phase,
            ..
        } = self;
        // The flushed rest is shorter than what was accepted before.
        let flushed = splitter.finish(|event| take_event(event.data, assembler, ready, phase));
        if flushed.is_err() || !matches!(self.phase, Phase::Reading) {
            return;
        }
        self.phase = match self.assembler.finish(false) {
            Ok(finish) => {
                self.ready.push_back(finish);
                Phase::Ended
            }
            Err(error) if broken.is_none() || error.class != CallErrorClass::Network => Phase::Failed(error),
            Err(_) => Phase::Failed(call_error(
                CallErrorClass::Network,
                format!(
                    "the connection to provider `{}` broke in the middle of the answer",
                    self.assembler.provider()
                ),
            )),
        };
    }

    fn silence(&mut self) {
        self.phase = match (&self.phase, self.assembler.is_finishing()) {
            (Phase::Reading, true) => match self.assembler.finish(false) {
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
                    self.assembler.provider(),
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
            _ if self.assembler.is_finishing() => Some(FINISH_GRACE),
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

fn take_event(data: &[u8], assembler: &mut Assembler, ready: &mut VecDeque<ModelEvent>, phase: &mut Phase) {
    if !matches!(phase, Phase::Reading) {
        return;
    }
    if data.trim_ascii() == b"[DONE]" {
        *phase = match assembler.finish(true) {
            Ok(finish) => {
                ready.push_back(finish);
                Phase::Draining
            }
            Err(error) => Phase::Failed(error),
        };
    } else if !data.is_empty()
        && let Err(error) = assembler.take_chunk(data, ready)
    {
        *phase = Phase::Failed(error);
    }
}

impl Stream for Answer {
    type Item = Result<ModelEvent, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let is_finish = matches!(this.ready.front(), Some(ModelEvent::Finish { .. }));
            // The end of the body usually arrives with `[DONE]`: read it before the reader leaves with `Finish`.
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

impl Answer {
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
