//! The recorder: installed once per process, rendered on request.

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::capped::{Capped, MAX_SERIES};
use super::names::{self, Kind, TABLE};

/// Bounds of every duration histogram, seconds. From fast control-plane calls to long model answers.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// Bounds of token counts, as the semantic conventions for generative AI advise.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
];

const MIB: f64 = 1_048_576.0;

/// Bounds of memory sizes: from an idle gateway to one that needs a look.
const BYTES: &[f64] = &[
    16.0 * MIB,
    32.0 * MIB,
    64.0 * MIB,
    128.0 * MIB,
    256.0 * MIB,
    512.0 * MIB,
    1_024.0 * MIB,
    4_096.0 * MIB,
];

/// Why metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The bounds of a histogram are wrong.
    #[error("the metrics recorder cannot be built: {0}")]
    Build(#[from] BuildError),
    /// The process has one already.
    #[error("a metrics recorder is installed already")]
    Twice,
}

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
    pub fn install(version: &'static str) -> Result<Self, InstallError> {
        let prometheus = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Full(names::GEN_AI_TOKENS.to_owned()), TOKENS)?
            .set_buckets_for_metric(Matcher::Full(names::MEMORY_RSS.to_owned()), BYTES)?
            .build_recorder();
        let handle = prometheus.handle();
        metrics::set_global_recorder(Capped::new(prometheus, MAX_SERIES)).map_err(|_| InstallError::Twice)?;
        for metric in TABLE {
            match metric.kind {
                Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
                Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
                Kind::Tokens => metrics::describe_histogram!(metric.name, metrics::Unit::Count, metric.help),
                Kind::Bytes => metrics::describe_histogram!(metric.name, metrics::Unit::Bytes, metric.help),
                Kind::Seconds => metrics::describe_histogram!(metric.name, metrics::Unit::Seconds, metric.help),
            }
        }
        metrics::gauge!(names::BUILD_INFO, "version" => version).set(1.0);
        // There from the start: an alert on the growth of a counter does not see its first step out of nothing.
        for result in ["applied", "rejected"] {
            metrics::counter!(names::CONFIG_RELOADS, "result" => result).increment(0);
        }
        metrics::counter!(names::SERIES_DROPPED).increment(0);
        let process = metrics_process::Collector::default();
        process.describe();
        Ok(Self {
            prometheus: handle,
            process: Arc::new(process),
        })
    }

    /// The text exposition of everything recorded so far.
    pub fn render(&self) -> String {
        self.process.collect();
        if let Some(resident) = resident_bytes() {
            metrics::gauge!(names::MEMORY_BYTES, "kind" => "rss").set(resident);
        }
        self.prometheus.render()
    }

    /// Takes a sample of the memory and moves histogram samples out of their buffers; must be called every few seconds.
    pub fn upkeep(&self) {
        if let Some(resident) = resident_bytes() {
            metrics::histogram!(names::MEMORY_RSS).record(resident);
        }
        self.prometheus.run_upkeep();
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn resident_bytes() -> Option<f64> {
    metrics_process::collector::collect()
        .resident_memory_bytes
        .map(|bytes| bytes as f64)
}
