//! How late the scheduler runs: a ticker that notes by how much each tick was missed, over a fixed window.
//!
//! The numbers fill the `eventLoop` object of the protocol, whose names come from another runtime: "delay" is how late a
//! timer fired, "utilization" is the share of time the workers were not parked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
/// Samples that a report looks back on.
const WINDOW: usize = 30;
const SLOW_TIMER_MS: f64 = 1_000.0;
const BUSY_SHARE: f64 = 0.95;

/// The `eventLoop` object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LagReport {
    /// Whether any reason below applies.
    pub degraded: bool,
    /// `event_loop_delay`, `event_loop_utilization`, `cpu`.
    pub reasons: Vec<&'static str>,
    /// The span of time that was looked at, ms.
    pub interval_ms: u64,
    /// 99th percentile of timer delay, ms.
    pub delay_p99_ms: f64,
    /// Largest timer delay, ms.
    pub delay_max_ms: f64,
    /// Share of time the workers were busy, 0 to 1.
    pub utilization: f64,
    /// Processor time used per wall time; 1 is one full core.
    pub cpu_core_ratio: f64,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    at: Instant,
    busy: Duration,
    cpu: Duration,
}

impl Usage {
    fn now() -> Self {
        let busy = tokio::runtime::Handle::try_current().map_or(Duration::ZERO, |handle| {
            let metrics = handle.metrics();
            (0..metrics.num_workers())
                .map(|worker| metrics.worker_total_busy_duration(worker))
                .sum()
        });
        Self {
            at: Instant::now(),
            busy,
            cpu: process_cpu().unwrap_or(busy),
        }
    }
}

#[derive(Debug)]
struct Window {
    /// State at the start of the window; moves along as samples leave it.
    base: Usage,
    samples: VecDeque<(Usage, f64)>,
}

/// Measures timer delay; cheap to clone.
#[derive(Debug, Clone)]
pub struct LagSampler(Arc<Mutex<Window>>);

impl LagSampler {
    /// A sampler whose window begins now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Window {
            base: Usage::now(),
            samples: VecDeque::with_capacity(WINDOW),
        })))
    }

    /// Samples until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let due = Instant::now() + TICK;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            self.note(due.elapsed());
        }
    }

    fn note(&self, late: Duration) {
        let usage = Usage::now();
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.samples.len() >= WINDOW
            && let Some((oldest, _)) = window.samples.pop_front()
        {
            window.base = oldest;
        }
        window.samples.push_back((usage, late.as_secs_f64() * 1_000.0));
    }

    /// What the window shows now.
    pub fn report(&self) -> LagReport {
        let now = Usage::now();
        let (base, mut delays) = {
            let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let delays: Vec<f64> = window.samples.iter().map(|(_, delay)| *delay).collect();
            (window.base, delays)
        };
        delays.sort_by(f64::total_cmp);
        let rank = (delays.len() * 99).div_ceil(100).saturating_sub(1);
        let delay_p99_ms = rounded(delays.get(rank).copied().unwrap_or(0.0), 10.0);
        let delay_max_ms = rounded(delays.last().copied().unwrap_or(0.0), 10.0);
        let wall = now.at.duration_since(base.at).as_secs_f64().max(0.001);
        let workers = workers();
        let utilization = rounded(
            (now.busy.saturating_sub(base.busy).as_secs_f64() / wall / workers).min(1.0),
            1_000.0,
        );
        let cpu_core_ratio = rounded(now.cpu.saturating_sub(base.cpu).as_secs_f64() / wall, 1_000.0);
        let mut reasons = Vec::new();
        if delay_p99_ms >= SLOW_TIMER_MS {
            reasons.push("event_loop_delay");
        }
        if utilization >= BUSY_SHARE {
            reasons.push("event_loop_utilization");
        }
        if cpu_core_ratio >= BUSY_SHARE * workers {
            reasons.push("cpu");
        }
        LagReport {
            degraded: !reasons.is_empty(),
            reasons,
            interval_ms: u64::try_from(now.at.duration_since(base.at).as_millis()).unwrap_or(u64::MAX),
            delay_p99_ms,
            delay_max_ms,
            utilization,
            cpu_core_ratio,
        }
    }
}

impl Default for LagSampler {
    fn default() -> Self {
        Self::new()
    }
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[expect(clippy::cast_precision_loss, reason = "a count of processor threads")]
fn workers() -> f64 {
    tokio::runtime::Handle::try_current().map_or(1.0, |handle| handle.metrics().num_workers().max(1) as f64)
}

/// Processor time of the whole process, from the kernel's accounting.
#[cfg(target_os = "linux")]
fn process_cpu() -> Option<Duration> {
    /// The kernel reports in this unit to user space on every architecture we run on.
    const TICKS_PER_SECOND: u32 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program name in parentheses and may hold spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs(user + system) / TICKS_PER_SECOND)
}

#[cfg(not(target_os = "linux"))]
fn process_cpu() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_tick_shows_as_delay() {
        let sampler = LagSampler::new();
        sampler.note(Duration::from_millis(3));
        sampler.note(Duration::from_millis(1_500));
        let report = sampler.report();
        assert_eq!((report.delay_max_ms, report.delay_p99_ms), (1_500.0, 1_500.0));
        assert!(report.degraded && report.reasons.contains(&"event_loop_delay"));
    }

    #[tokio::test]
    async fn old_samples_leave_the_window() {
        let sampler = LagSampler::new();
        sampler.note(Duration::from_secs(9));
        for _ in 0..WINDOW {
            sampler.note(Duration::ZERO);
        }
        assert_eq!(sampler.report().delay_max_ms, 0.0);
    }
}
