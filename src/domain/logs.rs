//! The port to the gateway's own log, for `logs.tail`.

use super::Fault;
use super::run::PortFuture;

/// Which part of the log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailQuery {
    /// Byte offset where the last page ended; `None`: the newest lines.
    pub cursor: Option<u64>,
    /// At most this many lines; the newest are kept.
    pub limit: usize,
    /// At most this many bytes of log are read.
    pub max_bytes: u64,
}

/// A page of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The file, or what stands for it.
    pub file: String,
    /// Offset after the last line of the page.
    pub cursor: u64,
    /// Size of the log in bytes.
    pub size: u64,
    /// Whole lines, oldest first, without line ends.
    pub lines: Vec<String>,
    /// Whether lines were left out at the front.
    pub truncated: bool,
    /// Whether the cursor lay behind the end (the log was rotated) and the newest lines were given instead.
    pub reset: bool,
}

/// Reads the log.
pub trait LogTail: Send + Sync {
    /// One page. A missing log is an empty page, not an error.
    fn tail(&self, query: TailQuery) -> PortFuture<'_, Result<LogPage, Fault>>;
}
