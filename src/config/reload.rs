//! Judges a possibly changed configuration: nothing, ignored, to be applied, or broken.

use std::time::Duration;

use serde_json::Value;

use super::diff::diff;
use super::error::StartError;
use super::load::{LoadError, LoadInput, Loaded, load};
use super::rules::{Plan, plan};
use super::snapshot::{Snapshot, WatchedFile};
use super::types::gateway::ReloadMode;

/// Pause before a file that may be half written is looked at again.
const SETTLE: Duration = Duration::from_millis(120);

/// Keeps what later changes are compared with. One per process, used by one reload at a time.
#[derive(Debug)]
pub struct Reloader {
    /// The tree that the next diff starts from; advances also with ignored changes.
    baseline: Value,
    /// The baseline before the last change that was judged.
    before: Value,
    /// Files as they were when last judged.
    watched: Vec<WatchedFile>,
    /// Whether the last attempt could not be applied, so that an unchanged file must be looked at again.
    pending: bool,
}

/// The judgement.
#[derive(Debug)]
pub enum Reload {
    /// Everything is as it was.
    Unchanged,
    /// The change is not applied; the text is the log line.
    Ignored {
        /// What the files say.
        loaded: Loaded,
        /// Changed paths.
        changed: Vec<String>,
        /// Why.
        reason: String,
    },
    /// The new snapshot is to be applied.
    Apply {
        /// The snapshot.
        loaded: Loaded,
        /// Changed paths; empty if only secrets, certificates or the file's formatting changed.
        changed: Vec<String>,
        /// Whether the listener is to be bound anew.
        rebind: bool,
    },
    /// The running configuration stays.
    Broken(Box<LoadError>),
}

impl Reloader {
    /// Starts from the running snapshot.
    pub fn new(current: &Snapshot) -> Self {
        Self {
            baseline: current.source.clone(),
            before: current.source.clone(),
            watched: current.watched_files.clone(),
            pending: false,
        }
    }

    /// Files to watch from now on, as they were when last judged.
    pub fn watched(&self) -> &[WatchedFile] {
        &self.watched
    }

    /// What `new` changes, and what that takes. The listener may also move because of a variable in an env file, which no
    /// path tells.
    pub fn plan(&self, new: &Snapshot, current: &Snapshot) -> (Vec<String>, Plan) {
        let changed = diff(&self.baseline, &new.source);
        let mode = new.config.gateway.reload.mode.unwrap_or(ReloadMode::Hybrid);
        let moves = mode != ReloadMode::Hot && new.listen != current.listen;
        let plan = match plan(mode, &changed) {
            Plan::Apply { rebind } => Plan::Apply {
                rebind: rebind || moves,
            },
            ignore @ Plan::Ignore(_) => ignore,
        };
        (changed, plan)
    }

    /// The files say `new` now: later changes are compared with it.
    pub fn accept(&mut self, new: &Snapshot) {
        self.pending = !new.secrets.degraded.is_empty();
        self.before = std::mem::replace(&mut self.baseline, new.source.clone());
        self.watched.clone_from(&new.watched_files);
    }

    /// What was judged could not be applied: the next look tries all of it again, even if the files are the same.
    pub fn retry(&mut self) {
        self.pending = true;
        self.baseline.clone_from(&self.before);
    }

    /// Looks at the files (blocking, up to a short pause for one that is being written).
    pub fn evaluate(&mut self, input: &LoadInput, current: &Snapshot) -> Reload {
        let mut attempt = load(input, Some(current));
        if attempt.as_ref().is_err_and(|error| error.error.may_be_partial()) {
            std::thread::sleep(SETTLE);
            attempt = load(input, Some(current));
        }
        let loaded = match attempt {
            Ok(loaded) => loaded,
            Err(error) => {
                self.pending = true;
                self.watched.clone_from(&error.watched);
                return Reload::Broken(error);
            }
        };
        let new = &loaded.snapshot;
        if current.exists && !new.exists {
            // A gateway that may run without a file still does not drop its settings because the file went away.
            self.pending = true;
            self.watched.clone_from(&new.watched_files);
            return Reload::Broken(Box::new(LoadError {
                error: StartError::MissingConfig,
                watched: new.watched_files.clone(),
                hash: new.hash.clone(),
                exists: false,
                warnings: Vec::new(),
            }));
        }
        let same_files = self.watched == new.watched_files;
        let (changed, plan) = self.plan(new, current);
        let secrets = new.secrets.differs(&current.secrets);
        if same_files && changed.is_empty() && !secrets && !self.pending {
            return Reload::Unchanged;
        }
        self.accept(new);
        match plan {
            Plan::Ignore(reason) => Reload::Ignored {
                loaded,
                changed,
                reason,
            },
            Plan::Apply { rebind } => Reload::Apply {
                loaded,
                changed,
                rebind,
            },
        }
    }
}

#[cfg(test)]
mod tests;
