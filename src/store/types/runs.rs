//! Runs: accepted, begun, ended, found again after a crash.

use serde_json::{Map, Value};

use super::{AppendedMessage, NewMessage};

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
    /// Settings of the session row (see [`SessionRow::settings`](super::SessionRow::settings)).
    pub settings: Map<String, Value>,
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
