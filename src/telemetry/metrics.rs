//! The recorder: installed once per process, rendered on request.

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::names::{self, Kind, TABLE};

/// Bounds of every duration histogram, seconds. From fast control-plane calls to long model answers.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// Renders the metrics of this process.
#[derive(Clone)]
pub struct MetricsHandle {
    prometheus: PrometheusHandle,
    process: Arc<metrics_process::Collector>,
}

impl MetricsHandle {
    /// Installs the recorder and describes every metric of the table.
    ///
    /// # Errors
    /// Fails if a recorder is installed already.
    pub fn install(version: &'static str) -> Result<Self, BuildError> {
        let prometheus = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .install_recorder()?;
        for metric in TABLE {
            match metric.kind {
                Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
                Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
                Kind::Seconds => metrics::describe_histogram!(metric.name, metrics::Unit::Seconds, metric.help),
            }
        }
        metrics::gauge!(names::BUILD_INFO, "version" => version).set(1.0);
        let process = metrics_process::Collector::default();
        process.describe();
        Ok(Self {
            prometheus,
            process: Arc::new(process),
        })
    }

    /// The text exposition of everything recorded so far.
    pub fn render(&self) -> String {
        self.process.collect();
        let memory = metrics_process::collector::collect();
        if let Some(resident) = memory.resident_memory_bytes {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            metrics::gauge!(names::MEMORY_BYTES, "kind" => "rss").set(resident as f64);
        }
        self.prometheus.render()
    }

    /// Moves histogram samples out of their buffers; must be called every few seconds.
    pub fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }
}
