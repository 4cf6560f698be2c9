//! Keys and variables that say where telemetry goes.

use std::path::Path;

use super::*;
use crate::config::snapshot_from_json5;

fn settings(otel: &str, env: &[(&str, &str)]) -> OtlpSettings {
    let env: Env = env.iter().copied().collect();
    let text = format!("{{diagnostics: {{otel: {otel}}}}}");
    snapshot_from_json5(&text, Path::new("/nonexistent"), &env)
        .unwrap()
        .otlp()
}

fn url(target: &Option<OtlpTarget>) -> &str {
    target.as_ref().unwrap().url.as_str()
}

#[test]
fn nothing_is_sent_unless_somebody_says_where() {
    let off = settings("{}", &[]);
    assert_eq!((off.traces, off.metrics, off.logs), (None, None, None));
    let disabled = settings("{enabled: true}", &[("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(disabled.traces, None);
    let refused = settings("{enabled: false}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]);
    assert_eq!(refused.traces, None);
}

#[test]
fn one_variable_is_enough_and_logs_are_asked_for_by_name() {
    let on = settings("{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")]);
    assert_eq!(url(&on.traces), "http://c:4318/v1/traces");
    assert_eq!(url(&on.metrics), "http://c:4318/v1/metrics");
    assert_eq!(on.logs, None);
    assert_eq!(on.resource, [("service.name".to_owned(), DEFAULT_SERVICE.to_owned())]);
    let env = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/in"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l/in"),
    ];
    let some = settings("{}", &env);
    assert_eq!((url(&some.traces), url(&some.logs)), ("http://t/in", "http://l/in"));
    assert_eq!(some.metrics, None);
}

#[test]
fn keys_and_variables_in_the_order_of_upstream() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://env-metrics/x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=a%20b,X-Other=1=2"),
        ("OTEL_SERVICE_NAME", "named"),
        ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=gw-0,service.name=other"),
    ];
    let otel = "{enabled: true, logs: true, endpoint: 'http://file:4318', tracesEndpoint: 'http://file-traces/v1/traces',
        metricsEndpoint: 'http://file-metrics/', serviceName: 'file', headers: {'x-key': 'c', 'x-file': 'd'}, sampleRate: 0.2,
        flushIntervalMs: 5}";
    let found = settings(otel, &env);
    assert_eq!(url(&found.traces), "http://file-traces/v1/traces");
    assert_eq!(url(&found.metrics), "http://file-metrics/");
    assert_eq!(url(&found.logs), "http://env:4318/v1/logs");
    let target = found.metrics.unwrap();
    let headers: Vec<_> = target
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(headers, [("x-file", "d"), ("x-key", "a b"), ("x-other", "1=2")]);
    assert_eq!(target.every, Duration::from_secs(1));
    assert_eq!(found.sampling.ratio.to_string(), "0.2");
    let resource = [("service.name", "named"), ("k8s.pod.name", "gw-0")];
    let resource = resource.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(found.resource, resource);
}

#[test]
fn grpc_takes_host_and_port_and_bad_addresses_are_named_without_their_text() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let grpc = settings("{}", &env).traces.unwrap();
    assert_eq!(
        (grpc.url.as_str(), grpc.protocol),
        ("http://collector:4317/", OtelProtocol::Grpc)
    );
    for bad in ["user:secret@", "ftp://secret", "secret"] {
        let found = settings("{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", bad)]);
        assert_eq!(found.traces, None, "{bad}");
        assert!(
            !found.problems.is_empty() && !found.problems.concat().contains("secret"),
            "{bad}"
        );
    }
    let json = settings("{}", &[env[0], ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
    assert!(json.problems.concat().contains("http/json"));
}

#[test]
fn samplers_by_their_standard_names() {
    let with = |sampler: &str, argument: &str| {
        let env = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        let found = settings("{enabled: true}", &env).sampling;
        (found.ratio, found.follows_parent)
    };
    assert_eq!(with("always_off", ""), (0.0, false));
    assert_eq!(with("parentbased_traceidratio", "0.25"), (0.25, true));
    assert_eq!(with("traceidratio", "7"), (1.0, false));
    assert_eq!(with("parentbased_always_on", "0.1"), (1.0, true));
    assert_eq!(with("xray", ""), (1.0, true));
}
