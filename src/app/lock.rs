//! One gateway per state directory: an advisory file lock that the kernel releases with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for a gateway that is just leaving.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held as long as the gateway runs.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("gateway already running (pid {pid}); lock timeout after {}ms", PATIENCE.as_millis())]
    Held {
        /// Its process id as it wrote it, or `unknown`.
        pid: String,
    },
    /// The lock file cannot be used.
    #[error(
        "state directory cannot be locked ({path}): {reason}; it must be writable, or OPENCLAW_STATE_DIR must name one that is"
    )]
    Unusable {
        /// The lock file.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl StateLock {
    /// Takes the lock of `state_dir`, waiting a few seconds for a predecessor to leave.
    ///
    /// # Errors
    /// `Held` names the process that runs; `Unusable` the file and the reason.
    pub fn acquire(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join("gateway.lock");
        let unusable = |error: std::io::Error| LockError::Unusable {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(unusable)?;
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begin.elapsed() >= PATIENCE => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap_or_default();
                    let pid = text.trim();
                    let pid = if pid.is_empty() { "unknown" } else { pid };
                    return Err(LockError::Held { pid: pid.to_owned() });
                }
                // Runs before the async runtime exists, so a blocking pause is right.
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(100)),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        // The pid only serves the message above; a full disk must not keep the gateway from starting.
        let write = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        write.unwrap_or_default();
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_free_again_when_its_holder_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::acquire(dir.path()).unwrap();
        drop(first);
        StateLock::acquire(dir.path()).unwrap();
    }
}
