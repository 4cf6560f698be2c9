//! `logs.tail` from the in-memory log.

use crate::domain::Fault;
use crate::domain::logs::{LogPage, LogTail, TailQuery};
use crate::domain::run::PortFuture;
use crate::telemetry::ring::LogRing;

/// The log of this process; nothing else is mixed in.
pub(super) struct RingTail {
    pub(super) ring: LogRing,
}

impl LogTail for RingTail {
    fn tail(&self, query: TailQuery) -> PortFuture<'_, Result<LogPage, Fault>> {
        let max_bytes = usize::try_from(query.max_bytes).unwrap_or(usize::MAX);
        let page = self.ring.tail(query.cursor, query.limit, max_bytes);
        Box::pin(std::future::ready(Ok(LogPage {
            file: "memory".to_owned(),
            cursor: page.cursor,
            size: page.size,
            lines: page.lines,
            truncated: page.truncated,
            reset: page.reset,
        })))
    }
}
