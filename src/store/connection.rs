//! Opening the file: who may read it, how it is journalled, how every connection is set up.
//!
//! Normally the file has a write-ahead log: one connection writes, others read beside it. Where the file system cannot
//! share memory (or cannot lock at all) there is a rollback journal and only one connection; it then serves reads too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{from_io, lacks_locks, lacks_shared_memory};
use super::{StoreError, migrations};

/// How long a connection waits for another process (a backup, a shell) that holds the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache per connection, in KiB (negative as SQLite wants it). A turn touches a dozen pages.
const CACHE_KIB: i32 = -2_000;
/// The log is copied back after this many pages (4 MiB).
const CHECKPOINT_PAGES: i32 = 1_000;
/// What stays of the log file when it starts over.
const JOURNAL_LIMIT: i32 = 4 * 1024 * 1024;
/// Prepared statements kept per connection; more than there are.
const STATEMENTS: usize = 64;
/// A file system driver of SQLite that takes no locks.
const LOCKLESS: &str = "unix-none";

/// How changes get into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journal {
    /// Write-ahead log with readers beside the writer.
    Wal,
    /// Rollback journal and one connection, through this file system driver of SQLite.
    Alone(Option<&'static str>),
}

/// Where the database is and how to connect to it.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// The database file.
    pub path: PathBuf,
    /// How it is journalled on this file system.
    pub journal: Journal,
}

impl Location {
    /// The log beside the database.
    pub(super) fn log(&self) -> PathBuf {
        beside(&self.path, "-wal")
    }
}

/// The database's path with `suffix` appended to the file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens or creates the database, finds out how it can be journalled here and migrates it.
pub(super) fn open(path: &Path) -> Result<(Connection, Location), StoreError> {
    create_private(path)?;
    let ways = [Journal::Wal, Journal::Alone(None), Journal::Alone(Some(LOCKLESS))];
    let mut last = None;
    for journal in ways {
        let location = Location {
            path: path.to_owned(),
            journal,
        };
        match writer(&location) {
            Ok(mut conn) => {
                migrations::apply(&mut conn, migrations::SCRIPTS)?;
                if journal != Journal::Wal {
                    tracing::warn!(
                        target: "store",
                        path = %path.display(),
                        locks = journal == Journal::Alone(None),
                        "the file system of the state directory cannot hold a write-ahead log; using a rollback journal"
                    );
                }
                return Ok((conn, location));
            }
            Err(Refusal::Unsuited(error)) => last = Some(error),
            Err(Refusal::Failed(error)) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| StoreError::Failed("no way to open the state database".to_owned())))
}

/// Why a connection could not be made.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The file system lacks what this way needs; another may do.
    Unsuited(StoreError),
    /// It fails whatever the way.
    Failed(StoreError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        if lacks_shared_memory(&error) || lacks_locks(&error) {
            Self::Unsuited(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unsuited(error) | Refusal::Failed(error) => error,
        }
    }
}

/// The writer's connection.
pub(super) fn writer(location: &Location) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let vfs = match location.journal {
        Journal::Wal => None,
        Journal::Alone(vfs) => vfs,
    };
    let conn = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&location.path, flags, vfs)?,
        None => Connection::open_with_flags(&location.path, flags)?,
    };
    conn.busy_timeout(BUSY_TIMEOUT)?;
    let wanted = match location.journal {
        Journal::Wal => "wal",
        Journal::Alone(_) => {
            // Before the first access, so that a log left behind is read without shared memory.
            conn.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
            "truncate"
        }
    };
    // Only counts while the file is still empty, and the journal mode already writes to it.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let granted: String = conn.pragma_update_and_check(None, "journal_mode", wanted, |row| row.get(0))?;
    if granted != wanted {
        return Err(Refusal::Unsuited(StoreError::Failed(format!(
            "the file system of {} allows journal mode {granted}, not {wanted}",
            location.path.display()
        ))));
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", JOURNAL_LIMIT, |_| Ok(()))?;
    common(&conn)?;
    // A transaction finds out whether locks and shared memory really work.
    conn.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    Ok(conn)
}

/// A connection that only reads; for a database with a write-ahead log.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    common(&conn)?;
    Ok(conn)
}

fn common(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.pragma_update(None, "cache_size", CACHE_KIB)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // Statement journals stay in memory: a full disk must not get in the way of rolling back.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Creates directory and file for the owner only. What exists keeps its mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder
        .create(dir)
        .map_err(|error| from_io("create the state directory", dir, &error))?;
    match options.open(path) {
        // SQLite makes the contents durable, not the directory entry.
        Ok(_) => File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| from_io("sync the state directory", dir, &error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(from_io("create", path, &error)),
    }
}
