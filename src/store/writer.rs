//! The writer: one thread that owns the writing connection and commits in groups.
//!
//! It takes whatever is queued, runs all of it in one transaction (a savepoint each, so that one failing command does
//! not take the others with it), commits once and only then answers. There is no artificial delay: while one group
//! waits for the disk, the next one gathers. The queue is bounded; when it stays full, callers get `Overloaded`.
//!
//! A command that was queued is carried out even if its caller has gone away, so nothing is torn in half.

pub(super) mod thread;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Semaphore, TryAcquireError, oneshot};
use tokio::time::timeout;

use super::connection::{self, Journal, Location};
use super::deadline::within;
use super::{StoreError, StoreStats};

/// Commands that may wait: four groups, well under a second on any disk that deserves the name.
pub(super) const QUEUE: usize = 1_024;
/// How long a caller waits for room in the queue.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// How long a caller waits for its answer. The write may still complete afterwards.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A queued write. It may run more than once: a transaction that was lost is repeated.
trait Command: Send {
    /// Does the work and keeps the result; panics become errors.
    fn run(&mut self, conn: &Connection) -> Result<(), StoreError>;
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Job<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Command for Job<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, conn: &Connection) -> Result<(), StoreError> {
        self.value = None;
        let value = catch_unwind(AssertUnwindSafe(|| (self.work)(conn)))
            .unwrap_or_else(|_| Err(StoreError::Failed("a storage command panicked".to_owned())))?;
        self.value = Some(value);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let lost = || StoreError::Failed("a storage command left no result".to_owned());
        let answer = outcome.and_then(|()| value.ok_or_else(lost));
        // The caller may have gone away; the write stands.
        drop(reply.send(answer));
    }
}

enum Message {
    Command(Box<dyn Command>),
    Close(oneshot::Sender<()>),
}

/// What the thread and its callers share.
#[derive(Debug)]
struct Shared {
    /// Free places in the queue. Callers take one, the thread gives it back; closed when the store is.
    room: Semaphore,
    commits: AtomicU64,
    commands: AtomicU64,
    db_bytes: AtomicU64,
}

/// Handle to the writer thread. When the last one is dropped, the thread commits what is queued and ends.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
    location: Location,
}

impl Writer {
    /// Opens the database and starts the thread.
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let (conn, location) = connection::open(path)?;
        Self::with(conn, location)
    }

    /// Starts the thread on a connection.
    pub(super) fn with(conn: Connection, location: Location) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            room: Semaphore::new(QUEUE),
            commits: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            db_bytes: AtomicU64::new(0),
        });
        // One place more than there is room for commands: closing never has to wait.
        let (queue, inbox) = sync_channel(QUEUE + 1);
        let worker = thread::Thread::new(conn, location.clone(), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || worker.work(&inbox))
            .map_err(|error| StoreError::Failed(format!("cannot start the storage thread: {error}")))?;
        Ok(Self {
            shared,
            queue,
            location,
        })
    }

    /// The database file.
    pub(super) fn path(&self) -> &Path {
        &self.location.path
    }

    /// Whether other connections may read beside the writer.
    pub(super) fn allows_readers(&self) -> bool {
        self.location.journal == Journal::Wal
    }

    /// Queues `work` and waits until it is committed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = match self.shared.room.try_acquire() {
            Ok(place) => place,
            Err(TryAcquireError::Closed) => return Err(StoreError::Closed),
            Err(TryAcquireError::NoPermits) => timeout(ROOM_WAIT, self.shared.room.acquire())
                .await
                .map_err(|_| StoreError::Overloaded)?
                .map_err(|_| StoreError::Closed)?,
        };
        // The thread gives the place back when it takes the command out.
        place.forget();
        let (reply, answer) = oneshot::channel();
        let command = Message::Command(Box::new(Job {
            work,
            value: None,
            reply,
        }));
        if self.queue.try_send(command).is_err() {
            self.shared.room.add_permits(1);
            return Err(StoreError::Closed);
        }
        match within(ANSWER_WAIT, answer).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => Err(StoreError::Closed),
            None => Err(StoreError::Failed(format!(
                "the disk did not answer within {} s; the write may still complete",
                ANSWER_WAIT.as_secs()
            ))),
        }
    }

    /// Counters of the thread.
    pub(super) fn stats(&self) -> StoreStats {
        let depth = QUEUE.saturating_sub(self.shared.room.available_permits());
        StoreStats {
            commits: self.shared.commits.load(Ordering::Relaxed),
            commands: self.shared.commands.load(Ordering::Relaxed),
            queue_depth: u64::try_from(depth).unwrap_or(u64::MAX),
            db_bytes: self.shared.db_bytes.load(Ordering::Relaxed),
        }
    }

    /// Refuses new commands, commits what is queued, empties the log and closes the connection.
    pub(super) async fn close(&self) {
        self.shared.room.close();
        let (reply, closed) = oneshot::channel();
        if self.queue.try_send(Message::Close(reply)).is_ok() && within(ANSWER_WAIT, closed).await.is_none() {
            tracing::error!(target: "store", "the disk does not answer; leaving the state database to recovery");
        }
    }
}
