//! What metrics are called on the way to a collector.
//!
//! Metrics that upstream exports have its names, units and attributes, and those of the semantic conventions theirs, so
//! that existing dashboards find them. Every other metric keeps the name and labels it has under `/metrics`.

/// How one metric is told.
pub(super) struct Told {
    /// Name under `/metrics`.
    pub(super) from: &'static str,
    /// Name at the collector.
    pub(super) name: &'static str,
    /// Unit in UCUM.
    pub(super) unit: &'static str,
    /// Values are multiplied by this.
    pub(super) scale: f64,
    /// Label and attribute; labels that are not listed are left out.
    pub(super) attributes: &'static [(&'static str, &'static str)],
    /// Attributes that are always the same.
    pub(super) fixed: &'static [(&'static str, &'static str)],
}

const MS: f64 = 1_000.0;

const USAGE: &[(&str, &str)] = &[
    ("agent", "openclaw.agent"),
    ("channel", "openclaw.channel"),
    ("model", "openclaw.model"),
    ("provider", "openclaw.provider"),
    ("token_type", "openclaw.token"),
];
const CALL: &[(&str, &str)] = &[
    ("api", "openclaw.api"),
    ("error_category", "openclaw.errorCategory"),
    ("model", "openclaw.model"),
    ("provider", "openclaw.provider"),
    ("transport", "openclaw.transport"),
];
const CHAT: &[(&str, &str)] = &[("gen_ai.operation.name", "chat")];

const fn told(
    from: &'static str,
    name: &'static str,
    unit: &'static str,
    scale: f64,
    attributes: &'static [(&'static str, &'static str)],
    fixed: &'static [(&'static str, &'static str)],
) -> Told {
    Told {
        from,
        name,
        unit,
        scale,
        attributes,
        fixed,
    }
}

/// Every metric with a name of its own at the collector; one may be told twice.
pub(super) const TABLE: &[Told] = &[
    told(
        "openclaw_model_tokens_total",
        "openclaw.tokens",
        "{token}",
        1.0,
        USAGE,
        &[],
    ),
    told(
        "openclaw_model_cost_usd_total",
        "openclaw.cost.usd",
        "{USD}",
        1.0,
        USAGE,
        &[],
    ),
    told(
        "openclaw_run_duration_seconds",
        "openclaw.run.duration_ms",
        "ms",
        MS,
        &[
            ("channel", "openclaw.channel"),
            ("model", "openclaw.model"),
            ("outcome", "openclaw.outcome"),
            ("provider", "openclaw.provider"),
            ("trigger", "openclaw.trigger"),
        ],
        &[],
    ),
    told(
        "openclaw_model_call_duration_seconds",
        "openclaw.model_call.duration_ms",
        "ms",
        MS,
        CALL,
        &[],
    ),
    told(
        "openclaw_model_call_duration_seconds",
        "gen_ai.client.operation.duration",
        "s",
        1.0,
        &[
            ("error_category", "error.type"),
            ("model", "gen_ai.request.model"),
            ("provider", "gen_ai.provider.name"),
        ],
        CHAT,
    ),
    told(
        "openclaw_gen_ai_client_token_usage",
        "gen_ai.client.token.usage",
        "{token}",
        1.0,
        &[
            ("model", "gen_ai.request.model"),
            ("provider", "gen_ai.provider.name"),
            ("token_type", "gen_ai.token.type"),
        ],
        CHAT,
    ),
    told(
        "openclaw_model_first_event_seconds",
        "openclaw.model_call.time_to_first_byte_ms",
        "ms",
        MS,
        CALL,
        &[],
    ),
    told(
        "openclaw_model_failover_total",
        "openclaw.model.failover",
        "{failover}",
        1.0,
        &[
            ("from_model", "openclaw.model"),
            ("from_provider", "openclaw.provider"),
            ("lane", "openclaw.lane"),
            ("reason", "openclaw.failover.reason"),
            ("suspended", "openclaw.failover.suspended"),
            ("to_model", "openclaw.failover.to_model"),
            ("to_provider", "openclaw.failover.to_provider"),
        ],
        &[],
    ),
    told(
        "openclaw_queue_lane_wait_seconds",
        "openclaw.queue.wait_ms",
        "ms",
        MS,
        &[("lane", "openclaw.lane")],
        &[],
    ),
    told(
        "openclaw_session_state_total",
        "openclaw.session.state",
        "{change}",
        1.0,
        &[("reason", "openclaw.reason"), ("state", "openclaw.state")],
        &[],
    ),
    told(
        "openclaw_memory_rss_bytes",
        "openclaw.memory.rss_bytes",
        "By",
        1.0,
        &[],
        &[],
    ),
    told(
        "openclaw_http_request_duration_seconds",
        "http.server.request.duration",
        "s",
        1.0,
        &[("method", "http.request.method"), ("route", "http.route")],
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::TABLE;
    use crate::telemetry::names;

    #[test]
    fn every_line_is_about_a_metric_and_its_labels() {
        for told in TABLE {
            let metric = names::TABLE.iter().find(|metric| metric.name == told.from);
            let metric = metric.unwrap_or_else(|| panic!("{} does not exist", told.from));
            // Lists of attributes are shared, so a metric may lack some; it must not have others in silence.
            for label in metric.labels {
                let is_told = told.attributes.iter().any(|(from, _)| from == label);
                let is_semantic = told.name.starts_with("gen_ai.") || *label == "outcome";
                assert!(is_told || is_semantic, "{}: {label} is lost", told.name);
            }
        }
    }
}
