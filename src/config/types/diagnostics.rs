//! `diagnostics`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretInput;

/// Telemetry export and watch-dogs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Diagnostics {
    /// Master switch.
    pub enabled: bool,
    /// Named debug switches.
    pub flags: Vec<String>,
    /// A session in one state for longer than this is reported, ms.
    #[schemars(range(min = 1))]
    pub stuck_session_warn_ms: Option<u64>,
    /// OpenTelemetry export.
    pub otel: Otel,
}

impl Default for Diagnostics {
    fn default() -> Self {
        Self {
            enabled: true,
            flags: Vec::new(),
            stuck_session_warn_ms: None,
            otel: Otel::default(),
        }
    }
}

/// OpenTelemetry export.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Otel {
    /// Whether anything is exported; absent: if `OTEL_EXPORTER_OTLP_ENDPOINT` (or that of a signal) is set.
    pub enabled: Option<bool>,
    /// Collector URL for all signals.
    pub endpoint: Option<String>,
    /// Collector URL for traces only.
    pub traces_endpoint: Option<String>,
    /// Collector URL for metrics only.
    pub metrics_endpoint: Option<String>,
    /// Collector URL for logs only.
    pub logs_endpoint: Option<String>,
    /// Transport; absent: HTTP.
    pub protocol: Option<OtelProtocol>,
    /// Extra request headers.
    pub headers: BTreeMap<String, SecretInput>,
    /// `service.name`.
    pub service_name: Option<String>,
    /// Export traces; absent: yes.
    pub traces: Option<bool>,
    /// Export metrics; absent: yes.
    pub metrics: Option<bool>,
    /// Export logs; absent: no.
    pub logs: Option<bool>,
    /// Part of the traces that begin here and are kept.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample_rate: Option<f64>,
    /// Time between exports of metrics, ms; at least 1,000.
    pub flush_interval_ms: Option<u64>,
    /// Whether message content goes into spans.
    pub capture_content: Option<CaptureContent>,
}

impl Otel {
    /// Which content goes into spans, if any does.
    pub fn content(&self) -> Option<CaptureKinds> {
        match self.capture_content? {
            CaptureContent::All(wanted) => wanted.then_some(CaptureKinds {
                enabled: true,
                input_messages: true,
                output_messages: true,
                tool_inputs: true,
                tool_outputs: true,
                system_prompt: true,
            }),
            CaptureContent::ByKind(kinds) => kinds.enabled.then_some(kinds),
        }
    }
}

/// OTLP transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OtelProtocol {
    /// Protobuf over HTTP.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

/// All or nothing, or by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CaptureContent {
    /// Everything or nothing.
    All(bool),
    /// By kind.
    ByKind(CaptureKinds),
}

/// Which content goes into spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CaptureKinds {
    /// Master switch of this object.
    pub enabled: bool,
    /// Messages sent to the model.
    pub input_messages: bool,
    /// Answers of the model.
    pub output_messages: bool,
    /// Arguments of tool calls.
    pub tool_inputs: bool,
    /// Results of tool calls.
    pub tool_outputs: bool,
    /// The system prompt.
    pub system_prompt: bool,
}
