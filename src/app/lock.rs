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
    #[error("gateway already running (pid {holder}); lock timeout after {}ms", PATIENCE.as_millis())]
    Held {
        /// Its process id as it wrote it, or `unknown`; and its host or pod, if that is another one than ours.
        holder: String,
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
                    let holder = holder(&text, &host());
                    return Err(LockError::Held { holder });
                }
                // Runs before the async runtime exists, so a blocking pause is right.
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(100)),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        // What is written only serves the message above; a full disk must not keep the gateway from starting.
        let write = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{} {}", std::process::id(), host()));
        write.unwrap_or_default();
        Ok(Self { _file: file })
    }
}

/// This host; in a container, its pod. Empty where the system does not say.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Who holds the lock, from what it wrote. Process 1 of another pod would not be found without the pod's name.
fn holder(written: &str, host: &str) -> String {
    let (pid, its_host) = written.trim().split_once(' ').unwrap_or((written.trim(), host));
    match pid {
        "" => "unknown".to_owned(),
        pid if its_host == host || its_host.is_empty() => pid.to_owned(),
        pid => format!("{pid} on {its_host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_on_another_host_is_named_with_it() {
        let holders = ["", "7", "7 here", "7 there"].map(|written| holder(written, "here"));
        assert_eq!(holders, ["unknown", "7", "7", "7 on there"]);
    }

    #[test]
    fn the_lock_is_free_again_when_its_holder_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::acquire(dir.path()).unwrap();
        drop(first);
        StateLock::acquire(dir.path()).unwrap();
    }
}
