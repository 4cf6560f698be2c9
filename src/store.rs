//! Durable state: one SQLite database, one writer thread with group commit, a pool of readers.
//!
//! The only place that knows SQL. A write resolves when it is on disk; reads never wait for the writer.

pub mod types;

use std::path::Path;

pub use types::*;

/// Handle to the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

#[expect(clippy::unimplemented, clippy::unused_async, reason = "contract")]
impl Store {
    /// Opens or creates the database at `path`, migrates it and starts the writer thread.
    pub fn open(_path: &Path, _options: StoreOptions) -> Result<Self, StoreError> {
        unimplemented!()
    }

    /// Brings the state of a crashed process in order: running runs become `interrupted`, their sessions stop being
    /// `running`. Returns what was interrupted and what was accepted but never started, oldest first.
    pub async fn recover(&self, _now_ms: i64) -> Result<Recovery, StoreError> {
        unimplemented!()
    }

    /// Stores a new run in state `accepted`, unless its id is known. With `begin`, the run starts in the same
    /// transaction (see `begin_run`).
    pub async fn accept_run(&self, _run: NewRun, _begin: Option<BeginRun>) -> Result<AcceptOutcome, StoreError> {
        unimplemented!()
    }

    /// Marks a run `running`, creates the session row if missing and appends the messages that start the turn.
    pub async fn begin_run(&self, _begin: BeginRun) -> Result<BeganRun, StoreError> {
        unimplemented!()
    }

    /// Ends a run: appends the answer, adds usage to the session row, stores the result for replays.
    pub async fn finish_run(&self, _finish: FinishRun) -> Result<FinishedRun, StoreError> {
        unimplemented!()
    }

    /// A stored run.
    pub async fn run(&self, _run_id: &str) -> Result<Option<StoredRun>, StoreError> {
        unimplemented!()
    }

    /// Forgets ended runs (idempotency keys) that are older than `before_ms`; returns how many.
    pub async fn prune_runs(&self, _before_ms: i64) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// Appends a message outside a run (`chat.inject`); creates the session if missing.
    pub async fn append_message(&self, _append: AppendMessage) -> Result<AppendedMessage, StoreError> {
        unimplemented!()
    }

    /// Up to `limit` newest messages of the session's present incarnation, oldest first; `before_seq` pages back.
    pub async fn messages(
        &self,
        _session_key: &str,
        _before_seq: Option<u64>,
        _limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        unimplemented!()
    }

    /// One session row.
    pub async fn session(&self, _key: &str) -> Result<Option<SessionRow>, StoreError> {
        unimplemented!()
    }

    /// Session rows, newest activity first, with the count of all matches.
    pub async fn sessions(&self, _query: SessionQuery) -> Result<SessionPage, StoreError> {
        unimplemented!()
    }

    /// Merges `patch` into the row's settings (`null` deletes a key), creating the session if missing.
    pub async fn patch_session(&self, _patch: PatchSession) -> Result<SessionRow, StoreError> {
        unimplemented!()
    }

    /// Gives the key a new, empty incarnation; old messages stay as archive until retention removes them.
    pub async fn reset_session(&self, _key: &str, _agent_id: &str, _now_ms: i64) -> Result<SessionRow, StoreError> {
        unimplemented!()
    }

    /// Removes a session row; with `delete_messages` its messages too. `false`: it did not exist.
    pub async fn delete_session(&self, _key: &str, _delete_messages: bool) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Enforces retention: at most `max_entries` rows, none older than `max_age_ms`, at most `max_bytes` of data.
    pub async fn enforce_retention(&self, _limits: Retention, _now_ms: i64) -> Result<RetentionReport, StoreError> {
        unimplemented!()
    }

    /// A small document by key, for state that needs no table of its own (devices, seeds, offsets).
    pub async fn document(&self, _collection: &str, _key: &str) -> Result<Option<serde_json::Value>, StoreError> {
        unimplemented!()
    }

    /// All documents of a collection, by key.
    pub async fn documents(&self, _collection: &str) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        unimplemented!()
    }

    /// Writes (`Some`) or removes (`None`) documents in one transaction.
    pub async fn put_documents(
        &self,
        _collection: &str,
        _changes: Vec<(String, Option<serde_json::Value>)>,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Proves that a write reaches the disk now; the probe of readiness.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Commits what is queued, checkpoints, closes. Later calls fail with `Closed`.
    pub async fn close(&self) {}
}
