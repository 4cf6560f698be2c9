//! Counts failed credentials and locks callers out for a while.
//!
//! Only wrong credentials count; a right one always passes and clears the counter. Memory is bounded: the entry that was
//! touched longest ago goes first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::RateLimit;

/// Most callers remembered.
const CAPACITY: usize = 4096;

/// Limits where configuration gives none.
pub(super) const DEFAULT: RateLimit = RateLimit {
    max_attempts: 10,
    window: Duration::from_secs(60),
    lockout: Duration::from_secs(300),
    exempt_loopback: true,
};

#[derive(Debug, Clone, Copy)]
struct Record {
    failures: u32,
    window_start: Instant,
    locked_until: Option<Instant>,
    touched: Instant,
}

/// Failure counters by `scope:caller`.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<String, Record>>);

impl Limiter {
    /// How long the caller is still locked out.
    pub(super) fn locked(&self, key: &str) -> Option<Duration> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = records.get(key)?.locked_until?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Counts a wrong credential.
    pub(super) fn fail(&self, key: &str, limit: &RateLimit) {
        let now = Instant::now();
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= CAPACITY && !records.contains_key(key) {
            let oldest = records
                .iter()
                .min_by_key(|(_, record)| record.touched)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                records.remove(&oldest);
            }
        }
        let fresh = Record {
            failures: 0,
            window_start: now,
            locked_until: None,
            touched: now,
        };
        let record = records.entry(key.to_owned()).or_insert(fresh);
        let lock_over = record.locked_until.is_some_and(|until| until <= now);
        if lock_over || now.duration_since(record.window_start) > limit.window {
            *record = fresh;
        }
        record.touched = now;
        record.failures = record.failures.saturating_add(1);
        if record.failures >= limit.max_attempts && record.locked_until.is_none() {
            record.locked_until = Some(now + limit.lockout);
        }
    }

    /// Forgets a caller that proved itself.
    pub(super) fn succeed(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_locked_after_the_last_attempt_and_free_after_the_lockout() {
        let limiter = Limiter::default();
        for _ in 0..DEFAULT.max_attempts {
            assert!(limiter.locked("a").is_none());
            limiter.fail("a", &DEFAULT);
        }
        assert_eq!(limiter.locked("a"), Some(DEFAULT.lockout));
        assert!(limiter.locked("b").is_none());
        tokio::time::advance(DEFAULT.lockout).await;
        assert!(limiter.locked("a").is_none());
        limiter.fail("a", &DEFAULT);
        assert!(limiter.locked("a").is_none(), "the count starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_failures_do_not_lock_and_success_clears() {
        let limiter = Limiter::default();
        for _ in 0..50 {
            limiter.fail("a", &DEFAULT);
            tokio::time::advance(Duration::from_secs(61)).await;
        }
        assert!(limiter.locked("a").is_none());
        for _ in 0..9 {
            limiter.fail("a", &DEFAULT);
        }
        limiter.succeed("a");
        limiter.fail("a", &DEFAULT);
        assert!(limiter.locked("a").is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let limiter = Limiter::default();
            for n in 0..CAPACITY + 100 {
                limiter.fail(&n.to_string(), &DEFAULT);
            }
            assert_eq!(limiter.0.lock().unwrap().len(), CAPACITY);
        });
    }
}
