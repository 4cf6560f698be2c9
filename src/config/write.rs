//! Writes the config file, when somebody asked for it: atomically and through links, or not at all.
//!
//! Knows nothing of what the bytes mean.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::base::fs::{create_private_dir, read_capped, write_private};

/// Backups that are kept.
const BACKUPS: usize = 5;

/// Why the file was not written. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Kubernetes keeps the file.
    #[error(
        "config not written: {0} comes from a mounted ConfigMap or Secret; change the ConfigMap, the Secret or the \
         profile that it is made from"
    )]
    Mounted(PathBuf),
    /// A link into nowhere.
    #[error("config not written: {0} is a link to a file that does not exist")]
    Dangling(PathBuf),
    /// It may not be written here.
    #[error("config not written: {path} is read-only here ({reason}); change it at its source or make it writable")]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What forbids it.
        reason: String,
    },
    /// Somebody else was faster.
    #[error("config changed since last load; re-run config.get and retry")]
    Changed,
    /// The operating system refused.
    #[error("config not written: {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// New content that lies complete beside the file and is not in force yet. Dropping it leaves no trace.
#[derive(Debug)]
pub struct Staged {
    /// The file as it is configured.
    path: PathBuf,
    /// The file behind all links.
    real: PathBuf,
    temporary: tempfile::NamedTempFile,
}

/// Finds out whether `path` can be written and puts `bytes` beside it, synced, readable by the owner only (blocking).
pub fn stage(path: &Path, bytes: &[u8]) -> Result<Staged, WriteError> {
    let io = |source: io::Error| failure(path, source);
    let real = behind_links(path)?;
    if real.components().any(|part| is_swapped_folder(part.as_os_str())) {
        return Err(WriteError::Mounted(path.to_owned()));
    }
    let folder = real.parent().unwrap_or_else(|| Path::new("/")).to_owned();
    let present = match std::fs::metadata(&real) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    let read_only = |reason: String| WriteError::ReadOnly {
        path: path.to_owned(),
        reason,
    };
    match &present {
        None => create_private_dir(&folder).map_err(io)?,
        Some(file) => {
            if is_locked(file) {
                return Err(read_only("the file has no write permission".to_owned()));
            }
            if is_mount(&real) {
                return Err(read_only(
                    "it is mounted as a single file, which cannot be replaced; mount its folder instead".to_owned(),
                ));
            }
        }
    }
    if std::fs::metadata(&folder).is_ok_and(|folder| is_locked(&folder)) {
        let text = format!("the folder {} has no write permission", folder.display());
        return Err(read_only(text));
    }
    // tempfile creates with mode 0600.
    let mut temporary = tempfile::Builder::new()
        .prefix(".openclaw.")
        .suffix(".tmp")
        .tempfile_in(&folder)
        .map_err(io)?;
    temporary.write_all(bytes).map_err(io)?;
    if let Some(present) = &present {
        keep_owner(temporary.as_file(), present);
    }
    temporary.as_file().sync_all().map_err(io)?;
    Ok(Staged {
        path: path.to_owned(),
        real,
        temporary,
    })
}

impl Staged {
    /// Puts the content in place of the file, if that still holds `before` (blocking).
    pub fn commit(self, before: Option<&[u8]>) -> Result<(), WriteError> {
        if read_capped(&self.real, u64::MAX).ok().as_deref() != before {
            return Err(WriteError::Changed);
        }
        let persisted = self.temporary.persist(&self.real);
        persisted.map_err(|error| failure(&self.path, error.error))?;
        // The rename is only durable with its folder; a file system that cannot sync folders orders it itself.
        if let Some(folder) = self.real.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).ok();
        }
        Ok(())
    }
}

/// Keeps `bytes` as `<state>/config-backups/openclaw.json.<ms>` and forgets all but the newest few (blocking).
pub fn back_up(state_dir: &Path, bytes: &[u8], now_ms: i64) -> io::Result<()> {
    let folder = state_dir.join("config-backups");
    create_private_dir(&folder)?;
    write_private(&folder.join(format!("openclaw.json.{now_ms:013}")), bytes)?;
    let mut kept: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_stem().is_some_and(|stem| stem == "openclaw.json"))
        .collect();
    kept.sort();
    let surplus = kept.len().saturating_sub(BACKUPS);
    kept.into_iter().take(surplus).try_for_each(std::fs::remove_file)
}

fn failure(path: &Path, source: io::Error) -> WriteError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::ResourceBusy => {
            WriteError::ReadOnly {
                path,
                reason: source.to_string(),
            }
        }
        _ => WriteError::Io { path, source },
    }
}

fn behind_links(path: &Path) -> Result<PathBuf, WriteError> {
    match std::fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.is_symlink() {
                Err(WriteError::Dangling(path.to_owned()))
            } else {
                Ok(path.to_owned())
            }
        }
        Err(error) => Err(failure(path, error)),
    }
}

/// `..data` and the dated folders behind it: the kubelet replaces them as a whole.
fn is_swapped_folder(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy()
        .strip_prefix("..")
        .is_some_and(|rest| !rest.is_empty())
}

/// Nobody may write it. Asked of the permissions and not of the system, because the superuser may write everything.
fn is_locked(metadata: &Metadata) -> bool {
    metadata.permissions().readonly()
}

#[cfg(target_os = "linux")]
fn is_mount(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
        .is_ok_and(|facts| facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_path: &Path) -> bool {
    false
}

/// A file of somebody else stays theirs, where the system allows that.
#[cfg(unix)]
fn keep_owner(file: &File, before: &Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let own = file.metadata().map(|now| (now.uid(), now.gid()));
    if own.is_ok_and(|own| own != (before.uid(), before.gid())) {
        fchown(file, Some(before.uid()), Some(before.gid())).ok();
    }
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _before: &Metadata) {}

#[cfg(test)]
mod tests;
