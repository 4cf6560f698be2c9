//! Rows and commands of the store.

use serde_json::{Map, Value};

/// How to open the database.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// Readers that may work at once; 0 means 2.
    pub readers: usize,
}

/// Why the store could not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No space left on the device.
    #[error("state storage is full: {0}")]
    Full(String),
    /// The directory or file cannot be written.
    #[error("state storage is not writable: {0}")]
    ReadOnly(String),
    /// The database was written by a newer version.
    #[error(
        "state database has schema {found}, this version knows {known}: start the newer version, or restore a backup"
    )]
    Newer {
        /// Schema in the file.
        found: u32,
        /// Newest schema this version knows.
        known: u32,
    },
    /// The file is damaged.
    #[error("state database is damaged: {0}")]
    Corrupt(String),
    /// Any other failure.
    #[error("state database failed: {0}")]
    Failed(String),
    /// The write queue is full: storage is slower than the load.
    #[error("state storage is overloaded; retry shortly")]
    Overloaded,
    /// The store was closed.
    #[error("state storage is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same command may succeed when space returns or the load drops.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Full(_) | Self::ReadOnly(_) | Self::Overloaded)
    }
}

/// State of a run. Text form in `as_str`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// On disk, waiting for its turn.
    Accepted,
    /// At work.
    Running,
    /// Answered.
    Ok,
    /// The provider failed.
    Error,
    /// Stopped.
    Aborted,
    /// Deadline passed.
    TimedOut,
    /// The process died while it ran.
    Interrupted,
}

impl RunState {
    /// The stored and reported text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Aborted => "aborted",
            Self::TimedOut => "timeout",
            Self::Interrupted => "interrupted",
        }
    }

    /// Inverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Accepted,
            Self::Running,
            Self::Ok,
            Self::Error,
            Self::Aborted,
            Self::TimedOut,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }

    /// Whether the run is over.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Accepted | Self::Running)
    }
}

/// A run to accept.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id; also its idempotency key.
    pub run_id: String,
    /// Canonical session key.
    pub session_key: String,
    /// Its agent.
    pub agent_id: String,
    /// `chat`, `agent` or `openai`.
    pub source: &'static str,
    /// Whether the configured send policy lets the message through; the session's own `sendPolicy` setting wins over it.
    /// `None`: no policy applies. Judged with the write, so that messages of one caller keep their order.
    pub send_allowed: Option<bool>,
    /// What is needed to run it after a restart, JSON. The user's message is in here until the run begins.
    pub request: String,
    /// Wall clock, ms.
    pub now_ms: i64,
}

/// What `accept_run` found.
#[derive(Debug, Clone)]
pub enum AcceptOutcome {
    /// Stored.
    New {
        /// Present if `begin` was given.
        began: Option<BeganRun>,
    },
    /// The id is known; nothing was written.
    Known(Box<StoredRun>),
    /// The send policy refuses it; nothing was written.
    Denied,
}

/// A message to append. `body` is upstream's transcript message object as JSON text
/// (`{"role":"user","content":[{"type":"text","text":"hi"}],"timestamp":...}`).
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// `user`, `assistant` or `toolResult`.
    pub role: &'static str,
    /// JSON text.
    pub body: String,
}

/// The start of a run's work.
#[derive(Debug, Clone)]
pub struct BeginRun {
    /// The run.
    pub run_id: String,
    /// Canonical session key.
    pub session_key: String,
    /// Its agent.
    pub agent_id: String,
    /// Appended in order.
    pub messages: Vec<NewMessage>,
    /// Wall clock, ms.
    pub now_ms: i64,
}

/// Result of `begin_run`.
#[derive(Debug, Clone)]
pub struct BeganRun {
    /// The session's incarnation.
    pub session_id: String,
    /// Whether the session row is new.
    pub session_created: bool,
    /// Ids and sequence numbers of the appended messages.
    pub messages: Vec<AppendedMessage>,
    /// Settings of the session row (see [`SessionRow::settings`]).
    pub settings: Map<String, Value>,
}

/// An appended message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendedMessage {
    /// Unique id (8 hex digits or more).
    pub id: String,
    /// Position in the session, from 1, without gaps.
    pub seq: u64,
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct FinishRun {
    /// The run.
    pub run_id: String,
    /// Its session.
    pub session_key: String,
    /// A terminal state.
    pub state: RunState,
    /// The answer (also a partial one), if there is any text or tool call to keep.
    pub messages: Vec<NewMessage>,
    /// Added to the session's totals: input, output, cache read, cache write.
    pub usage: [u64; 4],
    /// Prompt tokens of the last model call: how full the context is. Zero: not counted.
    pub prompt_tokens: u64,
    /// Model that answered, `(provider, model)`.
    pub model: Option<(String, String)>,
    /// Error text.
    pub error: Option<String>,
    /// Stop reason of an abort.
    pub stop_reason: Option<String>,
    /// Final payload of the `agent` method, JSON text, for replays.
    pub result: Option<String>,
    /// Wall clock, ms.
    pub now_ms: i64,
}

/// Result of `finish_run`.
#[derive(Debug, Clone, Default)]
pub struct FinishedRun {
    /// The appended messages.
    pub messages: Vec<AppendedMessage>,
}

/// A run as stored.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// Its id.
    pub run_id: String,
    /// Canonical session key.
    pub session_key: String,
    /// Its agent.
    pub agent_id: String,
    /// `chat`, `agent` or `openai`.
    pub source: String,
    /// Its state.
    pub state: RunState,
    /// As given to `accept_run`; emptied when the run ends.
    pub request: String,
    /// When it was accepted, ms.
    pub accepted_at_ms: i64,
    /// When it began, ms.
    pub started_at_ms: Option<i64>,
    /// When it ended, ms.
    pub ended_at_ms: Option<i64>,
    /// Error text.
    pub error: Option<String>,
    /// Stop reason.
    pub stop_reason: Option<String>,
    /// Final payload, JSON text.
    pub result: Option<String>,
}

/// What `recover` found.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// Runs that were at work when the process died; now `interrupted`.
    pub interrupted: Vec<StoredRun>,
    /// Runs that were accepted and never began, oldest first.
    pub pending: Vec<StoredRun>,
}

/// Appends one message outside a run.
#[derive(Debug, Clone)]
pub struct AppendMessage {
    /// Canonical session key.
    pub session_key: String,
    /// Its agent.
    pub agent_id: String,
    /// The message.
    pub message: NewMessage,
    /// Wall clock, ms.
    pub now_ms: i64,
}

/// A message as stored.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Unique id.
    pub id: String,
    /// Position in the session, from 1.
    pub seq: u64,
    /// `user`, `assistant` or `toolResult`.
    pub role: String,
    /// JSON text of the transcript message.
    pub body: String,
    /// The run that wrote it.
    pub run_id: Option<String>,
    /// When, ms.
    pub created_at_ms: i64,
}

/// A session row.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Canonical key.
    pub key: String,
    /// Its agent.
    pub agent_id: String,
    /// Present incarnation.
    pub session_id: String,
    /// When the row was made, ms.
    pub created_at_ms: i64,
    /// When this incarnation began, ms.
    pub session_started_at_ms: i64,
    /// Last activity, ms.
    pub updated_at_ms: i64,
    /// `None` (never ran), `running`, `done`, `failed`, `killed` or `timeout`.
    pub status: Option<String>,
    /// Whether the last run was stopped or died.
    pub aborted_last_run: bool,
    /// When the last run began, ms.
    pub started_at_ms: Option<i64>,
    /// When the last run ended, ms.
    pub ended_at_ms: Option<i64>,
    /// Messages in this incarnation.
    pub message_count: u64,
    /// Totals of this incarnation: input, output, cache read, cache write.
    pub usage: [u64; 4],
    /// Prompt side of the last call.
    pub last_prompt_tokens: u64,
    /// Model that answered last, `(provider, model)`.
    pub model: Option<(String, String)>,
    /// Settings set by `sessions.patch` (label, thinkingLevel, modelOverride, ...).
    pub settings: Map<String, Value>,
}

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    /// Only this agent's.
    pub agent_id: Option<String>,
    /// Only rows active since, ms.
    pub active_since_ms: Option<i64>,
    /// Only rows whose key or label contains this, case-insensitive.
    pub search: Option<String>,
    /// Only rows with this exact label.
    pub label: Option<String>,
    /// Skip this many.
    pub offset: u32,
    /// At most this many; 0 means 100.
    pub limit: u32,
}

/// A page of sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionPage {
    /// The rows.
    pub rows: Vec<SessionRow>,
    /// All matches.
    pub total: u64,
}

/// Settings to merge into a session row.
#[derive(Debug, Clone)]
pub struct PatchSession {
    /// Canonical key.
    pub key: String,
    /// Its agent, used when the row is made.
    pub agent_id: String,
    /// `null` deletes a key.
    pub patch: Map<String, Value>,
    /// Wall clock, ms.
    pub now_ms: i64,
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

/// A stored response of `/v1/responses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// `resp_...`
    pub id: String,
    /// Whose it is; nobody else finds it.
    pub owner: String,
    /// The agent that answered.
    pub agent_id: String,
    /// The response it continues.
    pub previous: Option<String>,
    /// Its own input, a JSON array of items.
    pub input: String,
    /// The response object, JSON.
    pub body: String,
}

/// A response and what it continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseChain {
    /// All of it, oldest first.
    Whole(Vec<StoredResponse>),
    /// This one is not there (any more).
    Missing(String),
    /// There is more of it than one request may load.
    TooLong,
}

/// How many responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseRetention {
    /// Time since a thread was continued, ms.
    pub max_age_ms: i64,
    /// Most bytes of all threads.
    pub max_bytes: u64,
}
