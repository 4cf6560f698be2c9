//! A recorder with a bound on its series.
//!
//! Labels come from closed sets and from configuration, so the bound is far away. A label that grows all the same must
//! cost statistics, not memory: series beyond the bound are not recorded, and how many were refused is counted.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::names;

/// Most series, as upstream's exporter has it.
pub(super) const MAX_SERIES: usize = 2_048;

/// Passes everything on, up to the bound.
pub(super) struct Capped<R> {
    inner: R,
    max: usize,
    known: RwLock<HashSet<Key>>,
}

impl<R: Recorder> Capped<R> {
    pub(super) fn new(inner: R, max: usize) -> Self {
        Self {
            inner,
            max,
            known: RwLock::default(),
        }
    }

    /// Whether the series is known or there is room for it.
    fn admits(&self, key: &Key, metadata: &Metadata<'_>) -> bool {
        // How much was refused is told in any case.
        if key.name() == names::SERIES_DROPPED {
            return true;
        }
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(key) {
            return true;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < self.max {
            known.insert(key.clone());
            return true;
        }
        let has_it = known.contains(key);
        drop(known);
        if !has_it {
            let dropped = Key::from_static_name(names::SERIES_DROPPED);
            self.inner.register_counter(&dropped, metadata).increment(1);
        }
        has_it
    }
}

impl<R: Recorder> Recorder for Capped<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        if self.admits(key, metadata) {
            self.inner.register_counter(key, metadata)
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        if self.admits(key, metadata) {
            self.inner.register_gauge(key, metadata)
        } else {
            Gauge::noop()
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        if self.admits(key, metadata) {
            self.inner.register_histogram(key, metadata)
        } else {
            Histogram::noop()
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn series_beyond_the_bound_are_counted_and_not_kept() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let capped = Capped::new(recorder, 2);
        metrics::with_local_recorder(&capped, || {
            for label in ["a", "b", "c", "c", "a"] {
                metrics::counter!("seen", "label" => label).increment(1);
            }
            metrics::gauge!("level").set(1.0);
        });
        let text = handle.render();
        for line in [
            "seen{label=\"a\"} 2",
            "seen{label=\"b\"} 1",
            "openclaw_prometheus_series_dropped_total 3",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("label=\"c\"") && !text.contains("level"), "{text}");
    }
}
