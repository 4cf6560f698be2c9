//! Deadlines for what happens outside the runtime.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

/// Waits for `work` at most `limit` of real time; `None`: it took longer.
///
/// Threads and disks do not follow the runtime's clock, which jumps when it is paused or the machine was asleep. So a
/// timer that fires is only believed if that much time has really passed.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let started = std::time::Instant::now();
    let mut work = pin!(work);
    loop {
        if let Ok(value) = timeout(limit, work.as_mut()).await {
            return Some(value);
        }
        if started.elapsed() >= limit {
            return None;
        }
    }
}
