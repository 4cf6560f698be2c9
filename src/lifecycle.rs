//! The life of the process as others may watch it: starting, running, draining, stopped.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where the process is in its life. Only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Listeners may be up, handlers are not ready.
    Starting,
    /// Serving.
    Running,
    /// No new runs; runs in flight finish.
    Draining,
    /// Everything is being closed.
    Stopping,
}

/// Shared view of the life of the process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    phase: Arc<watch::Sender<Phase>>,
    started: Instant,
    /// Cancelled when connections must close (end of drain).
    pub stop: CancellationToken,
    /// Every long-lived task is spawned here and watches `stop`.
    pub tasks: TaskTracker,
}

impl Lifecycle {
    /// A process that starts now.
    pub fn new() -> Self {
        Self {
            phase: Arc::new(watch::channel(Phase::Starting).0),
            started: Instant::now(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Moves forward; going back is ignored.
    pub fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let moved = to > *phase;
            if moved {
                *phase = to;
            }
            moved
        });
    }

    /// Wakes on every change.
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Whether new work is refused.
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Since the process started, ms.
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
