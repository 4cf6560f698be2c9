//! Readers: a few read-only connections, used on the runtime's blocking threads.
//!
//! They never wait for the writer. Connections are opened when first needed and kept. How many work at once and how many
//! may wait is bounded; the rest gets `Overloaded`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::deadline::within;
use super::{StoreError, connection};

/// Readers at once, unless told otherwise: the machine this is made for has two cores.
const DEFAULT_READERS: usize = 2;
/// Reads that may be under way or waiting. A read takes well under a millisecond.
const QUEUE: usize = 1_024;
/// How long a read may wait for its turn.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// How long a read may take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// The pool.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    room: Semaphore,
    turns: Arc<Semaphore>,
    count: usize,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// A pool of `count` readers (0: the default) that opens nothing yet.
    pub(super) fn new(path: &Path, count: usize) -> Self {
        let count = if count == 0 { DEFAULT_READERS } else { count };
        Self {
            path: path.to_owned(),
            room: Semaphore::new(QUEUE),
            turns: Arc::new(Semaphore::new(count)),
            count,
            idle: Arc::default(),
        }
    }

    /// Runs `work` on a consistent picture of the database.
    pub(super) async fn read<T, F>(&self, mut work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        if self.turns.is_closed() {
            return Err(StoreError::Closed);
        }
        let _place = self.room.try_acquire().map_err(|_| StoreError::Overloaded)?;
        let turn = timeout(TURN_WAIT, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_| StoreError::Overloaded)?
            .map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let conn = match kept {
                Some(conn) => conn,
                None => connection::reader(&path)?,
            };
            let result = in_transaction(&conn, &mut work);
            // After a failure the next read starts with a fresh connection.
            if result.is_ok() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            }
            // Only now: a turn that is free means a connection that is free or may be opened.
            drop(turn);
            result
        });
        match within(ANSWER_WAIT, reading).await {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(StoreError::Failed("a storage read panicked".to_owned())),
            None => Err(StoreError::Failed(format!(
                "the disk did not answer within {} s",
                ANSWER_WAIT.as_secs()
            ))),
        }
    }

    /// Waits a moment for reads under way and closes all connections.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        // Reads that hang keep their connection; the file stays sound either way.
        let finished = timeout(TURN_WAIT, self.turns.acquire_many(all)).await.is_ok();
        tracing::debug!(target: "store", finished, "readers closed");
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn in_transaction<T>(
    conn: &Connection,
    work: &mut impl FnMut(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = conn.unchecked_transaction()?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
