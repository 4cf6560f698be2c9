//! The log subscriber: console in three styles, the in-memory ring, one level filter that can change at run time.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, reload};

use super::ring::LogRing;
use crate::base::redact;

/// Form of console lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleStyle {
    /// `HH:MM:SS [subsystem] message`, for terminals.
    Pretty,
    /// Timestamp, subsystem, message.
    Compact,
    /// One JSON object a line.
    Json,
}

/// How to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `silent`, `fatal`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Console form; `None`: pretty on a terminal, else compact.
    pub style: Option<ConsoleStyle>,
}

/// Changes the level at run time.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, tracing_subscriber::Registry>,
    /// The newest lines.
    pub ring: LogRing,
}

impl LogControl {
    /// Sets the level for everything that follows.
    pub fn set_level(&self, level: &str) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!(target: "gateway", %error, "log level could not be changed");
        }
    }
}

fn filter(level: &str) -> EnvFilter {
    let directive = match level {
        "silent" => "off",
        "fatal" => "error",
        other => other,
    };
    // Libraries speak only when something is wrong; our own targets follow the level.
    EnvFilter::try_new(format!(
        "{directive},hyper=warn,h2=warn,tower=warn,reqwest=warn,rustls=warn"
    ))
    .unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Installs the subscriber of the process.
pub fn install(settings: &LogSettings) -> LogControl {
    let ring = LogRing::default();
    let (filter, handle) = reload::Layer::new(filter(&settings.level));
    let style = settings.style.unwrap_or(if std::io::stderr().is_terminal() {
        ConsoleStyle::Pretty
    } else {
        ConsoleStyle::Compact
    });
    let layer = GatewayLayer {
        style,
        ring: ring.clone(),
    };
    // A second installation in one process (tests) keeps the first subscriber.
    if tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .is_err()
    {
        tracing::debug!(target: "gateway", "a log subscriber is installed already");
    }
    LogControl { filter: handle, ring }
}

struct GatewayLayer {
    style: ConsoleStyle,
    ring: LogRing,
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
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
        let level = level_name(*event.metadata().level());
        let subsystem = event.metadata().target();
        let now = jiff::Zoned::now();
        let mut object = Map::new();
        object.insert(
            "time".to_owned(),
            json!(now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()),
        );
        object.insert("level".to_owned(), json!(level));
        object.insert("subsystem".to_owned(), json!(subsystem));
        object.insert("message".to_owned(), json!(fields.message));
        object.extend(fields.rest.clone());
        let line = redact::line(&Value::Object(object).to_string());
        self.console(&line, level, subsystem, &fields, &now);
        self.ring.push(line);
    }
}

impl GatewayLayer {
    fn console(&self, json_line: &str, level: &str, subsystem: &str, fields: &Fields, now: &jiff::Zoned) {
        let text = match self.style {
            ConsoleStyle::Json => format!("{json_line}\n"),
            ConsoleStyle::Compact | ConsoleStyle::Pretty => {
                let time = if self.style == ConsoleStyle::Pretty {
                    now.strftime("%H:%M:%S").to_string()
                } else {
                    now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
                };
                let mut text = format!("{time} [{}] ", short_subsystem(subsystem));
                if level == "error" || level == "warn" {
                    text.push_str(level);
                    text.push_str(": ");
                }
                text.push_str(&fields.message);
                for (key, value) in &fields.rest {
                    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    // Writing to a String cannot fail.
                    write!(text, " {key}={shown}").unwrap_or_default();
                }
                text.push('\n');
                redact::line(&text)
            }
        };
        // Logs go to stderr so that stdout stays the result of commands; a closed stderr must not stop the gateway.
        std::io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
    }
}

fn short_subsystem(target: &str) -> &str {
    let target = target.strip_prefix("openclaw::").unwrap_or(target);
    match target.strip_prefix("gateway/") {
        Some(rest) => rest,
        None => target,
    }
}
