//! The end of the process.
//!
//! 1. readiness turns false, clients hear `shutdown`, new runs are refused;
//! 2. runs in flight finish within the grace period;
//! 3. the rest are stopped: each reports its end and is marked interrupted;
//! 4. the listener stops, responses in flight are finished;
//! 5. sockets close with 1012, tasks end, the store is checkpointed and closed.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::build::Gateway;
use super::serve::Server;
use crate::lifecycle::Phase;

/// Time for stopped runs to report their end.
const STOP_RUNS: Duration = Duration::from_secs(3);
/// Time for responses that are being written.
const FINISH_RESPONSES: Duration = Duration::from_secs(3);
/// Time for clients to take their close frame.
const CLOSE_SOCKETS: Duration = Duration::from_secs(2);
/// Time for everything else.
const END_TASKS: Duration = Duration::from_secs(3);
/// How often what is left is logged.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Ends the gateway in order. Returns when nothing is left to do.
pub(super) async fn drain(gateway: &Gateway, servers: &[Server], signal: &str) {
    let services = &gateway.services;
    let grace = services.live.load().snapshot.shutdown_grace();
    tracing::info!(target: "gateway", "signal {signal} received; draining for at most {grace:?}");
    services.lifecycle.advance(Phase::Draining);
    services.hub.broadcast_shutdown("gateway stopping", None);

    if !runs_ended(gateway, grace).await {
        tracing::warn!(target: "shutdown", "grace period is over; stopping {} runs", gateway.runs.live_count());
        gateway.runs.stop_all();
        runs_ended(gateway, STOP_RUNS).await;
    }

    // HTTP responses end with their runs; idle keep-alive connections close at once.
    let stopping = servers.iter().map(|server| server.stop(FINISH_RESPONSES));
    services.hub.close_all(1012, "service restart");
    if timeout(CLOSE_SOCKETS, services.hub.wait_empty()).await.is_err() {
        tracing::warn!(target: "shutdown", "some clients did not take their close frame");
    }
    futures_util::future::join_all(stopping).await;
    services.lifecycle.advance(Phase::Stopping);
    services.lifecycle.stop.cancel();
    services.lifecycle.tasks.close();
    if timeout(END_TASKS, services.lifecycle.tasks.wait()).await.is_err() {
        tracing::warn!(target: "shutdown", "some tasks did not end in time");
    }
    services.store.close().await;
    tracing::info!(target: "shutdown", "completed");
}

/// Waits until no run is at work. `false`: some are left after `patience`.
async fn runs_ended(gateway: &Gateway, patience: Duration) -> bool {
    let begin = Instant::now();
    let mut reported = begin;
    while gateway.runs.live_count() > 0 {
        if begin.elapsed() >= patience {
            return false;
        }
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            tracing::info!(target: "shutdown", "waiting for {} runs", gateway.runs.live_count());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
