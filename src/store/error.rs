//! Why the store could not do it, and how failures of SQLite and the file system say so.

use std::io;
use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

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

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match &error {
            Error::SqliteFailure(failure, _) => classify(*failure, text),
            Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..) => Self::Corrupt(text),
            _ => Self::Failed(text),
        }
    }
}

fn classify(failure: ffi::Error, text: String) -> StoreError {
    // The shared-memory file of the log could not grow: SQLite calls that an input/output error.
    if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
        return StoreError::Full(text);
    }
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full(text),
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => StoreError::ReadOnly(text),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            StoreError::Failed(format!("{text}: another process holds the file; stop it"))
        }
        _ => StoreError::Failed(text),
    }
}

/// A failure of the file system while doing `action` to `path`.
pub(super) fn from_io(action: &str, path: &Path, error: &io::Error) -> StoreError {
    let text = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(text),
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory => StoreError::ReadOnly(text),
        _ => StoreError::Failed(text),
    }
}

/// Whether the failure says that this file system cannot share memory between connections, which the log needs.
pub(super) fn lacks_shared_memory(error: &Error) -> bool {
    matches!(
        extended_code(error),
        Some(ffi::SQLITE_IOERR_SHMMAP | ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMLOCK | ffi::SQLITE_PROTOCOL)
    )
}

/// Whether the failure says that this file system cannot lock files. A file that somebody else holds is not meant.
pub(super) fn lacks_locks(error: &Error) -> bool {
    matches!(
        extended_code(error),
        Some(
            ffi::SQLITE_IOERR_LOCK
                | ffi::SQLITE_IOERR_RDLOCK
                | ffi::SQLITE_IOERR_UNLOCK
                | ffi::SQLITE_IOERR_CHECKRESERVEDLOCK
        )
    )
}

fn extended_code(error: &Error) -> Option<std::ffi::c_int> {
    error.sqlite_error().map(|failure| failure.extended_code)
}
