//! Finished spans as OTLP writes them.

use super::{Origin, since_epoch};
use crate::telemetry::span::{FinishedSpan, SpanKind};
use crate::wire::otlp::{ExportTraces, ResourceSpans, ScopeSpans, Span, Status, key_value};

const ERROR: i32 = 2;
/// The span's parent may be in another process; the low bit says that it is sampled.
const FLAGS: u32 = 0x101;

pub(super) fn encode(spans: Vec<FinishedSpan>, origin: &Origin) -> ExportTraces {
    ExportTraces {
        resource_spans: vec![ResourceSpans {
            resource: Some(origin.resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(origin.scope.clone()),
                spans: spans.into_iter().map(span).collect(),
            }],
        }],
    }
}

fn span(span: FinishedSpan) -> Span {
    Span {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        name: span.name.into_owned(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        },
        start_time_unix_nano: since_epoch(span.start),
        end_time_unix_nano: since_epoch(span.end),
        attributes: span
            .attributes
            .into_iter()
            .map(|(key, value)| key_value(key, value.into()))
            .collect(),
        status: span.error.map(|class| Status {
            message: class.into_owned(),
            code: ERROR,
        }),
        flags: FLAGS,
    }
}
