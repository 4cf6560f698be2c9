//! Sessions and their messages.

use serde_json::{Map, Value};

/// A message to append. `body` is upstream's transcript message object as JSON text
/// (`{"role":"user","content":[{"type":"text","text":"hi"}],"timestamp":...}`).
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// `user`, `assistant` or `toolResult`.
    pub role: &'static str,
    /// JSON text.
    pub body: String,
}

/// An appended message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendedMessage {
    /// Unique id (8 hex digits or more).
    pub id: String,
    /// Position in the session, from 1, without gaps.
    pub seq: u64,
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
