//! What an OpenTelemetry collector gets, and what becomes of a gateway whose collector is in trouble.

use openclaw::wire::otlp::metric::Data;
use openclaw::wire::otlp::{Metric, Span};
use serde_json::{Value, json};

use crate::support::collector::{Collector, text};
use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, user_says, user_says_as, with};
use crate::support::model::ModelDouble;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Nothing waits for company here.
fn prompt(gateway: &mut TestGateway, extra: &[(&str, &str)]) {
    let fixed = [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_BLRP_SCHEDULE_DELAY", "50")];
    let all = fixed.iter().chain(extra);
    gateway
        .env
        .extend(all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
}

async fn started(config: &Value, env: &[(&str, &str)]) -> TestGateway {
    let mut gateway = TestGateway::prepare(config);
    prompt(&mut gateway, env);
    gateway.spawn();
    gateway.wait_ready().await;
    gateway
}

async fn spans(collector: &Collector, count: usize) -> Vec<Span> {
    eventually("the spans arrive", async || {
        let spans = collector.spans();
        (spans.len() >= count).then_some(spans)
    })
    .await
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(
        found.len(),
        1,
        "{name} in {:?}",
        spans.iter().map(|span| &span.name).collect::<Vec<_>>()
    );
    found[0]
}

#[tokio::test]
async fn one_request_is_one_trace_from_the_caller_to_the_provider() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let url = collector.url();
    let gateway = started(&config(&model.base_url()), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    let answer = reqwest::Client::builder().build().unwrap()
        .post(gateway.url("/v1/chat/completions"))
        .bearer_auth(TOKEN)
        .header("traceparent", CALLER)
        .json(&json!({"model": "openclaw", "stream": true, "user": "somebody-7", "messages": [{"role": "user", "content": "a private question"}]}))
        .send()
        .await
        .unwrap();
    assert!(answer.text().await.unwrap().contains("[DONE]"));
    let spans = spans(&collector, 3).await;
    let server = named(&spans, "POST /v1/chat/completions");
    let run = named(&spans, "openclaw.run");
    let call = named(&spans, "openclaw.model.call");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for span in [server, run, call] {
        assert_eq!(hex(&span.trace_id), trace);
        assert!(span.status.is_none() && span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    assert_eq!(hex(&server.parent_span_id), "b7ad6b7169203331");
    assert_eq!(run.parent_span_id, server.span_id);
    assert_eq!(call.parent_span_id, run.span_id);
    assert_eq!((server.kind, run.kind, call.kind), (2, 1, 3));
    assert!(
        server.end_time_unix_nano >= call.end_time_unix_nano,
        "a stream ends with its last byte"
    );
    let told = &model.seen()[0].traceparent;
    assert_eq!(
        told.as_deref(),
        Some(format!("00-{trace}-{}-01", hex(&call.span_id)).as_str())
    );
    assert_eq!(text(&server.attributes, "http.response.status_code").unwrap(), "200");
    assert_eq!(text(&run.attributes, "openclaw.outcome").unwrap(), "completed");
    assert_eq!(text(&call.attributes, "gen_ai.request.model").unwrap(), "m1");
    assert_eq!(text(&call.attributes, "gen_ai.provider.name").unwrap(), "double");
    assert!(text(&call.attributes, "gen_ai.usage.input_tokens").is_some());
    for sent in collector.sent() {
        let whole = String::from_utf8_lossy(&sent.message).into_owned();
        for secret in ["private question", "somebody-7", TOKEN, "sk-double-secret-key-1"] {
            assert!(!whole.contains(secret), "{} holds {secret:?}", sent.path);
        }
    }
}

#[tokio::test]
async fn failures_and_websocket_runs_have_spans_too() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let url = collector.url();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental"),
    ];
    let gateway = started(&config(&model.base_url()), &env).await;
    let (status, _) = gateway.chat(&user_says("[[status:401]]")).await;
    assert!(status >= 400);
    let seen = spans(&collector, 3).await;
    let call = named(&seen, "chat m1");
    assert_eq!(call.status.as_ref().unwrap().code, 2);
    assert_eq!(text(&call.attributes, "error.type").unwrap(), "auth");
    assert_eq!(
        text(&named(&seen, "openclaw.run").attributes, "openclaw.outcome").unwrap(),
        "error"
    );
    let mut client = gateway.operator().await;
    let sent = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "otlp-1"});
    client.ok("chat.send", sent).await;
    let seen = spans(&collector, 5).await;
    let run = seen.iter().rfind(|span| span.name == "openclaw.run").unwrap();
    assert!(run.parent_span_id.is_empty(), "a run that nobody traced begins a trace");
    assert_eq!(text(&run.attributes, "openclaw.trigger").unwrap(), "chat");
}

#[tokio::test]
async fn content_is_told_only_as_far_as_somebody_asked_for_it() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let capture = json!({"enabled": true, "inputMessages": true});
    let otel = json!({"enabled": true, "endpoint": collector.url(), "metrics": false, "captureContent": capture});
    let gateway = started(&with(config(&model.base_url()), "diagnostics.otel", otel), &[]).await;
    assert_eq!(
        gateway
            .chat(&user_says(
                "a question with sk-abcdefghijklmnopqrst in it [[say:the answer]]"
            ))
            .await
            .0,
        200
    );
    let seen = spans(&collector, 3).await;
    let call = &named(&seen, "openclaw.model.call").attributes;
    for key in ["openclaw.content.input_messages", "gen_ai.input.messages"] {
        let input: Value = serde_json::from_str(&text(call, key).unwrap()).unwrap();
        let said = input[0]["parts"][0]["content"].as_str().unwrap();
        assert!(
            said.starts_with("a question with ") && !said.contains("klmnopqrst"),
            "{said}"
        );
    }
    assert_eq!(text(call, "openclaw.content.output_messages"), None);
    assert_eq!(text(call, "openclaw.content.system_prompt"), None);
}

fn point<'a>(metrics: &'a [Metric], name: &str) -> &'a Metric {
    metrics
        .iter()
        .find(|metric| metric.name == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test]
async fn metrics_come_when_due_and_a_last_time_at_the_end() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let otel = json!({"enabled": true, "endpoint": collector.url(), "serviceName": "home", "traces": false});
    let config = with(config(&model.base_url()), "diagnostics.otel", otel);
    let mut gateway = started(&config, &[("OTEL_RESOURCE_ATTRIBUTES", "host.name=here")]).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    gateway.signal("TERM");
    gateway.wait_exit().await;
    let (resource, metrics) = collector
        .metrics()
        .expect("the last metrics are sent before the process ends");
    assert_eq!(text(&resource.attributes, "service.name").unwrap(), "home");
    assert_eq!(text(&resource.attributes, "host.name").unwrap(), "here");
    assert!(text(&resource.attributes, "service.instance.id").is_some());
    let Some(Data::Sum(tokens)) = &point(&metrics, "openclaw.tokens").data else {
        panic!("tokens are a sum");
    };
    assert!(tokens.is_monotonic && tokens.aggregation_temporality == 2);
    assert!(
        tokens
            .data_points
            .iter()
            .any(|point| text(&point.attributes, "openclaw.token").unwrap() == "output")
    );
    let Some(Data::Histogram(calls)) = &point(&metrics, "gen_ai.client.operation.duration").data else {
        panic!("durations are histograms");
    };
    let call = &calls.data_points[0];
    assert_eq!((call.count, call.bucket_counts.iter().sum::<u64>()), (1, 1));
    assert_eq!(call.bucket_counts.len(), call.explicit_bounds.len() + 1);
    point(&metrics, "openclaw_ready");
    assert!(collector.spans().is_empty(), "traces are off");
}

#[tokio::test]
async fn log_lines_name_the_trace_they_belong_to() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let otel = json!({"enabled": true, "endpoint": collector.url(), "logs": true});
    let config = with(config(&model.base_url()), "diagnostics.otel", otel);
    let gateway = started(&with(config, "logging.level", json!("debug")), &[]).await;
    assert_eq!(gateway.chat(&user_says_as("ann", "hi")).await.0, 200);
    let line = eventually("the line about the run arrives", async || {
        let is_it = |body: &openclaw::wire::otlp::LogRecord| format!("{:?}", body.body).contains("run finished");
        collector.logs().into_iter().find(is_it)
    })
    .await;
    let run = named(&spans(&collector, 3).await, "openclaw.run").clone();
    assert_eq!((line.trace_id, line.span_id), (run.trace_id, run.span_id));
    assert_eq!(line.severity_text, "DEBUG");
    assert_eq!(text(&line.attributes, "agent").unwrap(), "main");
}

#[tokio::test]
async fn grpc_is_spoken_as_well() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let url = collector.url();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"),
    ];
    let gateway = started(&config(&model.base_url()), &env).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    spans(&collector, 3).await;
    let sent = &collector.sent()[0];
    assert_eq!(sent.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(sent.headers["x-tenant"], "blue");
    assert_eq!(sent.headers["te"], "trailers");
}

#[tokio::test]
async fn a_collector_in_trouble_costs_nothing_and_gets_the_spans_later() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let url = collector.url();
    collector.refuse(503);
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let gateway = started(&config(&model.base_url()), &env).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    let log = gateway.logged("telemetry is not taken: HTTP status 503").await;
    eventually("it is tried again", async || (collector.refused() >= 2).then_some(())).await;
    assert_eq!(log.matches("telemetry is not taken").count(), 1, "said once");
    collector.refuse(0);
    spans(&collector, 3).await;
    gateway.logged("takes telemetry again").await;
    collector.refuse(401);
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    let wanted = "openclaw_telemetry_exporter_total{exporter=\"otlp\",reason=\"unauthorized\",signal=\"traces\",status=\"failed\"} 1";
    eventually("the loss is counted", async || {
        let scrape = reqwest::Client::builder()
            .build()
            .unwrap()
            .get(gateway.url("/api/diagnostics/prometheus"))
            .bearer_auth(TOKEN);
        let text = scrape.send().await.unwrap().text().await.unwrap();
        text.contains(wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_running_gateway_begins_and_ends_to_export_as_its_file_says() {
    let (model, collector) = (ModelDouble::start().await, Collector::start().await);
    let plain = config(&model.base_url());
    let gateway = started(&plain, &[]).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    gateway.write_config(&with(
        plain.clone(),
        "diagnostics.otel",
        json!({"enabled": true, "endpoint": collector.url(), "metrics": false}),
    ));
    eventually("spans of new requests arrive", async || {
        assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
        (!collector.spans().is_empty()).then_some(())
    })
    .await;
    gateway.write_config(&plain);
    gateway.logged("config hot reload applied (diagnostics)").await;
    eventually("requests are not traced any more", async || {
        assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
        model.seen().last().unwrap().traceparent.is_none().then_some(())
    })
    .await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    let seen = model.seen();
    let traced: Vec<&str> = seen.iter().filter_map(|seen| seen.traceparent.as_deref()).collect();
    for span in collector.spans() {
        let id = hex(&span.trace_id);
        assert!(
            traced.iter().any(|traced| traced.contains(&id)),
            "{} is of no traced request",
            span.name
        );
    }
    assert_eq!(seen.last().unwrap().traceparent, None);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
