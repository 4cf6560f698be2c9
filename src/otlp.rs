//! Telemetry sent to an OpenTelemetry collector: spans, metrics and log lines over OTLP, by HTTP or gRPC.
//!
//! Nothing waits for a collector: spans and lines go into bounded queues, metrics are read from the recorder when they are
//! due, and what a collector does not take is given up after a few tries, counted and named once in the log. The
//! OpenTelemetry SDK is not used: its processors bring threads and a blocking HTTP client of their own, and its metrics
//! would have to be recorded a second time beside those of `/metrics`.

mod batch;
mod exposition;
mod logs;
mod metrics;
mod names;
mod sender;
mod spans;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use self::sender::Sender;
use crate::config::otlp::{OtlpSettings, OtlpTarget, Signal};
use crate::telemetry::logs::LogMirror;
use crate::telemetry::redaction::Redaction;
use crate::telemetry::span::{ContentPolicy, SpanSink, Tracer};
use crate::wire::otlp::{Resource, Scope, text};

/// Spans or lines that wait for their export; more are dropped. As the SDKs have it.
const QUEUE: usize = 2_048;
/// Time for what is left when an exporter ends.
const LAST_BATCHES: Duration = Duration::from_secs(2);

/// What is exported.
#[derive(Clone)]
pub struct Sources {
    /// Begins spans.
    pub tracer: Tracer,
    /// Log lines.
    pub logs: LogMirror,
    /// All metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Exports as the present settings say; cheap to clone.
#[derive(Clone)]
pub struct Exporter(watch::Sender<Arc<OtlpSettings>>);

impl Exporter {
    /// An exporter that does nothing before [`Exporter::run`].
    pub fn new(settings: OtlpSettings) -> Self {
        Self(watch::Sender::new(Arc::new(settings)))
    }

    /// Puts settings in force. What was recorded under the old ones is still sent as they say.
    pub fn apply(&self, settings: OtlpSettings) {
        self.0.send_if_modified(|known| {
            let is_new = **known != settings;
            if is_new {
                *known = Arc::new(settings);
            }
            is_new
        });
    }

    /// Exports until `stop`, and then what is left.
    pub async fn run(self, sources: Sources, stop: CancellationToken) {
        let life = Life {
            began: SystemTime::now(),
            instance: uuid::Uuid::new_v4().to_string(),
        };
        let mut changes = self.0.subscribe();
        let settings = Arc::clone(&changes.borrow_and_update());
        let mut work = Work::begin(&settings, &sources, &life);
        loop {
            let goes_on = tokio::select! {
                biased;
                () = stop.cancelled() => false,
                changed = changes.changed() => changed.is_ok(),
            };
            if !goes_on {
                sources.tracer.install(None);
                sources.logs.install(None);
                return work.end().await;
            }
            // The new ones take over first, so that nothing falls between the two.
            let settings = Arc::clone(&changes.borrow_and_update());
            let old = std::mem::replace(&mut work, Work::begin(&settings, &sources, &life));
            old.end().await;
        }
    }
}

/// This process, whatever its settings become.
struct Life {
    began: SystemTime,
    /// `service.instance.id`: tells apart replicas, and one process from the next.
    instance: String,
}

/// The exporters of one generation of settings.
struct Work {
    tasks: JoinSet<()>,
    end: CancellationToken,
}

impl Work {
    fn begin(settings: &Arc<OtlpSettings>, sources: &Sources, life: &Life) -> Self {
        for problem in &settings.problems {
            tracing::warn!(target: "otlp", "{problem}");
        }
        let end = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let origin = Arc::new(Origin::new(&settings.resource, &life.instance));
        let mut sink = None;
        if let Some(target) = settings.traces.clone() {
            let (queue, spans) = mpsc::channel(QUEUE);
            sink = Some(SpanSink {
                queue,
                sampling: settings.sampling,
                latest_names: settings.latest_names,
                content: content(settings),
            });
            let origin = Arc::clone(&origin);
            tasks.spawn(batches(Signal::Traces, target, spans, end.clone(), move |batch| {
                spans::encode(batch, &origin)
            }));
        }
        sources.tracer.install(sink);
        let mut mirror = None;
        if let Some(target) = settings.logs.clone() {
            let (queue, lines) = mpsc::channel(QUEUE);
            mirror = Some(queue);
            let origin = Arc::clone(&origin);
            tasks.spawn(batches(Signal::Logs, target, lines, end.clone(), move |batch| {
                logs::encode(batch, &origin)
            }));
        }
        sources.logs.install(mirror);
        if let Some(target) = settings.metrics.clone() {
            let render = Arc::clone(&sources.metrics);
            tasks.spawn(readings(target, render, end.clone(), origin, life.began));
        }
        Self { tasks, end }
    }

    async fn end(mut self) {
        self.end.cancel();
        let done = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(LAST_BATCHES, done).await.is_err() {
            tracing::warn!(target: "otlp", "the collector did not take the last telemetry in time");
        }
    }
}

fn content(settings: &OtlpSettings) -> Option<ContentPolicy> {
    settings.content.map(|kinds| ContentPolicy {
        input_messages: kinds.input_messages,
        output_messages: kinds.output_messages,
        system_prompt: kinds.system_prompt,
        tool_inputs: kinds.tool_inputs,
        tool_outputs: kinds.tool_outputs,
        redaction: Redaction::with(&settings.redact_patterns),
    })
}

/// Who sends: the same in every request.
struct Origin {
    resource: Resource,
    scope: Scope,
}

impl Origin {
    fn new(attributes: &[(String, String)], instance: &str) -> Self {
        let version = text("service.version", crate::VERSION);
        let listed = attributes.iter().map(|(key, value)| text(key, value));
        let has = |key: &str| attributes.iter().any(|(known, _)| known == key);
        let instance = (!has("service.instance.id")).then(|| text("service.instance.id", instance));
        Self {
            resource: Resource {
                attributes: listed
                    .chain((!has("service.version")).then_some(version))
                    .chain(instance)
                    .collect(),
            },
            scope: Scope {
                name: "openclaw".to_owned(),
                version: crate::VERSION.to_owned(),
            },
        }
    }
}

async fn batches<T, M: Message>(
    signal: Signal,
    target: OtlpTarget,
    mut queue: mpsc::Receiver<T>,
    end: CancellationToken,
    encode: impl Fn(Vec<T>) -> M,
) {
    let every = target.every;
    let mut sender = Sender::new(signal, target);
    while let Some(batch) = batch::next(&mut queue, every, &end).await {
        sender.deliver(&encode(batch), &end).await;
    }
}

async fn readings(
    target: OtlpTarget,
    render: Arc<dyn Fn() -> String + Send + Sync>,
    end: CancellationToken,
    origin: Arc<Origin>,
    began: SystemTime,
) {
    let mut interval = tokio::time::interval(target.every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate, when there is nothing to tell yet.
    interval.tick().await;
    let mut sender = Sender::new(Signal::Metrics, target);
    loop {
        let is_last = tokio::select! {
            biased;
            () = end.cancelled() => true,
            _ = interval.tick() => false,
        };
        let request = metrics::encode(&render(), &origin, nanos(began), nanos(SystemTime::now()));
        sender.deliver(&request, &end).await;
        if is_last {
            return;
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    since_epoch(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Nanoseconds since the epoch, as OTLP wants them.
fn since_epoch(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
