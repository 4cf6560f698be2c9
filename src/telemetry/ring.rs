//! The newest log lines in memory, addressed by byte offset, for `logs.tail`.
//!
//! Bounded by bytes; the oldest lines go first. Works on a read-only disk and mixes no other process in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes kept.
const CAPACITY: usize = 1024 * 1024;

/// Shared ring of log lines.
#[derive(Debug, Clone, Default)]
pub struct LogRing(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    /// Offset of the first kept byte in the endless log.
    start: u64,
    bytes: usize,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// Offset after the last returned line; pass it back to continue.
    pub cursor: u64,
    /// Bytes written so far.
    pub size: u64,
    /// JSON lines.
    pub lines: Vec<String>,
    /// Earlier lines exist that were not returned.
    pub truncated: bool,
    /// The given cursor is no longer (or not yet) there; the tail was returned instead.
    pub reset: bool,
}

impl LogRing {
    /// Appends one line (without line break).
    pub fn push(&self, line: String) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += line.len() + 1;
        ring.lines.push_back(line);
        while ring.bytes > CAPACITY {
            let Some(dropped) = ring.lines.pop_front() else { break };
            ring.bytes -= dropped.len() + 1;
            ring.start += dropped.len() as u64 + 1;
        }
    }

    /// Lines from `cursor` on, or the tail: at most `max_bytes` and the last `limit` lines of that.
    pub fn tail(&self, cursor: Option<u64>, limit: usize, max_bytes: usize) -> LogPage {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = ring.start + ring.bytes as u64;
        let reset = cursor.is_some_and(|at| at > size || at < ring.start);
        let tail_start = size.saturating_sub(max_bytes as u64);
        let from = match cursor {
            Some(at) if !reset => at.max(tail_start),
            _ => tail_start,
        };
        let mut lines = Vec::new();
        let mut offset = ring.start;
        for line in &ring.lines {
            if offset >= from {
                lines.push(line.clone());
            }
            offset += line.len() as u64 + 1;
        }
        let cut_by_limit = lines.len() > limit;
        if cut_by_limit {
            lines.drain(..lines.len() - limit);
        }
        let truncated =
            cut_by_limit || (!reset && cursor.is_some_and(|at| at < from)) || (cursor.is_none() && from > 0);
        LogPage {
            cursor: size,
            size,
            lines,
            truncated,
            reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogRing;

    #[test]
    fn a_cursor_continues_where_the_last_page_ended() {
        let ring = LogRing::default();
        ring.push("one".to_owned());
        let first = ring.tail(None, 10, 1000);
        assert_eq!(first.lines, ["one"]);
        ring.push("two".to_owned());
        let second = ring.tail(Some(first.cursor), 10, 1000);
        assert_eq!(second.lines, ["two"]);
        assert!(!second.reset);
        assert!(ring.tail(Some(second.cursor), 10, 1000).lines.is_empty());
    }

    #[test]
    fn a_cursor_beyond_the_end_resets_to_the_tail() {
        let ring = LogRing::default();
        ring.push("one".to_owned());
        let page = ring.tail(Some(999), 10, 1000);
        assert!(page.reset);
        assert_eq!(page.lines, ["one"]);
    }

    #[test]
    fn old_lines_are_dropped_when_full() {
        let ring = LogRing::default();
        for _ in 0..3 {
            ring.push("x".repeat(600_000));
        }
        let page = ring.tail(Some(0), 10, usize::MAX);
        assert!(page.reset);
        assert_eq!(page.lines.len(), 1);
    }
}
