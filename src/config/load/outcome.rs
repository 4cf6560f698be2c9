//! What a load ends with.

use std::sync::Arc;

use serde_json::Value;

use crate::config::error::StartError;
use crate::config::snapshot::{Issue, Snapshot, WatchedFile};

/// A usable configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The snapshot; its `warnings` and `watched_files` say the rest.
    pub snapshot: Arc<Snapshot>,
    /// The tree after includes and before `${ENV}`: what the last-good copy keeps.
    pub joined: Value,
}

/// An unusable configuration.
#[derive(Debug)]
pub struct LoadError {
    /// Why.
    pub error: StartError,
    /// Files that matter, so that the next change of any of them is seen.
    pub watched: Vec<WatchedFile>,
    /// Lower-case hex SHA-256 of the root file's bytes.
    pub hash: String,
    /// Whether the root file exists.
    pub exists: bool,
    /// Warnings found on the way.
    pub warnings: Vec<Issue>,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
