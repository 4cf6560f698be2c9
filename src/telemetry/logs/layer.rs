//! From an event to its line: console, file, memory. Each line is made and masked once.

use std::io::{self, Write as _};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Active;
use super::console;
use super::mirror::LogMirror;
use crate::base::line_file::LineFile;
use crate::telemetry::ring::LogRing;

/// The layer of the process.
pub(super) struct GatewayLayer {
    pub(super) active: Arc<ArcSwap<Active>>,
    /// Standard error; `None`: the system had no thread for it, so lines are written where they arise.
    pub(super) console: Option<LineFile>,
    pub(super) ring: LogRing,
    pub(super) mirror: LogMirror,
}

/// What an event says.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) rest: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.rest
                .insert(field.name().to_owned(), Value::String(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.rest
                .insert(field.name().to_owned(), Value::String(value.to_owned()));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.rest.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.rest.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.rest.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.rest.insert(field.name().to_owned(), value.into());
    }
}

/// Fields of a span, kept for the lines logged inside it.
struct SpanFields(Map<String, Value>);

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl<S> Layer<S> for GatewayLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attrs: &tracing::span::Attributes<'_>, id: &tracing::span::Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(SpanFields(fields.rest));
        }
    }

    fn on_record(&self, id: &tracing::span::Id, values: &tracing::span::Record<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = ctx.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<SpanFields>()
        {
            known.0.extend(fields.rest);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(scope) = ctx.event_scope(event) {
            for span in scope {
                if let Some(known) = span.extensions().get::<SpanFields>() {
                    for (key, value) in &known.0 {
                        fields.rest.entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
            }
        }
        let active = self.active.load();
        let level = *event.metadata().level();
        let subsystem = event.metadata().target();
        let now = jiff::Zoned::now();
        let mut object = Map::new();
        object.insert(
            "time".to_owned(),
            json!(now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()),
        );
        object.insert("level".to_owned(), json!(level_name(level)));
        object.insert("subsystem".to_owned(), json!(subsystem));
        object.insert("message".to_owned(), json!(fields.message));
        object.extend(fields.rest.clone());
        let line = active.redaction.line(&Value::Object(object).to_string());
        if active.console_level.shows(level) {
            let shown = console::line(&active, &line, level_name(level), subsystem, &fields, &now);
            match &self.console {
                Some(console) => console.push(shown),
                None => io::stderr()
                    .lock()
                    .write_all(format!("{shown}\n").as_bytes())
                    .unwrap_or_default(),
            }
        }
        if active.file_level.shows(level) {
            self.mirror.push(subsystem, &line);
            if let Some(file) = &active.file {
                file.lines.push(line.clone());
            }
        }
        self.ring.push(line);
    }
}
