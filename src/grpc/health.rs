//! The standard health service with one entry per probe: `liveness`, `readiness`, `startup`, and `""` for readiness.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService as Service};

use crate::health::Probes;
use crate::lifecycle::{Lifecycle, Phase};

/// How often the entries are compared with the probes.
const PERIOD: Duration = Duration::from_secs(1);

const NAMES: [&str; 4] = ["", "readiness", "liveness", "startup"];

/// Keeps the entries up to date.
#[derive(Clone)]
pub struct HealthService {
    reporter: HealthReporter,
    probes: Probes,
    lifecycle: Lifecycle,
}

impl HealthService {
    /// Entries appear with the first round of [`Self::run`].
    pub fn new(probes: Probes, lifecycle: Lifecycle) -> Self {
        Self {
            reporter: HealthReporter::new(),
            probes,
            lifecycle,
        }
    }

    pub(super) fn server(&self) -> HealthServer<Service> {
        HealthServer::new(Service::from_health_reporter(self.reporter.clone()))
    }

    /// Follows the probes until the process is stopping, then ends all watches.
    pub async fn run(self, stop: CancellationToken) {
        let mut phase = self.lifecycle.watch();
        let mut shown = [None; NAMES.len()];
        loop {
            if self.lifecycle.phase() == Phase::Stopping {
                return self.end_watches().await;
            }
            let present = self.present().await;
            for ((name, shown), present) in NAMES.into_iter().zip(&mut shown).zip(present) {
                // Watchers are only told about changes.
                if shown.replace(present) != Some(present) {
                    self.reporter.set_service_status(name, serving(present)).await;
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // The sender lives in `self.lifecycle`, so this only fails together with everything else.
                changed = phase.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// A watch has no end of its own and would hold its connection open until it is cut.
    async fn end_watches(mut self) {
        for name in NAMES {
            self.reporter.clear_service_status(name).await;
        }
    }

    async fn present(&self) -> [bool; NAMES.len()] {
        let ready = self.probes.failing().await.is_empty();
        [ready, ready, self.probes.is_live(), self.probes.startup().started]
    }
}

const fn serving(good: bool) -> ServingStatus {
    if good {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}
