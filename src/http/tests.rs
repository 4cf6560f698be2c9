//! Routes, order of checks, headers and error shapes, through the surface's only entry.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fixtures::{Rig, all_on, body_json, completed, end, text};
use crate::config::AuthMode;
use crate::health::fixtures::snapshot_from;
use crate::lifecycle::Phase;
use crate::live::Live;
use crate::models::Registry;

const ADMIN: (&str, &str) = ("authorization", "Bearer admin");

#[tokio::test]
async fn every_response_has_an_id_and_the_security_headers() {
    let rig = Rig::on(Vec::new());
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/nope"),
        ("POST", "/v1/nope"),
        ("GET", "/v1/models"),
    ] {
        let response = rig.send(method, path, &[("x-request-id", "abc")], "").await;
        let headers = response.headers();
        assert_eq!(headers["x-request-id"], "abc", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(
            headers["permissions-policy"],
            "camera=(), microphone=(self), geolocation=()"
        );
        assert!(!headers.contains_key("strict-transport-security"));
    }
}

#[tokio::test]
async fn the_method_is_checked_before_the_caller() {
    let rig = Rig::on(Vec::new());
    for (method, path, allow) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/models", "GET"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ] {
        let response = rig.send(method, path, &[], "").await;
        assert_eq!(response.status(), 405, "{method} {path}");
        assert_eq!(response.headers()["allow"], allow);
        let body = text(response).await;
        assert_eq!(body, if method == "HEAD" { "" } else { "Method Not Allowed" });
    }
}

#[tokio::test]
async fn refusals_have_their_documented_shapes() {
    let rig = Rig::on(Vec::new());
    let response = rig.send("GET", "/v1/models", &[], "").await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let body = body_json(response).await;
    assert_eq!(
        (&body["error"]["message"], &body["error"]["type"]),
        (&json!("Unauthorized"), &json!("unauthorized"))
    );

    let response = rig
        .send("GET", "/v1/models", &[("authorization", "Bearer locked")], "")
        .await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"45".parse().unwrap())
    );

    let reader = ("authorization", "Bearer reader");
    let response = rig.send("POST", "/v1/chat/completions", &[reader], "{}").await;
    assert_eq!(response.status(), 403);
    assert_eq!(
        body_json(response).await,
        json!({"ok": false, "error": {"type": "forbidden", "message": "missing scope: operator.write"}})
    );
}

#[tokio::test]
async fn unknown_paths_are_json_under_v1_and_text_elsewhere() {
    let rig = Rig::on(Vec::new());
    for method in ["GET", "POST"] {
        let response = rig.send(method, "/v1/completions-nope", &[], "").await;
        assert_eq!(response.status(), 404);
        let error = body_json(response).await["error"].clone();
        for key in ["message", "type", "param", "code"] {
            assert!(error.get(key).is_some(), "{key}");
        }
        for path in ["/nope", "/readyz/", "/metrics", "/api/nope"] {
            let response = rig.send(method, path, &[], "").await;
            assert_eq!(response.status(), 404, "{path}");
            assert_eq!(text(response).await, "Not Found");
        }
    }
}

#[tokio::test]
async fn endpoints_that_are_off_do_not_exist_and_follow_the_live_configuration() {
    let rig = Rig::new(json!({}), AuthMode::Token, Vec::new());
    assert_eq!(rig.send("GET", "/v1/models", &[ADMIN], "").await.status(), 404);
    let mut on = snapshot_from(all_on(), AuthMode::Token);
    Arc::get_mut(&mut on).unwrap().generation = 2;
    rig.live.commit(Live {
        snapshot: on,
        models: Arc::new(Registry::default()),
    });
    let response = rig.send("GET", "/v1/models", &[ADMIN], "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(body_json(response).await["data"][2]["id"], "openclaw/main");
}

#[tokio::test]
async fn probes_answer_without_credentials_and_head_without_body() {
    let rig = Rig::on(Vec::new());
    for path in ["/healthz", "/health", "/readyz", "/ready", "/startupz", "/startup"] {
        let response = rig.send("HEAD", path, &[], "").await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(text(response).await, "");
    }
    let response = rig.send("GET", "/healthz", &[], "").await;
    assert_eq!(text(response).await, r#"{"ok":true,"status":"live"}"#);
}

#[tokio::test]
async fn only_local_and_authenticated_callers_learn_what_is_failing() {
    const FORWARDED: (&str, &str) = ("x-forwarded-for", "203.0.113.7");
    let rig = Rig::on(Vec::new());
    rig.lifecycle.advance(Phase::Draining);
    let response = rig.send("GET", "/readyz", &[], "").await;
    assert_eq!(response.status(), 503);
    let body = body_json(response).await;
    assert_eq!(
        (&body["ready"], &body["failing"]),
        (&json!(false), &json!(["draining"]))
    );
    assert!(body["uptimeMs"].is_u64() && body["eventLoop"].is_object());
    for (headers, is_full) in [
        (vec![FORWARDED], false),
        (vec![FORWARDED, ("authorization", "Bearer wrong")], false),
        (vec![FORWARDED, ADMIN], true),
    ] {
        let body = body_json(rig.send("GET", "/readyz", &headers, "").await).await;
        assert_eq!(body.get("failing").is_some(), is_full, "{headers:?}");
    }
    let open = Rig::new(all_on(), AuthMode::None, Vec::new());
    let body = body_json(open.send("GET", "/readyz", &[FORWARDED, ADMIN], "").await).await;
    assert_eq!(body, json!({"ready": true}));
}

#[tokio::test]
async fn metrics_need_a_caller_here_and_none_on_the_management_surface() {
    let rig = Rig::on(Vec::new());
    let path = "/api/diagnostics/prometheus";
    assert_eq!(rig.send("GET", path, &[], "").await.status(), 401);
    assert_eq!(text(rig.send("GET", path, &[ADMIN], "").await).await, "openclaw_up 1\n");

    let ports = &rig.surface.0.ports;
    let management = super::Management::new(ports.probes.clone(), Arc::clone(&ports.metrics));
    for (path, status) in [
        ("/metrics", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/startupz", 200),
        ("/", 404),
        ("/v1/models", 404),
        ("/api/diagnostics/prometheus", 404),
    ] {
        let request = http::Request::get(path).body(()).unwrap();
        assert_eq!(management.answer(&request).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn while_draining_new_runs_are_refused_and_connections_end() {
    let rig = Rig::on(vec![end(completed("never"))]);
    rig.lifecycle.advance(Phase::Draining);
    let response = rig
        .chat(&[], &json!({"messages": [{"role": "user", "content": "x"}]}))
        .await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(body_json(response).await["error"]["code"], "draining");
    assert!(rig.script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_foreign_page_starts_nothing_where_no_credentials_are_asked() {
    let rig = Rig::new(all_on(), AuthMode::None, vec![end(completed("x"))]);
    let body = json!({"messages": [{"role": "user", "content": "x"}]}).to_string();
    let headers = [
        ("origin", "https://evil.example"),
        ("host", "127.0.0.1:1"),
        ("content-type", "text/plain"),
    ];
    let response = rig.send("POST", "/v1/chat/completions", &headers, &body).await;
    assert_eq!(response.status(), 403);
    assert!(rig.script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_page_is_small_and_can_be_switched_off() {
    let rig = Rig::on(Vec::new());
    let page = text(rig.send("GET", "/?q=reflected", &[], "").await).await;
    assert!(page.contains(env!("CARGO_PKG_VERSION")) && !page.contains("reflected"));
    let config: Value = json!({"gateway": {"controlUi": {"enabled": false}}});
    let off = Rig::new(config, AuthMode::Token, Vec::new());
    assert_eq!(off.send("GET", "/", &[], "").await.status(), 404);
}

#[tokio::test]
async fn grpc_requests_go_to_grpc_and_unknown_services_are_unimplemented() {
    let rig = Rig::on(Vec::new());
    let headers = [("content-type", "application/grpc")];
    let response = rig.send("POST", "/no.Such/Method", &headers, "").await;
    assert_eq!(response.headers()["grpc-status"], "12");
}

fn with_origins(chat: Value) -> Value {
    json!({"gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": true, "allowedOrigins": chat}}}}})
}

#[tokio::test]
async fn listed_pages_may_call_and_others_are_told_nothing() {
    let steps = vec![end(completed("x"))];
    let rig = Rig::new(with_origins(json!(["https://Chat.example/"])), AuthMode::Token, steps);
    let (friend, stranger) = (("origin", "https://chat.example"), ("origin", "https://evil.example"));
    let preflight = [
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization, content-type, x-stainless-os",
        ),
    ];
    for path in ["/v1/chat/completions", "/v1/models", "/v1/embeddings"] {
        let response = rig
            .send("OPTIONS", path, &[friend, preflight[0], preflight[1]], "")
            .await;
        assert_eq!(response.status(), 204, "{path}");
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], "https://chat.example");
        assert_eq!(headers["access-control-allow-headers"], preflight[1].1);
        assert_eq!(headers["vary"], "origin");
        assert!(!headers.contains_key("access-control-allow-credentials"));
        let response = rig.send("OPTIONS", path, &[stranger, preflight[0]], "").await;
        assert_eq!(response.status(), 405, "{path}");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        assert_eq!(response.headers()["vary"], "origin");
    }
    let response = rig
        .chat(&[friend], &json!({"messages": [{"role": "user", "content": "hi"}]}))
        .await;
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://chat.example"
    );
    assert!(
        response.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .contains("x-request-id")
    );
    // Errors are readable too, and other routes stay closed.
    let response = rig.send("GET", "/v1/models", &[friend], "").await;
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("access-control-allow-origin"));
    let response = rig.send("OPTIONS", "/healthz", &[friend, preflight[0]], "").await;
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_listed_page_needs_no_other_leave_where_nobody_needs_credentials() {
    let rig = Rig::new(
        with_origins(json!(["https://chat.example"])),
        AuthMode::None,
        Vec::new(),
    );
    let status = async |origin: &str| rig.send("GET", "/v1/models", &[("origin", origin)], "").await.status();
    assert_eq!(status("https://chat.example").await, 200);
    assert_eq!(status("https://evil.example").await, 403);
}

#[tokio::test]
async fn one_caller_cannot_take_every_place() {
    let mut config = all_on();
    config["gateway"]["limits"] = json!({"maxInFlight": 2, "maxInFlightPerCaller": 1});
    let rig = Rig::new(config, AuthMode::Token, vec![end(completed("x"))]);
    let ask = json!({"stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let (held, body) = (rig.chat(&[], &ask).await, ask.to_string());
    assert_eq!(held.status(), 200);
    let response = rig.chat(&[], &ask).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(body_json(response).await["error"]["code"], "too_many_in_flight");
    let other = rig
        .send_from("10.0.0.2:1", "POST", "/v1/chat/completions", &[ADMIN], &body)
        .await;
    assert_eq!(other.status(), 200);
    let response = rig
        .send_from("10.0.0.3:1", "POST", "/v1/chat/completions", &[ADMIN], &body)
        .await;
    assert_eq!(response.status(), 503);
    assert_eq!(body_json(response).await["error"]["code"], "overloaded");
    drop((held, other));
    assert_eq!(rig.chat(&[], &ask).await.status(), 200);
}
