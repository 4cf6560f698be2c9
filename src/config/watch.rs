//! Notices that files of the configuration may have changed.
//!
//! Folders are watched, not files: a rename over, a deletion and a Kubernetes `..data` swap all show up there. Whether
//! anything changed is decided by content. A slow poll covers file systems that send no events.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::snapshot::WatchedFile;

/// Quiet time after a change when the file names none.
pub const DEFAULT_SETTLE: Duration = Duration::from_millis(80);
/// Time between looks without any event.
const POLL: Duration = Duration::from_secs(5);
/// A folder that never gets quiet is looked at after this many settle times.
const MAX_ROUNDS: u32 = 4;

/// A running watcher.
#[derive(Debug)]
pub struct Watcher {
    changes: mpsc::Receiver<()>,
    control: Control,
}

/// Changes what is watched; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control(Arc<watch::Sender<Subject>>);

#[derive(Debug, Clone)]
struct Subject {
    files: Vec<WatchedFile>,
    settle: Duration,
}

impl Watcher {
    /// Starts watching `files`; a file whose content differs from its digest is reported at once.
    pub fn start(files: Vec<WatchedFile>, settle: Duration, tasks: &TaskTracker, cancel: CancellationToken) -> Self {
        let (subject, subjects) = watch::channel(Subject { files, settle });
        // One waiting signal says everything; further ones are merged into it.
        let (report, changes) = mpsc::channel(1);
        tasks.spawn(run(subjects, report, cancel));
        Self {
            changes,
            control: Control(Arc::new(subject)),
        }
    }

    /// Waits for the next possible change; `None` after cancellation.
    pub async fn changed(&mut self) -> Option<()> {
        self.changes.recv().await
    }

    /// For changing what is watched.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Control {
    /// Watches these files from now on, compared with these digests.
    pub fn update(&self, files: Vec<WatchedFile>, settle: Duration) {
        self.0.send_replace(Subject { files, settle });
    }
}

async fn run(mut subjects: watch::Receiver<Subject>, report: mpsc::Sender<()>, cancel: CancellationToken) {
    let (ring, mut bell) = mpsc::channel(1);
    let mut eyes = Eyes::new(ring);
    let mut subject = subjects.borrow_and_update().clone();
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            changed = subjects.changed() => {
                if changed.is_err() {
                    return;
                }
                subject = subjects.borrow_and_update().clone();
            }
            event = bell.recv() => {
                if event.is_none() {
                    return;
                }
                settle(&mut bell, subject.settle, &cancel).await;
            }
            _ = poll.tick() => {}
        }
        let paths: Vec<PathBuf> = subject.files.iter().map(|file| file.path.clone()).collect();
        let looked = tokio::task::spawn_blocking(move || {
            let digests = eyes.look(&paths);
            (eyes, digests)
        });
        let digests;
        match looked.await {
            Ok((back, seen)) => {
                eyes = back;
                digests = seen;
            }
            Err(error) => {
                tracing::error!(target: "gateway", %error, "config watcher stopped");
                return;
            }
        }
        let mut differs = false;
        for (file, digest) in subject.files.iter_mut().zip(digests) {
            differs |= file.digest != digest;
            file.digest = digest;
        }
        if differs && matches!(report.try_send(()), Err(mpsc::error::TrySendError::Closed(()))) {
            return;
        }
    }
}

/// Waits until events pause, so that a file that is being written is read once and whole.
async fn settle(bell: &mut mpsc::Receiver<()>, pause: Duration, cancel: &CancellationToken) {
    for _ in 0..MAX_ROUNDS {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if bell.try_recv().is_err() {
            return;
        }
    }
}

/// Which events matter. Shared with the callback of the operating system's watcher.
#[derive(Debug, Default)]
struct Interest {
    names: BTreeSet<OsString>,
    /// Folders in which any name matters, because a file in them is a link.
    folders: BTreeSet<PathBuf>,
}

impl Interest {
    fn covers(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return true };
        self.names.contains(name)
            || name.to_string_lossy().starts_with("..")
            || path.parent().is_some_and(|folder| self.folders.contains(folder))
    }
}

struct Eyes {
    watcher: Option<RecommendedWatcher>,
    /// Watched folders with what they were when the watch was made.
    folders: BTreeMap<PathBuf, FolderId>,
    interest: Arc<Mutex<Interest>>,
}

type FolderId = (u64, u64);

impl Eyes {
    fn new(ring: mpsc::Sender<()>) -> Self {
        let interest: Arc<Mutex<Interest>> = Arc::default();
        let shared = Arc::clone(&interest);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let matters = event.as_ref().map_or(true, |event| {
                let interest = shared.lock().unwrap_or_else(PoisonError::into_inner);
                is_change(&event.kind) && event.paths.iter().any(|path| interest.covers(path))
            });
            if matters {
                // Full means that somebody is about to look anyway.
                ring.try_send(()).ok();
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(target: "gateway", %error, "no file events; config files are polled every 5 s");
            })
            .ok();
        Self {
            watcher,
            folders: BTreeMap::new(),
            interest,
        }
    }

    /// Makes sure that the right folders are watched, then reads all files.
    fn look(&mut self, files: &[PathBuf]) -> Vec<Option<[u8; 32]>> {
        let mut wanted = BTreeSet::new();
        let mut interest = Interest::default();
        for file in files {
            let real = std::fs::canonicalize(file).ok();
            if real.is_none() && is_rarely_there(file) {
                continue;
            }
            for path in [Some(file.clone()), real.clone()].into_iter().flatten() {
                interest.names.extend(path.file_name().map(OsString::from));
                if let Some(folder) = existing_folder(&path) {
                    if path.parent() != Some(folder.as_path()) {
                        // The folder itself is yet to be made, under any name on the way.
                        interest.folders.insert(folder.clone());
                    }
                    wanted.insert(folder);
                }
            }
            if real.is_some_and(|real| real != *file)
                && let Some(folder) = file.parent()
            {
                interest.folders.insert(folder.to_owned());
            }
        }
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        self.sync(&wanted);
        files
            .iter()
            .map(|file| std::fs::read(file).ok().map(|bytes| Sha256::digest(&bytes).into()))
            .collect()
    }

    fn sync(&mut self, wanted: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let stale: Vec<PathBuf> = self
            .folders
            .iter()
            .filter(|(folder, id)| !wanted.contains(*folder) || folder_id(folder) != Some(**id))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in stale {
            // A folder that is gone has no watch left to remove.
            drop(watcher.unwatch(&folder));
            self.folders.remove(&folder);
        }
        for folder in wanted {
            if self.folders.contains_key(folder) {
                continue;
            }
            let Some(id) = folder_id(folder) else { continue };
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder.clone(), id);
                }
                Err(error) => {
                    tracing::debug!(target: "gateway", folder = %folder.display(), %error, "folder is only polled");
                }
            }
        }
    }
}

/// Env files are looked for in folders that are busy with other things (the state folder holds the database). As long as
/// there is none, the slow poll is enough and spares the events.
fn is_rarely_there(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name == ".env" || name == "gateway.env")
}

/// Reading is no change; our own reads must not wake us.
const fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The folder of `path`, or the nearest one above that exists.
fn existing_folder(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .find(|folder| folder.is_dir())
        .map(Path::to_owned)
}

#[cfg(unix)]
fn folder_id(folder: &Path) -> Option<FolderId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn folder_id(folder: &Path) -> Option<FolderId> {
    folder.is_dir().then_some((0, 0))
}

#[cfg(test)]
mod tests;
