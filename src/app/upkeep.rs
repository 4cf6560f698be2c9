//! Small work beside the requests: metrics, retention, forgetting old runs, the demo's replacement by a local model
//! server, resting accounts of providers.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::build::{COOLDOWNS, Gateway};
use crate::config::types::session::{Amount, Maintenance, MaintenanceMode};
use crate::live::Live;
use crate::store::{ResponseRetention, Retention};
use crate::telemetry::{MetricsHandle, names};

/// Histogram samples must leave their buffers every few seconds.
const METRICS_EVERY: Duration = Duration::from_secs(5);
/// How often limits on stored sessions are enforced.
const RETENTION_EVERY: Duration = Duration::from_secs(10 * 60);
/// How long an idempotency key is known after its run ended.
const KEYS_LIVE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long and how many responses of `/v1/responses` are kept.
const RESPONSES: ResponseRetention = ResponseRetention {
    max_age_ms: 30 * 24 * 3600 * 1000,
    max_bytes: 1024 * 1024 * 1024,
};
/// How often a local model server is looked for while nothing else is configured.
const DISCOVER_EVERY: Duration = Duration::from_secs(60);

/// Spawns the periodic tasks.
pub(super) fn spawn(gateway: &Gateway, metrics: MetricsHandle) {
    let lifecycle = &gateway.services.lifecycle;
    lifecycle
        .tasks
        .spawn(keep_metrics(gateway.clone(), metrics, lifecycle.stop.clone()));
    lifecycle
        .tasks
        .spawn(keep_store(gateway.clone(), lifecycle.stop.clone()));
    lifecycle.tasks.spawn(discover(gateway.clone(), lifecycle.stop.clone()));
    lifecycle
        .tasks
        .spawn(keep_cooldowns(gateway.clone(), lifecycle.stop.clone()));
}

async fn tick(interval: &mut tokio::time::Interval, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        _ = interval.tick() => true,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
async fn keep_metrics(gateway: Gateway, handle: MetricsHandle, stop: CancellationToken) {
    let mut interval = every(METRICS_EVERY);
    while tick(&mut interval, &stop).await {
        handle.upkeep();
        let active = gateway.services.runs.active();
        metrics::gauge!(names::RUNS_ACTIVE, "state" => "queued").set(active.queued as f64);
        metrics::gauge!(names::RUNS_ACTIVE, "state" => "running").set(active.running as f64);
        metrics::gauge!(names::SESSION_QUEUE, "state" => "queued").set(active.queued as f64);
        metrics::gauge!(names::SESSION_QUEUE, "state" => "processing").set(active.sessions.len() as f64);
        metrics::gauge!(names::WS_CONNECTIONS).set(gateway.services.hub.connections() as f64);
        metrics::gauge!(names::READY).set(if gateway.probes.failing().await.is_empty() {
            1.0
        } else {
            0.0
        });
        let stats = gateway.services.store.stats();
        metrics::counter!(names::STORE_COMMITS).absolute(stats.commits);
        metrics::gauge!(names::STORE_BYTES).set(stats.db_bytes as f64);
    }
}

async fn keep_store(gateway: Gateway, stop: CancellationToken) {
    let mut interval = every(RETENTION_EVERY);
    // The first tick is immediate; start-up has better things to do.
    interval.tick().await;
    while tick(&mut interval, &stop).await {
        let services = &gateway.services;
        let now_ms = services.clock.now_ms();
        let before = now_ms - i64::try_from(KEYS_LIVE.as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = services.store.prune_runs(before).await {
            tracing::warn!(target: "store", %error, "old runs could not be forgotten");
        }
        match services.store.prune_responses(RESPONSES, now_ms).await {
            Ok(0) => {}
            Ok(responses) => tracing::info!(target: "store", responses, "old responses were forgotten"),
            Err(error) => tracing::warn!(target: "store", %error, "old responses could not be forgotten"),
        }
        let limits = retention(&services.live.load().snapshot.config.session.maintenance);
        match services.store.enforce_retention(limits, now_ms).await {
            Ok(report) if report.sessions > 0 => {
                tracing::info!(target: "store", sessions = report.sessions, messages = report.messages, "retention removed old sessions");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(target: "store", %error, "retention could not be enforced"),
        }
    }
}

/// Writes resting accounts down, so that the next process does not ask them first.
async fn keep_cooldowns(gateway: Gateway, stop: CancellationToken) {
    let mut kept: BTreeSet<String> = names_of(&gateway.cooldowns.records());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = gateway.cooldowns.changed() => {}
        }
        let records = gateway.cooldowns.records();
        let names = names_of(&records);
        let gone = kept.difference(&names).map(|name| (name.clone(), None));
        let changes = gone.chain(records.into_iter().map(|(name, record)| (name, Some(record))));
        match gateway.services.store.put_documents(COOLDOWNS, changes.collect()).await {
            Ok(()) => kept = names,
            Err(error) => tracing::warn!(target: "models", %error, "resting accounts could not be written down"),
        }
    }
}

fn names_of(records: &[(String, serde_json::Value)]) -> BTreeSet<String> {
    records.iter().map(|(name, _)| name.clone()).collect()
}

async fn discover(gateway: Gateway, stop: CancellationToken) {
    let mut interval = every(DISCOVER_EVERY);
    while tick(&mut interval, &stop).await {
        let live = gateway.services.live.load();
        if !live.models.is_demo_only() {
            continue;
        }
        let Some(found) = crate::models::ollama::discover(&gateway.http, live.snapshot.env.get("OLLAMA_HOST")).await
        else {
            continue;
        };
        let current = gateway.services.live.load();
        // A reload in between wins.
        if current.snapshot.generation == live.snapshot.generation {
            let models = current.models.with_discovered(&found, &gateway.http);
            tracing::info!(target: "models", provider = found.id, models = found.models.len(), "found a local model server");
            gateway.services.live.commit(Live {
                snapshot: current.snapshot.clone(),
                models: models.into(),
            });
        }
    }
}

/// Limits that configuration sets; nothing is removed unless it says `enforce`.
fn retention(maintenance: &Maintenance) -> Retention {
    if maintenance.mode != Some(MaintenanceMode::Enforce) {
        return Retention::default();
    }
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let age_ms = maintenance
        .prune_after
        .as_ref()
        .and_then(Amount::as_millis)
        .or(maintenance.prune_days.map(|days| days.saturating_mul(DAY_MS)));
    Retention {
        max_entries: maintenance.max_entries,
        max_age_ms: age_ms.and_then(|age| i64::try_from(age).ok()),
        max_bytes: maintenance.max_disk_bytes.as_ref().and_then(Amount::as_bytes),
    }
}
