//! How often a caller may change the configuration or restart the gateway. Failed calls give their place back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::{Fault, FaultKind, Principal};

const WINDOW: Duration = Duration::from_secs(60);
const METHODS: [&str; 4] = ["config.apply", "config.patch", "gateway.restart.request", "update.run"];
/// Callers that are remembered; beyond that, those whose window has passed are forgotten.
const MAX_CALLERS: usize = 1_000;

type Calls = Mutex<HashMap<String, VecDeque<Instant>>>;

/// Places for control-plane writes, per device or client address.
#[derive(Debug, Default)]
pub struct WriteBudget(Arc<Calls>);

/// A taken place; dropping it without `keep` gives it back.
#[derive(Debug)]
pub struct Slot {
    calls: Arc<Calls>,
    caller: String,
    at: Instant,
    kept: bool,
}

impl WriteBudget {
    /// Takes a place if `method` needs one. `Err`: too many within the window.
    pub fn take(&self, method: &str, principal: &Principal, protocol: u8) -> Result<Option<Slot>, Fault> {
        if !METHODS.contains(&method) {
            return Ok(None);
        }
        let most = if protocol >= 4 { 30 } else { 3 };
        let caller = principal
            .device
            .as_ref()
            .map_or_else(|| principal.client_ip.to_string(), |device| device.as_str().to_owned());
        let now = Instant::now();
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= MAX_CALLERS {
            calls.retain(|_, times| times.back().is_some_and(|last| now.duration_since(*last) < WINDOW));
        }
        let times = calls.entry(caller.clone()).or_default();
        while times.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            times.pop_front();
        }
        if times.len() >= most {
            let wait = times
                .front()
                .map_or(WINDOW, |first| WINDOW.saturating_sub(now.duration_since(*first)));
            return Err(limited(method, most, wait));
        }
        times.push_back(now);
        Ok(Some(Slot {
            calls: Arc::clone(&self.0),
            caller,
            at: now,
            kept: false,
        }))
    }
}

fn limited(method: &str, most: usize, wait: Duration) -> Fault {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    Fault::new(
        FaultKind::RateLimited,
        format!("rate limit exceeded for {method}; retry after {seconds}s"),
    )
    .with_details(json!({ "method": method, "limit": format!("{most} per 60s") }))
    .with_retry_after(wait.max(Duration::from_millis(1)))
}

impl Slot {
    /// The call succeeded and counts.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = calls.get_mut(&self.caller)
            && let Some(index) = times.iter().position(|time| *time == self.at)
        {
            times.remove(index);
        }
    }
}
