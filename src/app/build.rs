//! The one constructor call site: from a snapshot to running services, in order of dependency.

use std::sync::Arc;

use super::logs::Logs;
use crate::agent::{AgentRuns, AgentRunsDeps, RawStream};
use crate::auth::{self, Authenticator};
use crate::base::{Clock, SystemClock};
use crate::bus::{GatewayFacts, Hub, HubOptions};
use crate::channels::ChannelRegistry;
use crate::config::defaults::MAX_CONCURRENT;
use crate::config::{Snapshot, SnapshotHandle};
use crate::domain::channel::Channels;
use crate::domain::config_control::ConfigControl;
use crate::domain::run::Runs;
use crate::domain::tool::NoTools;
use crate::grpc::HealthService;
use crate::health::{Health, HealthSources, LagSampler, ProbeSources, Probes};
use crate::lifecycle::Lifecycle;
use crate::live::{Live, LiveHandle};
use crate::models::{Cooldowns, HttpClients, Registry};
use crate::otlp::Exporter;
use crate::rpc::{Surface, WsLog};
use crate::services::Services;
use crate::store::{Store, StoreOptions};
use crate::telemetry::span::Tracer;

/// Where resting accounts are kept.
pub(super) const COOLDOWNS: &str = "model-cooldowns";

/// How many runs may be at work at once.
pub(super) fn max_concurrent(snapshot: &Snapshot) -> usize {
    let bound = snapshot.config.agents.defaults.max_concurrent.unwrap_or(MAX_CONCURRENT);
    usize::try_from(bound).unwrap_or(usize::MAX)
}

/// What the command line asks of the parts.
pub(super) struct Wishes {
    /// Where model events are dumped, if they are.
    pub(super) raw_stream: Option<RawStream>,
    /// Which WebSocket requests are logged.
    pub(super) ws_log: WsLog,
}

/// A gateway that is built and not yet serving; cheap to clone.
#[derive(Clone)]
pub(super) struct Gateway {
    /// Handles for surfaces.
    pub(super) services: Services,
    /// The run loop itself, for resuming and stopping.
    pub(super) runs: AgentRuns,
    /// Probes.
    pub(super) probes: Probes,
    /// Scheduler lag.
    pub(super) lag: LagSampler,
    /// Health services for gRPC probes.
    pub(super) grpc_health: HealthService,
    /// The control plane over WebSockets.
    pub(super) control_plane: Surface,
    /// Connection pools of model providers.
    pub(super) http: HttpClients,
    /// Accounts of model providers that rest.
    pub(super) cooldowns: Cooldowns,
    /// The log.
    pub(super) logs: Logs,
    /// Spans.
    pub(super) tracer: Tracer,
    /// Telemetry for a collector.
    pub(super) exporter: Exporter,
}

/// Builds everything. Opens the store; binds and spawns nothing.
pub(super) async fn build(
    snapshot: Arc<Snapshot>,
    logs: Logs,
    config: Arc<dyn ConfigControl>,
    wishes: Wishes,
) -> anyhow::Result<Gateway> {
    let lifecycle = Lifecycle::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let state_dir = snapshot.state_dir.clone();
    let (store, own_identity) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let store = Store::open(&state_dir.join("state.db"), StoreOptions::default())?;
        let own_identity =
            auth::load_or_create_identity(&state_dir.join("identity").join("gateway.json"), &SystemClock)?;
        Ok((store, own_identity))
    })
    .await??;
    let authenticator = Authenticator::open(store.clone(), Arc::clone(&clock)).await?;
    let http = HttpClients::new();
    let cooldowns = Cooldowns::default();
    cooldowns.restore(store.documents(COOLDOWNS).await?);
    let snapshots = SnapshotHandle::new(Arc::clone(&snapshot));
    let live = LiveHandle::new(Live {
        models: Arc::new(Registry::build(&snapshot.providers, &http, &cooldowns)),
        snapshot: Arc::clone(&snapshot),
    });
    let hub = Hub::new(HubOptions {
        gateway: GatewayFacts::detect(),
        clock: Arc::clone(&clock),
        preauth_per_ip: usize::try_from(snapshot.max_preauth_per_ip()).unwrap_or(usize::MAX),
    });
    let channels: Arc<dyn Channels> = Arc::new(ChannelRegistry);
    let lag = LagSampler::new();
    let health = Health::new(HealthSources {
        snapshots: snapshots.clone(),
        store: store.clone(),
        channels: Arc::clone(&channels),
        hub: hub.clone(),
        clock: Arc::clone(&clock),
        lag: lag.clone(),
    });
    let probes = Probes::new(ProbeSources {
        lifecycle: lifecycle.clone(),
        snapshots: snapshots.clone(),
        channels: Arc::clone(&channels),
        storage: Arc::new(store.clone()),
        lag: lag.clone(),
    });
    let tracer = Tracer::default();
    let runs = AgentRuns::new(AgentRunsDeps {
        store: store.clone(),
        live: live.clone(),
        publisher: Arc::new(hub.clone()),
        tools: Arc::new(NoTools),
        clock: Arc::clone(&clock),
        lifecycle: lifecycle.clone(),
        max_concurrent: max_concurrent(&snapshot),
        raw_stream: wishes.raw_stream,
        tracer: tracer.clone(),
    });
    let services = Services {
        live,
        snapshots,
        config,
        store,
        hub,
        auth: authenticator,
        runs: Arc::new(runs.clone()) as Arc<dyn Runs>,
        channels,
        health,
        logs: Arc::new(logs.clone()),
        identity: Arc::new(auth::public_identity(&own_identity)),
        lifecycle,
        clock,
    };
    let control_plane = Surface::new(services.clone(), wishes.ws_log);
    let grpc_health = HealthService::new(probes.clone(), services.lifecycle.clone());
    Ok(Gateway {
        services,
        runs,
        probes,
        lag,
        grpc_health,
        control_plane,
        http,
        cooldowns,
        logs,
        tracer,
        exporter: Exporter::new(snapshot.otlp()),
    })
}
