//! From queued frames to bytes: small frames are gathered into one write, large payloads are written from where they are.

use std::collections::VecDeque;
use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::bus::{Outgoing, SharedEvent};

/// A batch is handed to the socket when it has grown to this.
const BATCH: usize = 64 * 1024;
/// Payloads from this size on are not copied.
const LARGE: usize = 16 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug)]
enum Large {
    Text(String),
    Event(Arc<SharedEvent>),
}

impl Large {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Event(frame) => frame.head.as_bytes(),
        }
    }
}

/// Bytes on their way to the socket, in the order: `small`, `large`, `after`.
#[derive(Debug, Default)]
pub struct Batch {
    small: Vec<u8>,
    at: usize,
    large: Option<Large>,
    large_at: usize,
    after: Vec<u8>,
    weight: usize,
    close_sent: bool,
}

impl Batch {
    /// The next bytes to write.
    pub fn chunk(&self) -> Option<&[u8]> {
        let small = self.small.get(self.at..).unwrap_or_default();
        if !small.is_empty() {
            return Some(small);
        }
        let large = self.large.as_ref()?.bytes().get(self.large_at..).unwrap_or_default();
        (!large.is_empty()).then_some(large)
    }

    /// `count` bytes of the chunk were written.
    pub fn advance(&mut self, count: usize) {
        if self.at < self.small.len() {
            self.at += count;
        } else {
            self.large_at += count;
        }
        let small_done = self.at >= self.small.len();
        let large_done = self
            .large
            .as_ref()
            .is_none_or(|large| self.large_at >= large.bytes().len());
        if small_done && large_done {
            self.small.clear();
            self.at = 0;
            self.large = None;
            self.large_at = 0;
            std::mem::swap(&mut self.small, &mut self.after);
        }
    }

    /// Whether a close frame was put in; nothing follows it.
    pub fn close_sent(&self) -> bool {
        self.close_sent
    }

    /// The weight of what was put in since the last call.
    pub fn take_weight(&mut self) -> usize {
        std::mem::take(&mut self.weight)
    }

    /// Gives back memory while there is nothing to write.
    pub fn release(&mut self) {
        if self.small.is_empty() && self.large.is_none() {
            self.small = Vec::new();
            self.after = Vec::new();
        }
    }

    /// Moves frames from the queue until the batch is full, a large payload was met or the connection is closed.
    pub fn fill(&mut self, queue: &mut VecDeque<Outgoing>) {
        while !self.close_sent && self.large.is_none() && self.small.len() < BATCH {
            let Some(item) = queue.pop_front() else { return };
            self.weight += item.weight();
            match item {
                Outgoing::Text(text) => self.text(text),
                Outgoing::Event { frame, seq } => self.event(frame, seq),
                Outgoing::Close { code, reason } => self.close(code, &reason),
            }
        }
    }

    fn text(&mut self, text: String) {
        header(&mut self.small, TEXT, text.len());
        if text.len() >= LARGE {
            self.large = Some(Large::Text(text));
        } else {
            self.small.extend_from_slice(text.as_bytes());
        }
    }

    fn event(&mut self, frame: Arc<SharedEvent>, seq: Option<NonZeroU64>) {
        let mut digits = Vec::new();
        if let Some(seq) = seq {
            // Writing to a vector cannot fail.
            let _infallible = write!(digits, ",\"seq\":{seq}");
        }
        let size = frame.head.len() + digits.len() + frame.tail.len();
        header(&mut self.small, TEXT, size);
        let end = if frame.head.len() >= LARGE {
            &mut self.after
        } else {
            self.small.extend_from_slice(frame.head.as_bytes());
            &mut self.small
        };
        end.extend_from_slice(&digits);
        end.extend_from_slice(frame.tail.as_bytes());
        if frame.head.len() >= LARGE {
            self.large = Some(Large::Event(frame));
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        if code == NO_STATUS {
            header(&mut self.small, CLOSE, 0);
        } else {
            header(&mut self.small, CLOSE, 2 + reason.len());
            self.small.extend_from_slice(&code.to_be_bytes());
            self.small.extend_from_slice(reason.as_bytes());
        }
        self.close_sent = true;
    }

    /// Puts a ping in. Call only while `chunk` is `None`.
    pub fn ping(&mut self) {
        header(&mut self.small, PING, 0);
    }

    /// Puts a pong in. Call only while `chunk` is `None`.
    pub fn pong(&mut self, payload: &[u8]) {
        header(&mut self.small, PONG, payload.len());
        self.small.extend_from_slice(payload);
    }
}

/// The code that stands for a close frame without one.
pub const NO_STATUS: u16 = 1005;

fn header(out: &mut Vec<u8>, opcode: u8, size: usize) {
    out.push(0x80 | opcode);
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(short), _) if short < 126 => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
}
