//! The snapshot in force, and what the files say while that is something else.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::Snapshot;
use crate::config::load::LoadError;

/// Publishes snapshots. Readers call `load` once per request and keep what they got.
#[derive(Debug, Clone)]
pub struct SnapshotHandle {
    current: Arc<ArcSwap<Snapshot>>,
    broken: Arc<ArcSwapOption<LoadError>>,
    waiting: Arc<ArcSwapOption<Snapshot>>,
}

impl SnapshotHandle {
    /// Starts with `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            current: Arc::new(ArcSwap::new(snapshot)),
            broken: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// The present snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces it. Cannot fail; everything fallible happened before.
    pub fn store(&self, snapshot: Arc<Snapshot>) {
        self.current.store(snapshot);
    }

    /// What is wrong with the files as they are now; `None`: the present snapshot is what they say.
    pub fn broken(&self) -> Option<Arc<LoadError>> {
        self.broken.load_full()
    }

    /// Notes whether the files can be used.
    pub fn set_broken(&self, error: Option<Arc<LoadError>>) {
        self.broken.store(error);
    }

    /// What the files say, if they are usable and not applied; `None`: the present snapshot is what they say.
    pub fn waiting(&self) -> Option<Arc<Snapshot>> {
        self.waiting.load_full()
    }

    /// Notes what the files say, while that is not applied.
    pub fn set_waiting(&self, snapshot: Option<Arc<Snapshot>>) {
        self.waiting.store(snapshot);
    }
}
