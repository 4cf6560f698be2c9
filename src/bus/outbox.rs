//! What waits to be written to one connection: a queue bounded in bytes, with the sequence counter of its events.
//!
//! Policy when more than [`MAX_BUFFERED_BYTES`] wait: a droppable event is skipped but still takes its number, so that the
//! client sees the gap; any other event closes the connection with 1008. Answers are not dropped: the reader of the
//! connection stops taking requests while too many bytes wait.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Bytes that may wait for one connection (`policy.maxBufferedBytes`).
pub const MAX_BUFFERED_BYTES: usize = 52_428_800;

/// The parts of an event frame that all its receivers share.
#[derive(Debug)]
pub struct SharedEvent {
    /// Up to and including the payload.
    pub head: String,
    /// After the sequence number.
    pub tail: String,
}

/// A frame that waits.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// An event, with this connection's number if it has one.
    Event {
        /// Shared text.
        frame: Arc<SharedEvent>,
        /// Sequence number.
        seq: Option<NonZeroU64>,
    },
    /// A response.
    Text(String),
    /// The last frame.
    Close {
        /// Close code.
        code: u16,
        /// Reason, at most 120 bytes.
        reason: String,
    },
}

impl Outgoing {
    /// What it counts in the queue: its text, and a little for the frame around it.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 32;
        OVERHEAD
            + match self {
                Self::Event { frame, .. } => frame.head.len() + frame.tail.len(),
                Self::Text(text) => text.len(),
                Self::Close { reason, .. } => reason.len(),
            }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It waits to be written.
    Queued,
    /// Skipped: the client is slow.
    Dropped,
    /// The client is too slow and is being closed.
    TooSlow,
    /// The connection is already closing.
    Closed,
}

/// What the writing task learns from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// A close is queued, or was taken.
    pub closing: bool,
    /// Bytes that wait or are being written.
    pub bytes: usize,
    /// Requests in tasks of their own.
    pub in_flight: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    /// Weight of what is queued or handed to the writer and not yet written.
    bytes: usize,
    last_seq: u64,
    in_flight: usize,
    closing: bool,
    waker: Option<Waker>,
}

/// The queue of one connection. Producers push, the connection's task takes.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    limit: usize,
}

impl Outbox {
    /// An empty queue with the protocol's limit.
    pub fn new() -> Self {
        Self::with_limit(MAX_BUFFERED_BYTES)
    }

    /// An empty queue that counts as slow above `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event; `numbered` events take the next sequence number even if they are dropped.
    pub fn push_event(&self, frame: &Arc<SharedEvent>, numbered: bool, droppable: bool) -> Delivery {
        let mut state = self.lock();
        if state.closing {
            return Delivery::Closed;
        }
        let seq = if numbered {
            state.last_seq += 1;
            NonZeroU64::new(state.last_seq)
        } else {
            None
        };
        let delivery = if state.bytes <= self.limit {
            let item = Outgoing::Event {
                frame: Arc::clone(frame),
                seq,
            };
            state.bytes += item.weight();
            state.queue.push_back(item);
            Delivery::Queued
        } else if droppable {
            return Delivery::Dropped;
        } else {
            let waiting: usize = state.queue.drain(..).map(|item| item.weight()).sum();
            state.bytes = state.bytes.saturating_sub(waiting);
            state.close(1008, "slow consumer");
            Delivery::TooSlow
        };
        wake(state);
        delivery
    }

    /// Queues a response, unless the connection is closing.
    pub fn push_text(&self, text: String) {
        let mut state = self.lock();
        if !state.closing {
            let item = Outgoing::Text(text);
            state.bytes += item.weight();
            state.queue.push_back(item);
            wake(state);
        }
    }

    /// Closes after what is queued; nothing is accepted behind it.
    pub fn close(&self, code: u16, reason: &str) {
        let mut state = self.lock();
        if !state.closing {
            state.close(code, reason);
            wake(state);
        }
    }

    /// Marks the connection as gone; everything queued is forgotten.
    pub fn shut(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.queue = VecDeque::new();
        state.waker = None;
    }

    /// Registers the task that writes, and moves everything queued into `into` if `take` says so.
    pub fn sync(&self, waker: &Waker, into: &mut VecDeque<Outgoing>, take: bool) -> Status {
        let mut state = self.lock();
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        if take && !state.queue.is_empty() {
            if into.is_empty() {
                std::mem::swap(into, &mut state.queue);
            } else {
                into.append(&mut state.queue);
            }
        }
        Status {
            closing: state.closing,
            bytes: state.bytes,
            in_flight: state.in_flight,
        }
    }

    /// For the task that writes: puts a response behind everything queued without waking anybody.
    pub fn append(&self, into: &mut VecDeque<Outgoing>, text: String) {
        let mut state = self.lock();
        if !state.closing {
            into.append(&mut state.queue);
            let item = Outgoing::Text(text);
            state.bytes += item.weight();
            into.push_back(item);
        }
    }

    /// For the task that writes: puts a response before everything that others queued.
    pub fn prepend(&self, into: &mut VecDeque<Outgoing>, text: String) {
        let mut state = self.lock();
        let item = Outgoing::Text(text);
        state.bytes += item.weight();
        into.push_back(item);
        into.append(&mut state.queue);
    }

    /// Frames of this weight were written.
    pub fn written(&self, weight: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(weight);
    }

    /// Gives back memory that a burst left behind.
    pub fn shrink(&self) {
        const KEEP: usize = 8;
        let mut state = self.lock();
        if state.queue.is_empty() && state.queue.capacity() > KEEP {
            state.queue = VecDeque::new();
        }
    }

    /// A request went to a task of its own.
    pub fn request_started(&self) {
        self.lock().in_flight += 1;
    }

    /// A request's task ended, with its answer.
    pub fn request_done(&self, answer: Option<String>) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if let Some(text) = answer.filter(|_| !state.closing) {
            let item = Outgoing::Text(text);
            state.bytes += item.weight();
            state.queue.push_back(item);
        }
        wake(state);
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn close(&mut self, code: u16, reason: &str) {
        let item = Outgoing::Close {
            code,
            reason: crate::wire::frame::close_reason(reason).to_owned(),
        };
        self.bytes += item.weight();
        self.queue.push_back(item);
        self.closing = true;
    }
}

/// Wakes the connection's task after the lock is released, so that it does not run into it.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
