//! Durable state: one SQLite database, one writer thread with group commit, a pool of readers.
//!
//! The only place that knows SQL. A write resolves when it is on disk; reads never wait for the writer (except where the
//! file system allows one connection only, see `store/connection.rs`). What was accepted is never lost, and nothing is
//! appended twice: repeated calls find what is there. Must not know protocols, agents or configuration.

mod connection;
mod counter;
mod deadline;
mod documents;
mod error;
mod messages;
mod migrations;
mod probe;
mod readers;
mod responses;
mod retention;
mod runs;
mod sessions;
pub mod types;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

pub use error::StoreError;
pub use types::*;

use probe::Probe;
use readers::Readers;
use writer::Writer;

/// Handle to the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // Dropped first: the last connection to close tidies up the log, and that should be the writer's.
    readers: Readers,
    writer: Writer,
    probe: Probe,
}

impl Store {
    /// Opens or creates the database at `path`, migrates it and starts the writer thread. Blocks for some disk syncs.
    ///
    /// A missing directory is made with mode 0700, a new file with 0600. Another process must be kept away by the
    /// caller; if one opens the file all the same, nothing is damaged.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self::around(Writer::start(path)?, options))
    }

    fn around(writer: Writer, options: StoreOptions) -> Self {
        let path = writer.path();
        Self(Arc::new(Inner {
            readers: Readers::new(path, options.readers),
            probe: Probe::new(path),
            writer,
        }))
    }

    /// Runs `work` in the writer's next transaction. It may be called again if that transaction is lost.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.writer.write(work).await
    }

    /// Runs `work` on a consistent picture of what is committed.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        if self.0.writer.allows_readers() {
            self.0.readers.read(work).await
        } else {
            self.0.writer.write(work).await
        }
    }

    /// Brings the state of a crashed process in order: running runs become `interrupted`, their sessions stop being
    /// `running`. Returns what was interrupted and what was accepted but never started, oldest first.
    pub async fn recover(&self, now_ms: i64) -> Result<Recovery, StoreError> {
        self.write(move |conn| runs::recover(conn, now_ms)).await
    }

    /// Stores a new run in state `accepted`, unless its id is known. With `begin`, the run starts in the same
    /// transaction (see `begin_run`).
    pub async fn accept_run(&self, run: NewRun, begin: Option<BeginRun>) -> Result<AcceptOutcome, StoreError> {
        self.write(move |conn| runs::accept(conn, &run, begin.as_ref())).await
    }

    /// Marks a run `running`, creates the session row if missing and appends the messages that start the turn.
    ///
    /// A run that is running already answers without appending again; one that is unknown or over is an error.
    pub async fn begin_run(&self, begin: BeginRun) -> Result<BeganRun, StoreError> {
        self.write(move |conn| runs::begin(conn, &begin)).await
    }

    /// Ends a run: appends the answer, adds usage to the session row, stores the result for replays.
    ///
    /// A run that is over already stays as it is, and nothing is appended. After a reset the answer goes to the
    /// transcript in which the run began; after a delete of the messages it is dropped.
    pub async fn finish_run(&self, finish: FinishRun) -> Result<FinishedRun, StoreError> {
        self.write(move |conn| runs::finish(conn, &finish)).await
    }

    /// A stored run.
    pub async fn run(&self, run_id: &str) -> Result<Option<StoredRun>, StoreError> {
        let run_id = run_id.to_owned();
        self.read(move |conn| runs::get(conn, &run_id)).await
    }

    /// Forgets ended runs (idempotency keys) that ended before `before_ms`; returns how many.
    pub async fn prune_runs(&self, before_ms: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let (some, more) = self.write(move |conn| runs::prune(conn, before_ms)).await?;
            removed += some;
            if !more {
                return Ok(removed);
            }
        }
    }

    /// Appends a message outside a run (`chat.inject`); creates the session if missing.
    pub async fn append_message(&self, append: AppendMessage) -> Result<AppendedMessage, StoreError> {
        self.write(move |conn| sessions::append(conn, &append)).await
    }

    /// Up to `limit` newest messages of the session's present incarnation, oldest first; `before_seq` pages back.
    pub async fn messages(
        &self,
        session_key: &str,
        before_seq: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let key = session_key.to_owned();
        self.read(move |conn| messages::page(conn, &key, before_seq, limit))
            .await
    }

    /// One session row.
    pub async fn session(&self, key: &str) -> Result<Option<SessionRow>, StoreError> {
        let key = key.to_owned();
        self.read(move |conn| sessions::get(conn, &key)).await
    }

    /// Session rows, newest activity first, with the count of all matches.
    pub async fn sessions(&self, query: SessionQuery) -> Result<SessionPage, StoreError> {
        self.read(move |conn| sessions::list(conn, &query)).await
    }

    /// Merges `patch` into the row's settings (`null` deletes a key), creating the session if missing.
    pub async fn patch_session(&self, patch: PatchSession) -> Result<SessionRow, StoreError> {
        self.write(move |conn| sessions::patch(conn, &patch)).await
    }

    /// Gives the key a new, empty incarnation; old messages stay as archive until retention removes them.
    pub async fn reset_session(&self, key: &str, agent_id: &str, now_ms: i64) -> Result<SessionRow, StoreError> {
        let (key, agent_id) = (key.to_owned(), agent_id.to_owned());
        self.write(move |conn| sessions::reset(conn, &key, &agent_id, now_ms))
            .await
    }

    /// Removes a session row; with `delete_messages` its messages too, archives included. `false`: it did not exist.
    pub async fn delete_session(&self, key: &str, delete_messages: bool) -> Result<bool, StoreError> {
        let key = key.to_owned();
        let existed = self
            .write(move |conn| sessions::delete(conn, &key, delete_messages))
            .await?;
        if existed && delete_messages {
            retention::purge(self, retention::DOOMED).await?;
        }
        Ok(existed)
    }

    /// Enforces retention: at most `max_entries` rows, none idle for longer than `max_age_ms`, at most `max_bytes` of
    /// data; then gives free space back to the file system. Sessions with accepted or running runs stay.
    ///
    /// Works in many short transactions; other writes go on in between.
    pub async fn enforce_retention(&self, limits: Retention, now_ms: i64) -> Result<RetentionReport, StoreError> {
        retention::enforce(self, limits, now_ms).await
    }

    /// A small document by key, for state that needs no table of its own (devices, seeds, offsets).
    pub async fn document(&self, collection: &str, key: &str) -> Result<Option<serde_json::Value>, StoreError> {
        let (collection, key) = (collection.to_owned(), key.to_owned());
        self.read(move |conn| documents::get(conn, &collection, &key)).await
    }

    /// All documents of a collection, by key.
    pub async fn documents(&self, collection: &str) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        let collection = collection.to_owned();
        self.read(move |conn| documents::all(conn, &collection)).await
    }

    /// Writes (`Some`) or removes (`None`) documents in one transaction.
    pub async fn put_documents(
        &self,
        collection: &str,
        changes: Vec<(String, Option<serde_json::Value>)>,
    ) -> Result<(), StoreError> {
        let collection = collection.to_owned();
        self.write(move |conn| documents::put(conn, &collection, &changes))
            .await
    }

    /// Stores a response, or the new state of one that is stored; joins it to the thread of the one it continues.
    pub async fn put_response(&self, response: StoredResponse, now_ms: i64) -> Result<(), StoreError> {
        self.write(move |conn| responses::put(conn, &response, now_ms)).await
    }

    /// A response of this owner.
    pub async fn response(&self, owner: &str, id: &str) -> Result<Option<StoredResponse>, StoreError> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        self.read(move |conn| responses::get(conn, &owner, &id)).await
    }

    /// A response of this owner and all that it continues, oldest first.
    pub async fn response_chain(&self, owner: &str, id: &str) -> Result<ResponseChain, StoreError> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        self.read(move |conn| responses::chain(conn, &owner, &id)).await
    }

    /// Removes a response of this owner. `false`: there was none.
    pub async fn delete_response(&self, owner: &str, id: &str) -> Result<bool, StoreError> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        self.write(move |conn| responses::delete(conn, &owner, &id)).await
    }

    /// Forgets threads of responses beyond `limits`, those first that were continued least recently; returns how many
    /// responses went. Works in many short transactions.
    pub async fn prune_responses(&self, limits: ResponseRetention, now_ms: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let step = self.write(move |conn| responses::prune(conn, limits, now_ms)).await?;
            match step {
                Some(some) => removed += some,
                None => return Ok(removed),
            }
        }
    }

    /// Proves that a write reaches the disk now; the probe of readiness. Answers within 5 s; at most one real proof per
    /// second, callers in between get its outcome.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        self.0.probe.check(self).await
    }

    /// Counters for metrics; costs nothing.
    pub fn stats(&self) -> StoreStats {
        self.0.writer.stats()
    }

    /// Commits what is queued, checkpoints, closes. Later calls fail with `Closed`.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }
}
