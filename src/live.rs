//! The world that one request sees: the snapshot and what was derived from it, swapped together.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::Snapshot;
use crate::models::Registry;

/// One consistent world. Made by `prepare` (may fail), published by `commit` (may not).
#[derive(Debug)]
pub struct Live {
    /// Configuration.
    pub snapshot: Arc<Snapshot>,
    /// Model providers built from it.
    pub models: Arc<Registry>,
}

/// Handle to the present world.
#[derive(Debug, Clone)]
pub struct LiveHandle(Arc<ArcSwap<Live>>);

impl LiveHandle {
    /// Starts with `live`.
    pub fn new(live: Live) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(live)))
    }

    /// The present world; keep it for the whole request.
    pub fn load(&self) -> Arc<Live> {
        self.0.load_full()
    }

    /// Publishes a new world.
    pub fn commit(&self, live: Live) {
        self.0.store(Arc::new(live));
    }
}
