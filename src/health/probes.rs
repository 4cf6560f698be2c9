//! Liveness, readiness and startup as probes ask for them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::lag::{LagReport, LagSampler};
use super::liveness::Liveness;
use super::storage::{StorageProbe, StorageWatch};
use crate::config::SnapshotHandle;
use crate::domain::channel::Channels;
use crate::lifecycle::{Lifecycle, Phase};

/// Where probes look.
#[derive(Clone)]
pub struct ProbeSources {
    /// Life of the process.
    pub lifecycle: Lifecycle,
    /// Which channels must be up.
    pub snapshots: SnapshotHandle,
    /// State of channels.
    pub channels: Arc<dyn Channels>,
    /// Whether state can be written.
    pub storage: Arc<dyn StorageProbe>,
    /// Scheduler lag.
    pub lag: LagSampler,
}

/// `GET /readyz` with details.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether new work is welcome.
    pub ready: bool,
    /// What is in the way: `startup-sidecars`, `draining`, `handshake`, `storage`, channel ids. A configuration is always
    /// applied: nothing is served before one is in force, and one that is refused leaves the old one there.
    pub failing: Vec<String>,
    /// Since the process started, ms.
    pub uptime_ms: u64,
    /// Scheduler lag over a fixed window.
    pub event_loop: LagReport,
}

/// `GET /startupz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Whether handlers are ready.
    pub started: bool,
    /// Since the process started, ms.
    pub uptime_ms: u64,
    /// What is waited for.
    pub pending: Option<&'static str>,
}

struct Inner {
    sources: ProbeSources,
    liveness: Liveness,
    storage: StorageWatch,
}

/// The probes; cheap to clone.
#[derive(Clone)]
pub struct Probes(Arc<Inner>);

impl Probes {
    /// Nothing is checked before [`Self::run`] and [`Liveness::watch`].
    pub fn new(sources: ProbeSources) -> Self {
        Self(Arc::new(Inner {
            storage: StorageWatch::new(Arc::clone(&sources.storage)),
            sources,
            liveness: Liveness::new(),
        }))
    }

    /// Checks storage until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        self.0.storage.clone().run(stop).await;
    }

    /// The handshake watch, to be started once there is something to connect to.
    pub fn liveness(&self) -> &Liveness {
        &self.0.liveness
    }

    /// Whether the process can serve. Before it runs and while it ends there is nothing to shake hands with.
    pub fn is_live(&self) -> bool {
        self.0.sources.lifecycle.phase() != Phase::Running || self.0.liveness.is_live()
    }

    /// Whether new work is welcome, and if not, why.
    pub async fn failing(&self) -> Vec<String> {
        let mut failing = Vec::new();
        let phase = self.0.sources.lifecycle.phase();
        if phase == Phase::Starting {
            // Nothing else means much before everything was started.
            failing.push("startup-sidecars".to_owned());
            return failing;
        }
        if phase >= Phase::Draining {
            failing.push("draining".to_owned());
        }
        if !self.is_live() {
            failing.push("handshake".to_owned());
        }
        if self.0.storage.failure().await.is_some() {
            failing.push("storage".to_owned());
        }
        self.failing_channels(&mut failing);
        failing
    }

    /// Readiness with details.
    pub async fn readiness(&self) -> Readiness {
        let failing = self.failing().await;
        Readiness {
            ready: failing.is_empty(),
            failing,
            uptime_ms: self.0.sources.lifecycle.uptime_ms(),
            event_loop: self.0.sources.lag.report(),
        }
    }

    /// Whether handlers are ready.
    pub fn startup(&self) -> Startup {
        let started = self.0.sources.lifecycle.phase() != Phase::Starting;
        Startup {
            started,
            uptime_ms: self.0.sources.lifecycle.uptime_ms(),
            pending: (!started).then_some("startup-sidecars"),
        }
    }

    /// `gateway.readiness.requiredChannels` if it is set, else every enabled channel, as upstream counts them.
    fn failing_channels(&self, failing: &mut Vec<String>) {
        let snapshot = self.0.sources.snapshots.load();
        let required = snapshot
            .source
            .pointer("/gateway/readiness/requiredChannels")
            .and_then(Value::as_array);
        let accounts = self.0.sources.channels.status();
        let is_required =
            |channel: &str| required.is_none_or(|required| required.iter().any(|id| id.as_str() == Some(channel)));
        for account in &accounts {
            if !account.is_healthy() && is_required(&account.channel) && !failing.contains(&account.channel) {
                failing.push(account.channel.clone());
            }
        }
        // A required channel that does not even exist is not up.
        for id in required.into_iter().flatten().filter_map(Value::as_str) {
            let is_up = accounts.iter().any(|account| account.channel == id && account.enabled);
            if !is_up && !failing.iter().any(|known| known == id) {
                failing.push(id.to_owned());
            }
        }
    }
}

#[cfg(test)]
pub mod tests;
