//! Turns that wait behind the one at work.

use std::collections::VecDeque;

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Most messages that wait.
const MAX_MESSAGES: usize = 16;

/// Messages in the order in which they came, bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct Waiting {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
    max_bytes: usize,
}

/// There is no room for another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Waiting {
    /// Nothing waits. All that waits together is at most as large as one message may be.
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Puts a message behind the others.
    pub(super) fn push(&mut self, text: Utf8Bytes) -> Result<(), Full> {
        let bytes = self.bytes.saturating_add(text.len());
        if self.messages.len() == MAX_MESSAGES || bytes > self.max_bytes {
            return Err(Full);
        }
        self.bytes = bytes;
        self.messages.push_back(text);
        Ok(())
    }

    /// The message that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Utf8Bytes> {
        let text = self.messages.pop_front()?;
        self.bytes -= text.len();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_bytes_are_bounded() {
        let mut waiting = Waiting::new(100);
        for _ in 0..MAX_MESSAGES {
            waiting.push("x".into()).unwrap();
        }
        assert_eq!(waiting.push("x".into()), Err(Full));
        while waiting.pop().is_some() {}
        waiting.push("x".repeat(60).into()).unwrap();
        assert_eq!(waiting.push("x".repeat(60).into()), Err(Full));
        assert_eq!(waiting.pop().map(|text| text.len()), Some(60));
        waiting.push("x".repeat(60).into()).unwrap();
    }
}
