//! Moves frames of one connection in both directions, in one task and without a buffer while idle.
//!
//! Bounds: requests are not read while [`MAX_IN_FLIGHT`] of them are at work or too many bytes wait to be written; only the
//! newest ping is answered; a peer that takes nothing for two ping periods is given up; a close is given `CLOSE_GRACE`.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::decoder::{Decoder, Incoming, Violation};
use super::encoder::{Batch, NO_STATUS};
use crate::bus::{Outbox, Outgoing, Status};

/// Requests of one connection that may be at work at once.
pub const MAX_IN_FLIGHT: usize = 64;
/// Requests are not read while more than this waits to be written.
const READ_PAUSE_BYTES: usize = 4 * 1024 * 1024;
/// Pings are sent this often, once they are started.
const PING_PERIOD: Duration = Duration::from_secs(25);
/// Ping periods without progress after which a peer that owes us reads is given up.
const STALL_PERIODS: u8 = 2;
/// From queueing a close to giving up on the peer's answer.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// From finding a message too big to giving up on the rest of it.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// Read into a buffer on the stack of the poll.
const READ_CHUNK: usize = 8 * 1024;

/// What the connection's task has to deal with.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A message.
    Message(String),
    /// The connection is over.
    Gone,
}

/// The IO half of a connection.
#[derive(Debug)]
pub struct Driver<IO> {
    io: IO,
    decoder: Decoder,
    /// Bytes that were read and not decoded yet.
    rest: Vec<u8>,
    rest_at: usize,
    outbox: Arc<Outbox>,
    local: VecDeque<Outgoing>,
    batch: Batch,
    pong: Option<Vec<u8>>,
    ping: Option<Pin<Box<Sleep>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    grace: Duration,
    stalled: u8,
    needs_flush: bool,
    /// The peer sent its close frame.
    peer_closed: bool,
    /// Framing is broken: what arrives is thrown away.
    deaf: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    /// Takes over a connection after its upgrade; `leftover` is what was read behind the upgrade request.
    pub fn new(io: IO, leftover: &[u8], outbox: Arc<Outbox>, message_limit: u64) -> Self {
        Self {
            io,
            decoder: Decoder::new(message_limit),
            rest: leftover.to_vec(),
            rest_at: 0,
            outbox,
            local: VecDeque::new(),
            batch: Batch::default(),
            pong: None,
            ping: None,
            deadline: None,
            grace: CLOSE_GRACE,
            stalled: 0,
            needs_flush: false,
            peer_closed: false,
            deaf: false,
        }
    }

    /// Sets the message limit for what follows and starts the pings.
    pub fn open(&mut self, message_limit: u64) {
        self.decoder.set_limit(message_limit);
        self.ping = Some(Box::pin(tokio::time::sleep(PING_PERIOD)));
    }

    /// Where others queue frames for this connection.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Queues a response from within the connection's task.
    pub fn send(&mut self, text: String) {
        self.outbox.append(&mut self.local, text);
    }

    /// Queues a response in front of everything that others queued, for the answer to `connect`.
    pub fn send_first(&mut self, text: String) {
        self.outbox.prepend(&mut self.local, text);
    }

    /// Writes, answers pings and closes until a message arrives or the connection is over. Cancel safe.
    pub async fn next(&mut self) -> Step {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Writes out what is queued, closes and waits for the peer's close. Call after a close was queued.
    pub async fn finish(&mut self) {
        while self.next().await != Step::Gone {}
        self.shutdown().await;
    }

    /// Ends the stream below, for a connection that is over.
    pub async fn shutdown(&mut self) {
        // A peer that is gone makes this fail, which changes nothing.
        let _closed: Result<io::Result<()>, _> = tokio::time::timeout(CLOSE_GRACE, self.io.shutdown()).await;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let Ok(status) = self.poll_write(cx) else {
                return Poll::Ready(Step::Gone);
            };
            if self.batch.close_sent() && self.batch.chunk().is_none() && self.peer_closed {
                return Poll::Ready(Step::Gone);
            }
            if status.closing && self.poll_deadline(cx).is_ready() {
                return Poll::Ready(Step::Gone);
            }
            match self.poll_ping(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Step::Gone),
                // The ping waits in the batch.
                Poll::Ready(Ok(())) => continue,
                Poll::Pending => {}
            }
            let paused = status.in_flight >= MAX_IN_FLIGHT || status.bytes > READ_PAUSE_BYTES;
            if paused && !status.closing {
                return Poll::Pending;
            }
            match ready!(self.poll_read(cx)) {
                Ok(Some(Incoming::Text(text))) if !status.closing => return Poll::Ready(Step::Message(text)),
                Ok(Some(incoming)) => self.control(incoming),
                Ok(None) => {}
                Err(ReadEnd::Eof) => return Poll::Ready(Step::Gone),
                Err(ReadEnd::Violation(violation)) => self.violated(violation),
            }
        }
    }

    /// Writes as much as the socket takes. `Err`: the connection is broken.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Status, ()> {
        loop {
            if let Some(chunk) = self.batch.chunk() {
                match Pin::new(&mut self.io).poll_write(cx, chunk) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        self.batch.advance(count);
                        self.stalled = 0;
                        self.needs_flush = true;
                        continue;
                    }
                    Poll::Ready(_) => return Err(()),
                    Poll::Pending => return Ok(self.outbox.sync(cx.waker(), &mut self.local, false)),
                }
            }
            let weight = self.batch.take_weight();
            if weight > 0 {
                self.outbox.written(weight);
            }
            let status = self.outbox.sync(cx.waker(), &mut self.local, true);
            if !self.batch.close_sent() {
                if let Some(payload) = self.pong.take() {
                    self.batch.pong(&payload);
                }
                self.batch.fill(&mut self.local);
            }
            if self.batch.chunk().is_none() {
                if self.needs_flush {
                    match Pin::new(&mut self.io).poll_flush(cx) {
                        Poll::Ready(Ok(())) => self.needs_flush = false,
                        Poll::Ready(Err(_)) => return Err(()),
                        Poll::Pending => {}
                    }
                }
                self.batch.release();
                if self.local.capacity() > KEEP_QUEUE {
                    self.local = VecDeque::new();
                }
                self.outbox.shrink();
                return Ok(status);
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let grace = self.grace;
        self.deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(grace)))
            .as_mut()
            .poll(cx)
    }

    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(timer) = self.ping.as_mut() else {
            return Poll::Pending;
        };
        loop {
            ready!(timer.as_mut().poll(cx));
            timer.as_mut().reset(Instant::now() + PING_PERIOD);
            if self.batch.chunk().is_none() {
                if !self.batch.close_sent() {
                    self.batch.ping();
                    return Poll::Ready(Ok(()));
                }
            } else {
                self.stalled += 1;
                if self.stalled >= STALL_PERIODS {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
    }

    /// The next message or control frame. `Ok(None)`: bytes were taken in that complete nothing yet.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, ReadEnd>> {
        if self.rest_at < self.rest.len() {
            let mut input = self.rest.get(self.rest_at..).unwrap_or_default();
            let before = input.len();
            let decoded = self.decoder.advance(&mut input);
            self.rest_at += before - input.len();
            if self.rest_at >= self.rest.len() {
                self.rest = Vec::new();
                self.rest_at = 0;
            }
            return Poll::Ready(decoded.map_err(ReadEnd::Violation));
        }
        let mut space = [MaybeUninit::<u8>::uninit(); READ_CHUNK];
        let mut buffer = ReadBuf::uninit(&mut space);
        if ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)).is_err() {
            return Poll::Ready(Err(ReadEnd::Eof));
        }
        let mut input = buffer.filled();
        if input.is_empty() {
            return Poll::Ready(Err(ReadEnd::Eof));
        }
        if self.deaf {
            return Poll::Ready(Ok(None));
        }
        let decoded = self.decoder.advance(&mut input);
        if !input.is_empty() {
            self.rest = input.to_vec();
            self.rest_at = 0;
        }
        Poll::Ready(decoded.map_err(ReadEnd::Violation))
    }

    fn control(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Ping(payload) => self.pong = Some(payload),
            Incoming::Close(code) => {
                self.peer_closed = true;
                self.outbox.close(code.unwrap_or(NO_STATUS), "");
            }
            Incoming::Pong | Incoming::Text(_) => {}
        }
    }

    fn violated(&mut self, violation: Violation) {
        match violation {
            Violation::Protocol => {
                self.deaf = true;
                self.rest = Vec::new();
                self.rest_at = 0;
            }
            Violation::TooBig => self.grace = DRAIN_GRACE,
            Violation::Utf8 => {}
        }
        self.outbox.close(violation.code(), "");
    }
}

/// Slots that the local queue may keep while idle.
const KEEP_QUEUE: usize = 8;

enum ReadEnd {
    Eof,
    Violation(Violation),
}
