//! Deadlines of one connection: what it is doing, since when, and whether that is too long.
//!
//! Bookkeeping is a few relaxed atomics, because it happens on every request; the timer that looks at them wakes only
//! every few seconds.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Limits in force for a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// Longest wait for the rest of a request head.
    pub head: Duration,
    /// Longest time without a request.
    pub idle: Duration,
}

/// What to do with a connection now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Wait(Instant),
    /// Idle for too long: close politely.
    Retire,
    /// Stuck: drop it.
    Drop,
}

/// Shared between the socket, the service and the driver of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    base: Instant,
    in_flight: AtomicU32,
    /// All times are ms since `base` plus one; 0 means "not now".
    idle_since: AtomicU64,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    multiplexed: AtomicBool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            base: Instant::now(),
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).map_or(u64::MAX, |elapsed| elapsed.saturating_add(1))
    }

    /// Bytes arrived.
    pub(super) fn received(&self, bytes: &[u8]) {
        if self.is_busy() || self.head_since.load(Ordering::Relaxed) != 0 {
            return;
        }
        // The HTTP/2 preface; no HTTP/1 method begins like this.
        if bytes.starts_with(b"PRI") {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        self.head_since.store(self.now(), Ordering::Relaxed);
    }

    /// The peer takes bytes again, or does not.
    pub(super) fn writable(&self, open: bool) {
        let blocked = self.blocked_since.load(Ordering::Relaxed) != 0;
        if open && blocked {
            self.blocked_since.store(0, Ordering::Relaxed);
        } else if !open && !blocked {
            self.blocked_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A request begins.
    pub(super) fn begin(&self, multiplexed: bool) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        if multiplexed {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
    }

    /// Its response is complete, or will never be.
    pub(super) fn end(&self) {
        self.idle_since.store(self.now(), Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a request is at work.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Judges the connection.
    pub(super) fn judge(&self, limits: &Deadlines) -> Verdict {
        let now = self.now();
        let age = |since: u64| Duration::from_millis(now.saturating_sub(since));
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked != 0 && age(blocked) >= limits.idle {
            return Verdict::Drop;
        }
        if !self.is_busy() {
            let head = self.head_since.load(Ordering::Relaxed);
            if head != 0 && !self.multiplexed.load(Ordering::Relaxed) && age(head) >= limits.head {
                return Verdict::Drop;
            }
            if age(self.idle_since.load(Ordering::Relaxed)) >= limits.idle {
                return Verdict::Retire;
            }
        }
        Verdict::Wait(Instant::now() + limits.head.min(limits.idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Deadlines = Deadlines {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
    };

    #[tokio::test(start_paused = true)]
    async fn half_a_head_is_dropped_after_the_head_deadline() {
        let pace = Pace::new();
        pace.received(b"GET / HT");
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(matches!(pace.judge(&LIMITS), Verdict::Wait(_)));
        pace.received(b"TP");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pace.judge(&LIMITS), Verdict::Drop);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_flight_may_take_its_time_and_idleness_counts_from_its_end() {
        let pace = Pace::new();
        pace.received(b"GET /");
        pace.begin(false);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(matches!(pace.judge(&LIMITS), Verdict::Wait(_)));
        pace.end();
        tokio::time::advance(Duration::from_secs(74)).await;
        assert!(matches!(pace.judge(&LIMITS), Verdict::Wait(_)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pace.judge(&LIMITS), Verdict::Retire);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stops_reading_is_dropped_and_http2_has_no_head_deadline() {
        let pace = Pace::new();
        pace.received(b"PRI * HTTP/2.0");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(matches!(pace.judge(&LIMITS), Verdict::Wait(_)));
        pace.begin(true);
        pace.writable(false);
        tokio::time::advance(Duration::from_secs(76)).await;
        assert_eq!(pace.judge(&LIMITS), Verdict::Drop);
        pace.writable(true);
        assert!(matches!(pace.judge(&LIMITS), Verdict::Wait(_)));
    }
}
