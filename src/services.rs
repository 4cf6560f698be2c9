//! One field per handle that surfaces need. No construction, no logic.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::base::Clock;
use crate::bus::Hub;
use crate::config::SnapshotHandle;
use crate::domain::channel::Channels;
use crate::domain::config_control::ConfigControl;
use crate::domain::identity::GatewayIdentity;
use crate::domain::logs::LogTail;
use crate::domain::run::Runs;
use crate::health::Health;
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
    /// Changes of the configuration.
    pub config: Arc<dyn ConfigControl>,
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
    /// Cached health snapshot and scheduler lag.
    pub health: Health,
    /// The gateway's own log.
    pub logs: Arc<dyn LogTail>,
    /// The gateway's own device identity.
    pub identity: Arc<GatewayIdentity>,
    /// Life of the process.
    pub lifecycle: Lifecycle,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}
