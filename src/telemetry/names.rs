//! The metric table: name, kind, help, labels. Labels come from closed sets or from configuration, never from content.
//!
//! Names and labels that upstream documents are kept; the others are our own.

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Distribution in seconds.
    Seconds,
    /// Distribution of token counts.
    Tokens,
    /// Distribution of sizes.
    Bytes,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// One line of help.
    pub help: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
}

macro_rules! metrics_table {
    ($($const_name:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub const $const_name: &str = $name;)*

        /// Every metric of the gateway.
        pub const TABLE: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*] },)*
        ];
    };
}

metrics_table! {
    BUILD_INFO = Gauge "openclaw_gateway_build_info" ["version"] "Version of the gateway; always 1.";
    RUN_COMPLETED = Counter "openclaw_run_completed_total" ["channel", "model", "outcome", "provider", "trigger"] "Runs that ended.";
    RUN_DURATION = Seconds "openclaw_run_duration_seconds" ["channel", "model", "outcome", "provider", "trigger"] "From the start of the model work to the end of the run.";
    MODEL_CALL = Counter "openclaw_model_call_total" ["api", "error_category", "model", "outcome", "provider", "transport"] "Requests to model providers.";
    MODEL_CALL_DURATION = Seconds "openclaw_model_call_duration_seconds" ["api", "error_category", "model", "outcome", "provider", "transport"] "Duration of requests to model providers.";
    MODEL_TOKENS = Counter "openclaw_model_tokens_total" ["agent", "channel", "model", "provider", "token_type"] "Tokens by type: input, output, cache_read, cache_write.";
    GEN_AI_TOKENS = Tokens "openclaw_gen_ai_client_token_usage" ["model", "provider", "token_type"] "Tokens of one request to a model provider, by type: input, output.";
    SESSION_QUEUE = Gauge "openclaw_session_queue_depth" ["state"] "Accepted messages of sessions: queued, processing.";
    SESSION_STATE = Counter "openclaw_session_state_total" ["reason", "state"] "Changes of the state of sessions: waiting, processing, idle.";
    MODEL_FIRST_EVENT = Seconds "openclaw_model_first_event_seconds" ["api", "model", "provider"] "From the request to the first event of an answer, retries included.";
    MODEL_FAILOVER = Counter "openclaw_model_failover_total" ["from_model", "from_provider", "lane", "reason", "suspended", "to_model", "to_provider"] "Changes to the next model of a fall-back chain.";
    MODEL_COST = Gauge "openclaw_model_cost_usd_total" ["agent", "channel", "model", "provider"] "What runs cost by the configured prices, USD; only grows.";
    RUNS_ACTIVE = Gauge "openclaw_runs_active" ["state"] "Runs that wait or work.";
    LANE_WAIT = Seconds "openclaw_queue_lane_wait_seconds" ["lane"] "Time between acceptance of a run and its turn.";
    HTTP_REQUESTS = Counter "openclaw_http_requests_total" ["method", "route", "status"] "HTTP requests of the main listener by route.";
    HTTP_DURATION = Seconds "openclaw_http_request_duration_seconds" ["method", "route"] "Time to the response head.";
    RPC_REQUESTS = Counter "openclaw_gateway_rpc_requests_total" ["method", "outcome"] "WebSocket requests by method; outcome is ok or the class of the error.";
    WS_CONNECTIONS = Gauge "openclaw_ws_connections" [] "Authenticated WebSocket connections.";
    AUTH_FAILURES = Counter "openclaw_auth_failures_total" ["surface", "reason"] "Refused credentials.";
    CONFIG_RELOADS = Counter "openclaw_config_reloads_total" ["result"] "Reload attempts: applied, rejected, unchanged.";
    CONFIG_GENERATION = Gauge "openclaw_config_generation" [] "Generation of the configuration in force.";
    READY = Gauge "openclaw_ready" [] "1 if readiness is true.";
    STORE_COMMITS = Counter "openclaw_store_commits_total" [] "Transactions that reached the disk.";
    STORE_BYTES = Gauge "openclaw_store_bytes" [] "Size of the state database.";
    EXPORTER = Counter "openclaw_telemetry_exporter_total" ["exporter", "reason", "signal", "status"] "Telemetry sent elsewhere: requests sent and failed, items dropped.";
    SERIES_DROPPED = Counter "openclaw_prometheus_series_dropped_total" [] "Series that were refused because there are too many.";
    MEMORY_RSS = Bytes "openclaw_memory_rss_bytes" [] "Resident memory over time.";
    MEMORY_BYTES = Gauge "openclaw_memory_bytes" ["kind"] "Memory of the process.";
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn names_are_unique_prefixed_and_carry_their_unit() {
        let mut seen = std::collections::HashSet::new();
        for metric in TABLE {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            assert!(metric.name.starts_with("openclaw_"), "{}", metric.name);
            match metric.kind {
                super::Kind::Counter => assert!(metric.name.ends_with("_total"), "{}", metric.name),
                super::Kind::Seconds => assert!(metric.name.ends_with("_seconds"), "{}", metric.name),
                super::Kind::Bytes => assert!(metric.name.ends_with("_bytes"), "{}", metric.name),
                super::Kind::Gauge | super::Kind::Tokens => {}
            }
        }
    }
}
