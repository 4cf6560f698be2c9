//! The proof that state can be written: a small new file beside the database, and a committed row in it.
//!
//! The file notices a volume that is full or read-only even while the database still has room in its own files; the row
//! notices a database that fails although the volume is fine. At most one real proof per second; callers in between
//! get its outcome.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::connection::beside;
use super::deadline::within;
use super::error::from_io;
use super::{Store, StoreError};

/// Shortest time between two proofs.
const INTERVAL: Duration = Duration::from_secs(1);
/// A disk that needs longer is not writable for our purposes.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes written: what a turn needs, roughly.
const SIZE: usize = 32 * 1024;

/// The last outcome and where the file goes.
#[derive(Debug)]
pub(super) struct Probe {
    file: PathBuf,
    pub(super) last: Mutex<Option<(Instant, Result<(), StoreError>)>>,
    /// One try at a time, also when the disk hangs: blocking threads must not pile up behind it.
    turn: Arc<Semaphore>,
}

impl Probe {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            file: beside(database, "-probe"),
            last: Mutex::new(None),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) async fn check(&self, store: &Store) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < INTERVAL
        {
            return outcome.clone();
        }
        let outcome = within(DEADLINE, self.prove(store)).await.unwrap_or_else(|| {
            Err(StoreError::Failed(format!(
                "the disk did not answer within {} s",
                DEADLINE.as_secs()
            )))
        });
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn prove(&self, store: &Store) -> Result<(), StoreError> {
        let turn = Arc::clone(&self.turn)
            .try_acquire_owned()
            .map_err(|_| StoreError::Failed("an earlier write still waits for the disk".to_owned()))?;
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || {
            let written = write_file(&file);
            drop(turn);
            written
        })
        .await
        .map_err(|_| StoreError::Failed("the write test panicked".to_owned()))??;
        store.write(write_row).await
    }
}

fn write_file(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file: File| {
        file.write_all(&[0x55; SIZE])?;
        file.sync_data()
    });
    // Removed in any case: on a full volume even a part of it is in the way.
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    written.and(removed).map_err(|error| from_io("write", path, &error))
}

fn write_row(conn: &Connection) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO probe (id, count) VALUES (1, 1) ON CONFLICT DO UPDATE SET count = count + 1")?
        .execute([])?;
    Ok(())
}
