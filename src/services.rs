//! One field per handle that surfaces need. No construction, no logic.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::base::Clock;
use crate::bus::Hub;
use crate::config::SnapshotHandle;
use crate::domain::channel::Channels;
use crate::domain::run::Runs;
use crate::lifecycle::Lifecycle;
use crate::live::LiveHandle;
use crate::store::Store;

/// Handles of a running gateway; cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The present configuration with what was derived from it.
    pub live: LiveHandle,
    /// Configuration alone, with change notification.
    pub snapshots: SnapshotHandle,
    /// Durable state.
    pub store: Store,
    /// WebSocket clients.
    pub hub: Hub,
    /// The one authenticator.
    pub auth: Authenticator,
    /// The run loop.
    pub runs: Arc<dyn Runs>,
    /// Chat channels.
    pub channels: Arc<dyn Channels>,
    /// Life of the process.
    pub lifecycle: Lifecycle,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}
