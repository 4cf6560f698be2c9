//! Where telemetry is sent: `diagnostics.otel` and the standard `OTEL_*` variables.
//!
//! The order is upstream's: a signal's own key, the signal's own variable, the shared variable, the shared key. Variables
//! without a key in the file mean what the OpenTelemetry specification says.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::env::Env;
use super::snapshot::Snapshot;
use super::types::diagnostics::{CaptureKinds, Otel, OtelProtocol};
use crate::base::Secret;
use crate::telemetry::span::Sampling;

const DEFAULT_SERVICE: &str = "openclaw-gateway";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const TRACES_EVERY: Duration = Duration::from_secs(5);
const LOGS_EVERY: Duration = Duration::from_secs(1);
const METRICS_EVERY: Duration = Duration::from_secs(60);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// One kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log lines.
    Logs,
}

impl Signal {
    /// Its name in paths and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    const fn in_variables(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

/// Where one signal goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpTarget {
    /// Full URL for HTTP; scheme and authority for gRPC.
    pub url: Url,
    /// Transport.
    pub protocol: OtelProtocol,
    /// Extra request headers.
    pub headers: Vec<(String, Secret)>,
    /// Longest time of one request.
    pub timeout: Duration,
    /// PEM file of further certificate authorities.
    pub certificate: Option<PathBuf>,
    /// Longest time that something waits for its export.
    pub every: Duration,
}

/// What is exported; everything off by default.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSettings {
    /// Spans.
    pub traces: Option<OtlpTarget>,
    /// Metrics.
    pub metrics: Option<OtlpTarget>,
    /// Log lines.
    pub logs: Option<OtlpTarget>,
    /// Attributes of the process, `service.name` first.
    pub resource: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// Whether calls of models are named as the newest semantic conventions say.
    pub latest_names: bool,
    /// Which content goes into spans; `None`: nothing that people and models say.
    pub content: Option<CaptureKinds>,
    /// `logging.redactPatterns`: what is masked in it besides credentials.
    pub redact_patterns: Vec<String>,
    /// What cannot be used, for the log.
    pub problems: Vec<String>,
}

impl Snapshot {
    /// Where telemetry is sent.
    pub fn otlp(&self) -> OtlpSettings {
        let (otel, env) = (&self.config.diagnostics.otel, &self.env);
        let mut reader = Reader {
            snapshot: self,
            otel,
            env,
            problems: Vec::new(),
        };
        let target = |reader: &mut Reader<'_>, signal| reader.is_on(signal).then(|| reader.target(signal)).flatten();
        OtlpSettings {
            traces: target(&mut reader, Signal::Traces),
            metrics: target(&mut reader, Signal::Metrics),
            logs: target(&mut reader, Signal::Logs),
            resource: resource(otel, env),
            sampling: sampling(otel, env),
            latest_names: env
                .get("OTEL_SEMCONV_STABILITY_OPT_IN")
                .is_some_and(|names| names.split(',').any(|name| name.trim() == "gen_ai_latest_experimental")),
            content: otel.content(),
            redact_patterns: self.config.logging.redact_patterns.clone().unwrap_or_default(),
            problems: reader.problems,
        }
    }
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    otel: &'a Otel,
    env: &'a Env,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// The variable of the signal, else the shared one.
    fn variable(&self, signal: Signal, name: &str) -> Option<&str> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.in_variables());
        self.env
            .get(&own)
            .or_else(|| self.env.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn is_on(&self, signal: Signal) -> bool {
        if !self.snapshot.config.diagnostics.enabled || self.env.is_truthy("OTEL_SDK_DISABLED") {
            return false;
        }
        let named = self.variable(signal, "ENDPOINT").is_some();
        if !self.otel.enabled.unwrap_or(named) {
            return false;
        }
        let wanted = match signal {
            Signal::Traces => self.otel.traces,
            Signal::Metrics => self.otel.metrics,
            Signal::Logs => self.otel.logs,
        };
        let exporter = self.env.get(&format!("OTEL_{}_EXPORTER", signal.in_variables()));
        wanted.unwrap_or(match exporter {
            Some(exporters) => exporters.split(',').any(|name| name.trim() == "otlp"),
            None => signal != Signal::Logs,
        })
    }

    fn protocol(&mut self, signal: Signal) -> OtelProtocol {
        match self.variable(signal, "PROTOCOL") {
            Some("grpc") => OtelProtocol::Grpc,
            Some("http/protobuf") => OtelProtocol::HttpProtobuf,
            Some(other) => {
                let text = format!(
                    "OTLP protocol \"{other}\" is not spoken here (http/protobuf, grpc); http/protobuf is used"
                );
                self.problems.push(text);
                OtelProtocol::HttpProtobuf
            }
            None => self.otel.protocol.unwrap_or(OtelProtocol::HttpProtobuf),
        }
    }

    fn target(&mut self, signal: Signal) -> Option<OtlpTarget> {
        let protocol = self.protocol(signal);
        let (text, is_full) = self.endpoint(signal, protocol);
        let url = match address(&text, is_full, signal, protocol) {
            Ok(url) => url,
            Err(reason) => {
                let signal = signal.as_str();
                self.problems
                    .push(format!("no {signal} are exported: the OTLP endpoint {reason}"));
                return None;
            }
        };
        let headers = self.headers(signal)?;
        let millis = |text: &str| text.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        let interval = |name: &str| self.env.get(name).and_then(millis);
        let every = match signal {
            Signal::Traces => interval("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(TRACES_EVERY),
            Signal::Logs => interval("OTEL_BLRP_SCHEDULE_DELAY").unwrap_or(LOGS_EVERY),
            Signal::Metrics => {
                let configured = self.otel.flush_interval_ms.map(Duration::from_millis);
                let every = configured.or_else(|| interval("OTEL_METRIC_EXPORT_INTERVAL"));
                every.unwrap_or(METRICS_EVERY).max(SHORTEST_INTERVAL)
            }
        };
        Some(OtlpTarget {
            url,
            protocol,
            headers,
            timeout: self
                .variable(signal, "TIMEOUT")
                .and_then(millis)
                .unwrap_or(DEFAULT_TIMEOUT),
            certificate: self
                .variable(signal, "CERTIFICATE")
                .map(|path| self.snapshot.paths.expand(path)),
            every,
        })
    }

    /// The address, and whether it names the signal's own path.
    fn endpoint(&self, signal: Signal, protocol: OtelProtocol) -> (String, bool) {
        let own_key = match signal {
            Signal::Traces => &self.otel.traces_endpoint,
            Signal::Metrics => &self.otel.metrics_endpoint,
            Signal::Logs => &self.otel.logs_endpoint,
        };
        let own_variable = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.in_variables());
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        if let Some(own) = filled(own_key).or_else(|| self.env.get(&own_variable).map(str::to_owned)) {
            return (own, true);
        }
        let shared = self.env.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(str::to_owned);
        let shared = shared.or_else(|| filled(&self.otel.endpoint));
        let default = match protocol {
            OtelProtocol::HttpProtobuf => "http://localhost:4318",
            OtelProtocol::Grpc => "http://localhost:4317",
        };
        (shared.unwrap_or_else(|| default.to_owned()), false)
    }

    /// Headers of the file, then those of the variables. `None`: one of them cannot be had.
    fn headers(&mut self, signal: Signal) -> Option<Vec<(String, Secret)>> {
        let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
        for (name, input) in &self.otel.headers {
            match self.snapshot.secrets.get(input) {
                Ok(Some(value)) => {
                    headers.insert(name.to_ascii_lowercase(), value);
                }
                Ok(None) => {}
                Err(reason) => {
                    let signal = signal.as_str();
                    let text = format!("no {signal} are exported: header \"{name}\" of diagnostics.otel: {reason}");
                    self.problems.push(text);
                    return None;
                }
            }
        }
        let own = format!("OTEL_EXPORTER_OTLP_{}_HEADERS", signal.in_variables());
        for variable in ["OTEL_EXPORTER_OTLP_HEADERS", &own] {
            let pairs = self.env.get(variable).map(pairs).unwrap_or_default();
            headers.extend(
                pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), Secret::new(value))),
            );
        }
        Some(headers.into_iter().collect())
    }
}

/// The URL to ask; the error says what is wrong with the text and does not repeat it, because it may hold a credential.
fn address(text: &str, is_full: bool, signal: Signal, protocol: OtelProtocol) -> Result<Url, &'static str> {
    let text = text.trim();
    // gRPC endpoints are often written as host and port.
    let text = if protocol == OtelProtocol::Grpc && !text.contains("://") {
        format!("http://{text}")
    } else {
        text.to_owned()
    };
    let mut url = Url::parse(&text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is neither http:// nor https://");
    }
    if !url.has_host() {
        return Err("names no host");
    }
    match protocol {
        OtelProtocol::Grpc => url.set_path(""),
        OtelProtocol::HttpProtobuf => {
            let path = url.path().trim_end_matches('/').to_owned();
            let names_signal = ["/v1/traces", "/v1/metrics", "/v1/logs"]
                .iter()
                .any(|end| path.ends_with(end));
            if !is_full && !names_signal {
                url.set_path(&format!("{path}/v1/{}", signal.as_str()));
            }
        }
    }
    Ok(url)
}

fn resource(otel: &Otel, env: &Env) -> Vec<(String, String)> {
    let mut attributes = env.get("OTEL_RESOURCE_ATTRIBUTES").map(pairs).unwrap_or_default();
    let listed = attributes.iter().position(|(key, _)| key == "service.name");
    let listed = listed.map(|at| attributes.remove(at).1);
    let name = env.get("OTEL_SERVICE_NAME").map(str::to_owned);
    let configured = otel.service_name.clone().filter(|name| !name.trim().is_empty());
    let name = name
        .or(configured)
        .or(listed)
        .unwrap_or_else(|| DEFAULT_SERVICE.to_owned());
    attributes.insert(0, ("service.name".to_owned(), name));
    attributes
}

fn sampling(otel: &Otel, env: &Env) -> Sampling {
    let follows = |ratio: f64| Sampling {
        ratio: ratio.clamp(0.0, 1.0),
        follows_parent: true,
    };
    if let Some(rate) = otel.sample_rate {
        return follows(rate);
    }
    let ratio = env
        .get("OTEL_TRACES_SAMPLER_ARG")
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0);
    let sampler = env.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
    let (kind, follows_parent) = match sampler.strip_prefix("parentbased_") {
        Some(kind) => (kind, true),
        None => (sampler, false),
    };
    match kind {
        "always_off" => Sampling {
            ratio: 0.0,
            follows_parent,
        },
        "traceidratio" => Sampling {
            follows_parent,
            ..follows(ratio)
        },
        "always_on" => Sampling {
            ratio: 1.0,
            follows_parent,
        },
        _ => follows(1.0),
    }
}

/// `key=value` pairs between commas, percent-encoded, as OpenTelemetry writes lists into variables.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        // A value with an `=` or `&` in it must stay one value.
        let escaped = text.trim().replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        let mut pairs = url::form_urlencoded::parse(escaped.as_bytes());
        pairs.next().map(|(key, _)| key.into_owned()).unwrap_or_default()
    };
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), decoded(value)))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}
