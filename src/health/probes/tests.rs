//! Doubles for probes, and what readiness is made of.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::config::{AuthMode, Snapshot};
use crate::domain::channel::ChannelAccountStatus;
use crate::domain::run::PortFuture;
use crate::health::fixtures::snapshot_from;

/// Storage and channels that do as they are told.
#[derive(Default)]
pub struct World {
    pub storage_failure: Mutex<Option<String>>,
    pub channels: Mutex<Vec<ChannelAccountStatus>>,
}

impl StorageProbe for Arc<World> {
    fn check(&self) -> PortFuture<'_, Result<(), String>> {
        let outcome = self.storage_failure.lock().unwrap().clone().map_or(Ok(()), Err);
        Box::pin(async { outcome })
    }
}

impl Channels for World {
    fn status(&self) -> Vec<ChannelAccountStatus> {
        self.channels.lock().unwrap().clone()
    }
}

/// Probes over `world`, in phase running.
pub fn probes(world: &Arc<World>, snapshot: Arc<Snapshot>) -> (Probes, Lifecycle) {
    let lifecycle = Lifecycle::new();
    lifecycle.advance(Phase::Running);
    let probes = Probes::new(ProbeSources {
        lifecycle: lifecycle.clone(),
        snapshots: SnapshotHandle::new(snapshot),
        channels: Arc::<World>::clone(world),
        storage: Arc::new(Arc::clone(world)),
        lag: LagSampler::new(),
    });
    (probes, lifecycle)
}

fn telegram(connected: bool) -> ChannelAccountStatus {
    ChannelAccountStatus {
        channel: "telegram".to_owned(),
        account: "default".to_owned(),
        enabled: true,
        configured: true,
        running: true,
        connected,
        last_error: None,
    }
}

#[tokio::test(start_paused = true)]
async fn draining_and_storage_are_named() {
    let world = Arc::new(World::default());
    let (probes, lifecycle) = probes(&world, snapshot_from(json!({}), AuthMode::Token));
    let stop = CancellationToken::new();
    tokio::spawn(probes.clone().run(stop.clone()));
    assert_eq!(probes.failing().await, Vec::<String>::new());
    *world.storage_failure.lock().unwrap() = Some("full".to_owned());
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    lifecycle.advance(Phase::Draining);
    assert_eq!(probes.failing().await, ["draining", "storage"]);
    assert!(probes.is_live());
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn enabled_channels_count_unless_config_names_the_required_ones() {
    let world = Arc::new(World::default());
    *world.channels.lock().unwrap() = vec![telegram(false)];
    let (every, _) = probes(&world, snapshot_from(json!({}), AuthMode::Token));
    assert_eq!(every.failing().await, ["telegram"]);
    let only = |ids: serde_json::Value| {
        snapshot_from(
            json!({"gateway": {"readiness": {"requiredChannels": ids}}, "channels": {"telegram": {}, "slack": {}}}),
            AuthMode::Token,
        )
    };
    let (none, _) = probes(&world, only(json!([])));
    assert_eq!(none.failing().await, Vec::<String>::new());
    let (absent, _) = probes(&world, only(json!(["slack"])));
    assert_eq!(absent.failing().await, ["slack"]);
    *world.channels.lock().unwrap() = vec![telegram(true)];
    let (healthy, _) = probes(&world, only(json!(["telegram"])));
    assert_eq!(healthy.failing().await, Vec::<String>::new());
}

#[tokio::test]
async fn startup_hides_everything_else() {
    let lifecycle = Lifecycle::new();
    let world = Arc::new(World::default());
    *world.channels.lock().unwrap() = vec![telegram(false)];
    let probes = Probes::new(ProbeSources {
        lifecycle: lifecycle.clone(),
        snapshots: SnapshotHandle::new(snapshot_from(json!({}), AuthMode::Token)),
        channels: Arc::<World>::clone(&world),
        storage: Arc::new(Arc::clone(&world)),
        lag: LagSampler::new(),
    });
    assert_eq!(probes.failing().await, ["startup-sidecars"]);
    assert_eq!(probes.startup().pending, Some("startup-sidecars"));
    lifecycle.advance(Phase::Running);
    assert!(probes.startup().started);
}
