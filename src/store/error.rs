//! From failures of SQLite and the file system to [`StoreError`].

use std::io;
use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use super::StoreError;

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
