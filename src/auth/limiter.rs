//! Slows down guessing: failures per caller, a lock after too many.
//!
//! Only failures are counted and only failures feel the lock: whoever presents a valid credential gets in, so that one
//! bad client behind a shared address cannot lock out its neighbours. Memory is bounded; the entry that failed longest
//! ago makes room.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::RateLimit;

/// In force where nothing is configured.
pub const DEFAULT_LIMIT: RateLimit = RateLimit {
    max_attempts: 10,
    window: Duration::from_mins(1),
    lockout: Duration::from_mins(5),
    exempt_loopback: true,
};

const MAX_ENTRIES: usize = 10_000;
/// A lock that the clock cannot express lasts this long.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// What is being guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// Shared token, password.
    SharedSecret,
    /// Tokens of paired devices.
    DeviceToken,
}

/// Whose failures are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address; a whole /64 in IPv6, because one host has all of it.
    Address(IpAddr),
    /// A page that a browser on this machine has open.
    Origin(String),
}

impl Subject {
    /// The subject of an address.
    pub fn of(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(std::net::Ipv6Addr::from_bits(network))
            }
        })
    }
}

type Key = (LimitScope, Subject);

#[derive(Debug)]
struct Entry {
    failures: u32,
    window_start: Instant,
    locked_until: Option<Instant>,
    /// Position in `Table::order`.
    turn: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// Keys by last failure, oldest first.
    order: BTreeMap<u64, Key>,
    turn: u64,
}

/// Failure counters of all callers.
#[derive(Debug)]
pub struct FailureLimiter {
    table: Mutex<Table>,
    max_entries: usize,
}

impl Default for FailureLimiter {
    fn default() -> Self {
        Self::with_capacity(MAX_ENTRIES)
    }
}

impl FailureLimiter {
    /// Remembers at most `max_entries` callers.
    pub fn with_capacity(max_entries: usize) -> Self {
        Self {
            table: Mutex::default(),
            max_entries: max_entries.max(1),
        }
    }

    /// Counts a failure. `Some`: the caller was locked out already, and for how much longer.
    pub fn fail(&self, scope: LimitScope, subject: Subject, limit: &RateLimit) -> Option<Duration> {
        let now = Instant::now();
        let key = (scope, subject);
        let mut table = self.lock();
        table.touch(&key, now);
        let entry = table.entries.get_mut(&key)?;
        match entry.locked_until {
            Some(until) if until > now => return Some(until - now),
            Some(_) => entry.restart(now),
            None if now.duration_since(entry.window_start) > limit.window => entry.restart(now),
            None => {}
        }
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures >= limit.max_attempts.max(1) {
            entry.locked_until = now.checked_add(limit.lockout).or_else(|| now.checked_add(FOREVER));
        }
        table.shrink(self.max_entries);
        None
    }

    /// Forgets the failures of a caller that proved itself.
    pub fn clear(&self, scope: LimitScope, subject: Subject) {
        let mut table = self.lock();
        if let Some(entry) = table.entries.remove(&(scope, subject)) {
            table.order.remove(&entry.turn);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn restart(&mut self, now: Instant) {
        self.failures = 0;
        self.window_start = now;
        self.locked_until = None;
    }
}

impl Table {
    /// Makes the entry the newest, creating it if need be.
    fn touch(&mut self, key: &Key, now: Instant) {
        self.turn += 1;
        let turn = self.turn;
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            failures: 0,
            window_start: now,
            locked_until: None,
            turn,
        });
        self.order.remove(&entry.turn);
        entry.turn = turn;
        self.order.insert(turn, key.clone());
    }

    fn shrink(&mut self, max_entries: usize) {
        while self.entries.len() > max_entries {
            let Some((_, key)) = self.order.pop_first() else { return };
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        max_attempts: 3,
        window: Duration::from_secs(60),
        lockout: Duration::from_secs(300),
        exempt_loopback: false,
    };

    fn subject(text: &str) -> Subject {
        Subject::of(text.parse().unwrap())
    }

    fn fail(limiter: &FailureLimiter, address: &str) -> Option<Duration> {
        limiter.fail(LimitScope::SharedSecret, subject(address), &LIMIT)
    }

    #[tokio::test(start_paused = true)]
    async fn the_attempt_after_the_last_allowed_one_is_locked_out() {
        let limiter = FailureLimiter::default();
        for _ in 0..3 {
            assert_eq!(fail(&limiter, "203.0.113.7"), None);
        }
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(fail(&limiter, "203.0.113.7"), Some(Duration::from_secs(200)));
        assert_eq!(fail(&limiter, "203.0.113.8"), None);
        assert_eq!(
            limiter.fail(LimitScope::DeviceToken, subject("203.0.113.7"), &LIMIT),
            None
        );
        tokio::time::advance(Duration::from_secs(201)).await;
        for _ in 0..3 {
            assert_eq!(fail(&limiter, "203.0.113.7"), None);
        }
        assert!(fail(&limiter, "203.0.113.7").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_with_their_window_and_after_a_success() {
        let limiter = FailureLimiter::default();
        fail(&limiter, "203.0.113.7");
        fail(&limiter, "203.0.113.7");
        tokio::time::advance(Duration::from_secs(61)).await;
        fail(&limiter, "203.0.113.7");
        fail(&limiter, "203.0.113.7");
        limiter.clear(LimitScope::SharedSecret, subject("203.0.113.7"));
        for _ in 0..3 {
            assert_eq!(fail(&limiter, "203.0.113.7"), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_the_oldest_goes_first() {
        let limiter = FailureLimiter::with_capacity(2);
        for _ in 0..3 {
            fail(&limiter, "10.0.0.1");
        }
        fail(&limiter, "10.0.0.2");
        assert!(fail(&limiter, "10.0.0.1").is_some());
        fail(&limiter, "10.0.0.3");
        assert!(fail(&limiter, "10.0.0.1").is_some(), "10.0.0.2 had to go");
        fail(&limiter, "10.0.0.4");
        fail(&limiter, "10.0.0.5");
        let table = limiter.lock();
        assert_eq!((table.entries.len(), table.order.len()), (2, 2));
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
    }

    #[test]
    fn concurrent_guesses_get_no_more_verdicts_than_the_budget() {
        let limiter = FailureLimiter::default();
        let judged: usize = std::thread::scope(|scope| {
            let guesses: Vec<_> = (0..40)
                .map(|_| scope.spawn(|| usize::from(fail(&limiter, "203.0.113.7").is_none())))
                .collect();
            guesses.into_iter().map(|guess| guess.join().unwrap()).sum()
        });
        assert_eq!(judged, 3);
    }
}
