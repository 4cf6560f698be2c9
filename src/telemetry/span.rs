//! Spans: what took how long within which trace.
//!
//! A [`Tracer`] that nobody exports from costs a load of a pointer. A span ends when it is dropped, so cancelled work is
//! recorded too, and goes into a bounded queue; if the exporter does not keep up, spans are dropped and counted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::events::ExporterState;
use super::redaction::Redaction;
use super::trace::TraceContext;

/// Most attributes of a span.
const MAX_ATTRIBUTES: usize = 64;

/// Whose side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Within this process.
    Internal,
    /// Answers a request from outside.
    Server,
    /// Asks another service.
    Client,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Text.
    Text(Cow<'static, str>),
    /// Whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Names from a closed set.
    Names(Vec<&'static str>),
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for AttributeValue {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Vec<&'static str>> for AttributeValue {
    fn from(names: Vec<&'static str>) -> Self {
        Self::Names(names)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A span that is over.
#[derive(Debug, Clone)]
pub struct FinishedSpan {
    /// Where it belongs; `span_id` is its own.
    pub context: TraceContext,
    /// The span it is part of; `None`: it began the trace.
    pub parent: Option<[u8; 8]>,
    /// Name from a closed set, or with a configured model in it.
    pub name: Cow<'static, str>,
    /// Kind.
    pub kind: SpanKind,
    /// Since the epoch.
    pub start: Duration,
    /// Since the epoch; never before `start`, whatever the clock does.
    pub end: Duration,
    /// Attributes in the order they were set.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Class of the failure, if it failed.
    pub error: Option<Cow<'static, str>>,
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Part of the traces that begin here, 0 to 1.
    pub ratio: f64,
    /// Whether a trace that began elsewhere is recorded as its beginner says.
    pub follows_parent: bool,
}

impl Sampling {
    fn keeps(self, trace_id: [u8; 16], parent: Option<bool>) -> bool {
        if let Some(sampled) = parent.filter(|_| self.follows_parent) {
            return sampled;
        }
        // The last 56 bits are random, and every service that samples by them decides alike.
        let [.., a, b, c, d, e, f, g] = trace_id;
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
        let share = random as f64 / (1_u64 << 56) as f64;
        share < self.ratio
    }
}

/// Where finished spans go.
#[derive(Debug)]
pub struct SpanSink {
    /// The exporter's queue.
    pub queue: mpsc::Sender<FinishedSpan>,
    /// Which are recorded.
    pub sampling: Sampling,
    /// Whether calls of models are named as the newest semantic conventions say.
    pub latest_names: bool,
    /// Which content is recorded; `None`: nothing that people and models say.
    pub content: Option<ContentPolicy>,
}

/// Content that somebody wants in spans, and what is masked in it.
#[derive(Debug, Clone, Default)]
pub struct ContentPolicy {
    /// Messages sent to the model.
    pub input_messages: bool,
    /// Answers of the model.
    pub output_messages: bool,
    /// The system prompt.
    pub system_prompt: bool,
    /// Arguments of tool calls.
    pub tool_inputs: bool,
    /// Results of tool calls.
    pub tool_outputs: bool,
    /// Masks secrets.
    pub redaction: Redaction,
}

/// Begins spans; cheap to clone. Without a sink nothing is recorded and incoming contexts are passed on as they are.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Arc<ArcSwapOption<SpanSink>>);

impl Tracer {
    /// Puts a sink in force for spans that begin from now on; `None`: nothing is recorded.
    pub fn install(&self, sink: Option<SpanSink>) {
        self.0.store(sink.map(Arc::new));
    }

    /// Whether anybody wants spans.
    pub fn is_on(&self) -> bool {
        self.0.load().is_some()
    }

    /// Whether calls of models are named as the newest semantic conventions say.
    pub fn has_latest_names(&self) -> bool {
        self.0.load().as_ref().is_some_and(|sink| sink.latest_names)
    }

    /// Begins a span now.
    pub fn start(&self, name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<TraceContext>) -> Span {
        let guard = self.0.load();
        let Some(sink) = guard.as_ref() else {
            return Span {
                context: parent,
                recording: None,
            };
        };
        let trace_id = parent.map_or_else(rand::random, |parent| parent.trace_id);
        let context = TraceContext {
            trace_id,
            span_id: rand::random(),
            sampled: sink.sampling.keeps(trace_id, parent.map(|parent| parent.sampled)),
        };
        let recording = context.sampled.then(|| {
            Box::new(Recording {
                sink: Arc::clone(sink),
                tracer: self.clone(),
                began: Instant::now(),
                span: FinishedSpan {
                    context,
                    parent: parent.map(|parent| parent.span_id),
                    name: name.into(),
                    kind,
                    start: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                    end: Duration::ZERO,
                    attributes: Vec::new(),
                    error: None,
                },
            })
        });
        Span {
            context: Some(context),
            recording,
        }
    }
}

#[derive(Debug)]
struct Recording {
    /// As it was at the beginning.
    sink: Arc<SpanSink>,
    tracer: Tracer,
    began: Instant,
    span: FinishedSpan,
}

/// Work in progress. Ends when dropped.
#[derive(Debug)]
pub struct Span {
    context: Option<TraceContext>,
    recording: Option<Box<Recording>>,
}

impl Span {
    /// What children and outgoing requests name as their parent.
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Whether attributes are of any use.
    pub fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Which content may be set; `None`: none, or nobody records the span.
    pub fn content(&self) -> Option<&ContentPolicy> {
        self.recording.as_ref()?.sink.content.as_ref()
    }

    /// Says something about the work. Values come from closed sets, from configuration, or are ids; content only as
    /// [`Span::content`] allows.
    pub fn set(&mut self, key: &'static str, value: impl Into<AttributeValue>) {
        if let Some(recording) = &mut self.recording
            && recording.span.attributes.len() < MAX_ATTRIBUTES
        {
            recording.span.attributes.push((key, value.into()));
        }
    }

    /// Text that is copied only if the span is recorded.
    pub fn set_text(&mut self, key: &'static str, text: &str) {
        if self.is_recorded() {
            self.set(key, text.to_owned());
        }
    }

    /// The work failed; `class` comes from a closed set.
    pub fn fail(&mut self, class: impl Into<Cow<'static, str>>) {
        if let Some(recording) = &mut self.recording {
            recording.span.error = Some(class.into());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(recording) = self.recording.take() else {
            return;
        };
        let Recording {
            tracer,
            began,
            mut span,
            ..
        } = *recording;
        span.end = span.start + began.elapsed();
        // Whoever exports now: a long run outlives changes of the settings.
        if let Some(sink) = tracer.0.load().as_ref()
            && sink.queue.try_send(span).is_err()
        {
            ExporterState::Dropped {
                signal: "traces",
                items: 1,
            }
            .emit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(ratio: f64, room: usize) -> (Tracer, mpsc::Receiver<FinishedSpan>) {
        let (queue, spans) = mpsc::channel(room);
        let tracer = Tracer::default();
        tracer.install(Some(SpanSink {
            queue,
            sampling: Sampling {
                ratio,
                follows_parent: true,
            },
            latest_names: false,
            content: None,
        }));
        (tracer, spans)
    }

    fn incoming(sampled: bool) -> TraceContext {
        TraceContext {
            trace_id: [7; 16],
            span_id: [9; 8],
            sampled,
        }
    }

    #[test]
    fn children_belong_to_the_trace_of_their_parent_and_end_when_dropped() {
        let (tracer, mut spans) = tracer(1.0, 8);
        let mut parent = tracer.start("parent", SpanKind::Server, Some(incoming(true)));
        parent.set("n", 3_u64);
        let mut child = tracer.start("child", SpanKind::Client, parent.context());
        child.fail("timeout");
        drop(child);
        drop(parent);
        let (child, parent) = (spans.try_recv().unwrap(), spans.try_recv().unwrap());
        assert_eq!(parent.parent, Some([9; 8]));
        assert_eq!(child.parent, Some(parent.context.span_id));
        assert_eq!((child.context.trace_id, parent.context.trace_id), ([7; 16], [7; 16]));
        assert_eq!(child.error.as_deref(), Some("timeout"));
        assert_eq!(parent.attributes, [("n", AttributeValue::Int(3))]);
        assert!(parent.start <= child.start && child.end <= parent.end + Duration::from_millis(1));
    }

    #[test]
    fn a_span_that_outlives_a_change_goes_to_the_new_sink() {
        let (tracer, mut old) = tracer(1.0, 8);
        let span = tracer.start("long", SpanKind::Internal, None);
        let (other, mut new) = self::tracer(1.0, 8);
        tracer.0.store(other.0.load_full());
        drop(span);
        assert!(old.try_recv().is_err());
        assert_eq!(new.try_recv().unwrap().name, "long");
        let span = tracer.start("late", SpanKind::Internal, None);
        tracer.install(None);
        drop(span);
        assert!(new.try_recv().is_err(), "nobody exports any more");
    }

    #[test]
    fn the_beginner_of_a_trace_decides_whether_it_is_recorded() {
        let (always, mut spans) = tracer(1.0, 8);
        let span = always.start("s", SpanKind::Internal, Some(incoming(false)));
        assert!(!span.is_recorded());
        assert!(
            !span.context().unwrap().sampled,
            "providers hear that it is not recorded"
        );
        drop(span);
        assert!(spans.try_recv().is_err());
        let (never, _spans) = tracer(0.0, 8);
        assert!(never.start("s", SpanKind::Internal, Some(incoming(true))).is_recorded());
        assert!(!never.start("s", SpanKind::Internal, None).is_recorded());
    }

    #[test]
    fn a_share_is_kept_by_the_trace_id() {
        let half = Sampling {
            ratio: 0.5,
            follows_parent: false,
        };
        let id = |last: u8| {
            let mut id = [0; 16];
            id[9] = last;
            id
        };
        assert!(half.keeps(id(0x7f), Some(false)));
        assert!(!half.keeps(id(0x80), Some(true)));
    }

    #[test]
    fn without_a_sink_contexts_pass_through_and_a_full_queue_drops() {
        let span = Tracer::default().start("s", SpanKind::Internal, Some(incoming(true)));
        assert_eq!(span.context(), Some(incoming(true)));
        assert!(!span.is_recorded());
        let (tracer, mut spans) = tracer(1.0, 1);
        for _ in 0..3 {
            drop(tracer.start("s", SpanKind::Internal, None));
        }
        assert!(spans.try_recv().is_ok() && spans.try_recv().is_err());
    }
}
