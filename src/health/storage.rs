//! Whether state storage takes writes: checked beside the probes, at most once per second and only while somebody asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::run::PortFuture;
use crate::store::Store;

/// Least time between two checks.
const SPACING: Duration = Duration::from_secs(1);
/// A check without being asked, so that the first question after a quiet time is not answered from long ago.
const BASELINE: Duration = Duration::from_secs(15);
/// Longest check; storage that takes longer counts as failing.
const DEADLINE: Duration = Duration::from_secs(5);
/// A result older than this is renewed before a probe is answered, ...
const STALE: Duration = Duration::from_secs(2);
/// ... but the probe waits no longer than this for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Tries to write.
pub trait StorageProbe: Send + Sync + 'static {
    /// Resolves when a write reached the disk; the error says why it did not.
    fn check(&self) -> PortFuture<'_, Result<(), String>>;
}

impl StorageProbe for Store {
    fn check(&self) -> PortFuture<'_, Result<(), String>> {
        Box::pin(async { self.check_writable().await.map_err(|error| error.to_string()) })
    }
}

#[derive(Debug, Clone)]
struct Checked {
    at: Option<Instant>,
    failure: Option<String>,
}

/// The last result; cheap to clone.
#[derive(Clone)]
pub(super) struct StorageWatch {
    probe: Arc<dyn StorageProbe>,
    asked: Arc<Notify>,
    last: watch::Sender<Checked>,
}

impl StorageWatch {
    /// Storage counts as writable until the first check.
    pub(super) fn new(probe: Arc<dyn StorageProbe>) -> Self {
        Self {
            probe,
            asked: Arc::new(Notify::new()),
            last: watch::Sender::new(Checked {
                at: None,
                failure: None,
            }),
        }
    }

    /// Checks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            self.check().await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SPACING) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(BASELINE) => {}
            }
        }
    }

    async fn check(&self) {
        let failure = match timeout(DEADLINE, self.probe.check()).await {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some(format!("no write within {} s", DEADLINE.as_secs())),
        };
        let before = self.last.send_replace(Checked {
            at: Some(Instant::now()),
            failure: failure.clone(),
        });
        match (before.failure, failure) {
            (None, Some(reason)) => tracing::error!(target: "health", reason, "state storage is not writable"),
            (Some(_), None) => tracing::info!(target: "health", "state storage is writable again"),
            _ => {}
        }
    }

    /// Why storage fails, as of the last check. Waits a little for a new one if that was long ago.
    pub(super) async fn failure(&self) -> Option<String> {
        let mut last = self.last.subscribe();
        let seen = last.borrow_and_update().clone();
        self.asked.notify_one();
        if seen.at.is_some_and(|at| at.elapsed() < STALE) {
            return seen.failure;
        }
        // Without a running check the old result is all there is.
        match timeout(PATIENCE, last.changed()).await {
            Ok(Ok(())) => last.borrow().failure.clone(),
            _ => seen.failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Disk {
        full: Mutex<Option<String>>,
        checks: AtomicUsize,
    }

    impl StorageProbe for Arc<Disk> {
        fn check(&self) -> PortFuture<'_, Result<(), String>> {
            self.checks.fetch_add(1, Ordering::Relaxed);
            let outcome = self.full.lock().unwrap().clone().map_or(Ok(()), Err);
            Box::pin(async { outcome })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_seen_within_seconds_and_so_is_its_recovery() {
        let disk = Arc::new(Disk::default());
        let watch = StorageWatch::new(Arc::new(Arc::clone(&disk)));
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch.clone().run(stop.clone()));
        assert_eq!(watch.failure().await, None);
        *disk.full.lock().unwrap() = Some("full".to_owned());
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(watch.failure().await.as_deref(), Some("full"));
        *disk.full.lock().unwrap() = None;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(watch.failure().await, None);
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn many_probes_make_few_checks() {
        let disk = Arc::new(Disk::default());
        let watch = StorageWatch::new(Arc::new(Arc::clone(&disk)));
        let stop = CancellationToken::new();
        tokio::spawn(watch.clone().run(stop.clone()));
        for _ in 0..100 {
            watch.failure().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(disk.checks.load(Ordering::Relaxed) <= 4);
        stop.cancel();
    }
}
