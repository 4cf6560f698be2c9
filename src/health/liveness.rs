//! Liveness: whether this process could serve a handshake a moment ago.
//!
//! A thread of its own starts an in-process handshake on the runtime that serves clients and waits for the result with
//! a deadline. The thread does not depend on the runtime it judges: if that one hangs, results stop coming and the last
//! good one grows old, which is what a probe reads.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Time between two handshakes.
const PERIOD: Duration = Duration::from_secs(5);
/// Longest handshake.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long one success counts: three misses in a row.
const FRESH: Duration = Duration::from_secs(20);
/// How late the thread may notice the end of the process.
const NAP: Duration = Duration::from_millis(250);

/// Connects to the gateway in-process as a client would.
pub trait HandshakeProbe: Send + Sync + 'static {
    /// Resolves when `hello-ok` arrived; the error says what came instead.
    fn run(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

#[derive(Debug)]
struct State {
    base: Instant,
    /// ms since `base`.
    last_success: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// The result of the last handshakes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Liveness(Arc<State>);

impl Liveness {
    /// Counts as live for a first period, so that a process that starts is not killed.
    pub fn new() -> Self {
        Self(Arc::new(State {
            base: Instant::now(),
            last_success: AtomicU64::new(0),
            failure: Mutex::new(None),
        }))
    }

    /// Whether a handshake succeeded lately.
    pub fn is_live(&self) -> bool {
        let age = self.now().saturating_sub(self.0.last_success.load(Ordering::Relaxed));
        u128::from(age) < FRESH.as_millis()
    }

    /// Why the last handshake failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the watching thread, which ends soon after `stop`. Fails only if the system has no thread to give.
    pub fn watch(&self, probe: Arc<dyn HandshakeProbe>, runtime: Handle, stop: CancellationToken) -> io::Result<()> {
        let liveness = self.clone();
        thread::Builder::new()
            .name("liveness".to_owned())
            .spawn(move || {
                while !stop.is_cancelled() {
                    liveness.record(handshake(&probe, &runtime, DEADLINE));
                    let woken = Instant::now();
                    while woken.elapsed() < PERIOD && !stop.is_cancelled() {
                        thread::sleep(NAP);
                    }
                }
            })
            .map(drop)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.base.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn record(&self, outcome: Result<(), String>) {
        let mut failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                self.0.last_success.store(self.now(), Ordering::Relaxed);
                *failure = None;
            }
            Err(reason) => {
                if failure.as_deref() != Some(&reason) {
                    tracing::warn!(target: "health", reason, "in-process handshake failed");
                }
                *failure = Some(reason);
            }
        }
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self::new()
    }
}

/// One handshake on `runtime`, awaited from this thread.
fn handshake(probe: &Arc<dyn HandshakeProbe>, runtime: &Handle, deadline: Duration) -> Result<(), String> {
    let (sender, receiver) = sync_channel(1);
    let probe = Arc::clone(probe);
    let task = runtime.spawn(async move {
        let outcome = probe.run().await;
        // The thread may have given up already; then nobody wants the result.
        drop(sender.try_send(outcome));
    });
    match receiver.recv_timeout(deadline) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            task.abort();
            Err(format!("no handshake within {} ms", deadline.as_millis()))
        }
        Err(RecvTimeoutError::Disconnected) => Err("the handshake task ended without a result".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Result<(), String>);

    impl HandshakeProbe for Fixed {
        fn run(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
            Box::pin(async { self.0.clone() })
        }
    }

    #[test]
    fn a_handshake_is_judged_from_outside_the_runtime() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let good: Arc<dyn HandshakeProbe> = Arc::new(Fixed(Ok(())));
        assert_eq!(handshake(&good, runtime.handle(), DEADLINE), Ok(()));
        let bad: Arc<dyn HandshakeProbe> = Arc::new(Fixed(Err("refused".to_owned())));
        assert_eq!(handshake(&bad, runtime.handle(), DEADLINE), Err("refused".to_owned()));
    }

    #[test]
    fn a_runtime_that_does_not_move_fails_the_handshake() {
        // Nobody drives this runtime, which from outside looks like one whose only worker is stuck.
        let stuck = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let good: Arc<dyn HandshakeProbe> = Arc::new(Fixed(Ok(())));
        let outcome = handshake(&good, stuck.handle(), Duration::from_millis(20));
        assert_eq!(outcome, Err("no handshake within 20 ms".to_owned()));
    }

    #[test]
    fn one_failure_is_remembered_but_does_not_end_liveness() {
        let liveness = Liveness::new();
        liveness.record(Err("refused".to_owned()));
        assert!(liveness.is_live());
        assert_eq!(liveness.failure().as_deref(), Some("refused"));
        liveness.record(Ok(()));
        assert_eq!(liveness.failure(), None);
    }
}
