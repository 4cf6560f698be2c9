//! Rows and commands of the store: those of its subjects below, and here what concerns all of it.

mod responses;
mod runs;
mod sessions;

pub use responses::{ResponseChain, ResponseRetention, StoredResponse};
pub use runs::{AcceptOutcome, BeganRun, BeginRun, FinishRun, FinishedRun, NewRun, Recovery, RunState, StoredRun};
pub use sessions::{
    AppendMessage, AppendedMessage, NewMessage, PatchSession, SessionPage, SessionQuery, SessionRow, StoredMessage,
};

/// How to open the database.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// Readers that may work at once; 0 means 2.
    pub readers: usize,
}

/// Retention limits; `None` means no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retention {
    /// Most session rows.
    pub max_entries: Option<u64>,
    /// Longest time without activity, ms. For archives: since the reset or delete.
    pub max_age_ms: Option<i64>,
    /// Most bytes of data; oldest archives go first, then the least active sessions.
    pub max_bytes: Option<u64>,
}

/// What retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Session rows.
    pub sessions: u64,
    /// Messages.
    pub messages: u64,
}

/// Counters of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Transactions since the start.
    pub commits: u64,
    /// Commands since the start; more per commit means that writers shared a disk sync.
    pub commands: u64,
    /// Commands that wait now.
    pub queue_depth: u64,
    /// Size of database and log on disk, as of the last commit.
    pub db_bytes: u64,
}
