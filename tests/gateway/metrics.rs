//! What the gateway counts of itself, as a scraper reads it.

use serde_json::json;

use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, user_says, user_says_as};
use crate::support::model::ModelDouble;

async fn scrape(gateway: &TestGateway) -> String {
    reqwest::Client::builder()
        .build()
        .unwrap()
        .get(gateway.url("/api/diagnostics/prometheus"))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

/// The value of the one sample of `name` whose labels contain all of `labels`.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    let mut found = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
            && wanted.iter().all(|label| line.contains(label))
    });
    let line = found.next()?;
    assert!(found.next().is_none(), "several samples of {name} {labels:?}");
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn http_requests_are_counted_by_route_method_and_status_and_timed() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    for _ in 0..2 {
        assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    }
    assert_eq!(gateway.chat(&json!({"model": "openclaw"})).await.0, 400);
    let http = reqwest::Client::builder().build().unwrap();
    for path in ["/no/such/place-1", "/no/such/place-2"] {
        let answer = http.get(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }
    let odd = reqwest::Method::from_bytes(b"BREW").unwrap();
    http.request(odd, gateway.url("/healthz")).send().await.unwrap();
    let text = scrape(&gateway).await;
    let count = |route, method, status| {
        let labels = [("route", route), ("method", method), ("status", status)];
        value(&text, "openclaw_http_requests_total", &labels)
    };
    assert_eq!(count("/v1/chat/completions", "POST", "200"), Some(2.0));
    assert_eq!(count("/v1/chat/completions", "POST", "400"), Some(1.0));
    assert_eq!(count("unknown", "GET", "404"), Some(2.0));
    assert_eq!(count("/healthz", "other", "405"), Some(1.0));
    assert!(
        !text.contains("place-1") && !text.contains("BREW"),
        "a label grows with what clients send"
    );
    let chat = [("route", "/v1/chat/completions"), ("method", "POST")];
    let timed = |name| value(&text, name, &chat).unwrap();
    assert_eq!(timed("openclaw_http_request_duration_seconds_count"), 3.0);
    let sum = timed("openclaw_http_request_duration_seconds_sum");
    assert!(sum > 0.0 && sum < 30.0, "{sum}");
}

#[tokio::test]
async fn websocket_requests_are_counted_by_method_and_outcome() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let mut client = gateway.operator().await;
    for _ in 0..3 {
        client.ok("system-presence", json!({})).await;
    }
    client.ok("models.list", json!({})).await;
    client.err("chat.send", json!({"sessionKey": "main"})).await;
    client.err("no.such.method-7", json!({})).await;
    let text = eventually("all requests are counted", async || {
        let text = scrape(&gateway).await;
        value(&text, "openclaw_gateway_rpc_requests_total", &[("method", "unknown")])?;
        Some(text)
    })
    .await;
    let count = |method, outcome| {
        let labels = [("method", method), ("outcome", outcome)];
        value(&text, "openclaw_gateway_rpc_requests_total", &labels)
    };
    assert_eq!(count("system-presence", "ok"), Some(3.0));
    assert_eq!(count("models.list", "ok"), Some(1.0));
    assert_eq!(count("chat.send", "invalid_request"), Some(1.0));
    assert_eq!(count("unknown", "invalid_request"), Some(1.0));
    assert!(!text.contains("method-7"), "a label grows with what clients send");
}

#[tokio::test]
async fn tokens_of_model_calls_are_distributed_by_kind() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    let text = scrape(&gateway).await;
    for kind in ["input", "output"] {
        let labels = [("model", "m1"), ("provider", "double"), ("token_type", kind)];
        let counted = value(&text, "openclaw_gen_ai_client_token_usage_count", &labels);
        assert_eq!(counted, Some(1.0), "{kind}:\n{text}");
    }
}

#[tokio::test]
async fn states_of_sessions_are_counted_and_no_series_is_refused() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let named = |text: &str| user_says_as("ann", text);
    let (first, second) = (named("first [[slow:20]]"), named("second [[status:400]]"));
    let after = async {
        eventually("the first turn is at work", async || {
            (!model.seen_with("first").is_empty()).then_some(())
        })
        .await;
        gateway.chat(&second).await
    };
    let (one, two) = tokio::join!(gateway.chat(&first), after);
    assert_eq!((one.0, two.0), (200, 400));
    // Nothing of this is a session.
    assert_eq!(gateway.chat(&user_says("alone")).await.0, 200);
    let text = scrape(&gateway).await;
    let count = |state, reason| {
        let labels = [("state", state), ("reason", reason)];
        value(&text, "openclaw_session_state_total", &labels)
    };
    assert_eq!(count("processing", "run_started"), Some(2.0), "{text}");
    assert_eq!(count("waiting", "message_queued"), Some(1.0));
    assert_eq!(count("idle", "run_completed"), Some(1.0));
    assert_eq!(count("idle", "run_error"), Some(1.0));
    assert!(
        text.contains("\nopenclaw_prometheus_series_dropped_total 0\n"),
        "{text}"
    );
}
