//! The harness: a real gateway process with temporary state, a WebSocket client, a scripted model provider.
//!
//! Nothing here sleeps for a fixed time: waiting is polling with a bound ([`eventually`]).

pub mod collector;
pub mod dialects;
pub mod gateway;
pub mod model;
pub mod port;
pub mod ws;

use std::time::{Duration, Instant};

/// Longest wait for anything that a healthy gateway does promptly.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `check` yields something; panics with `what` when patience ends.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
