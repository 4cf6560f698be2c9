//! HTTP as a protocol: probes, methods, error shapes, limits.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::gateway::{TOKEN, TestGateway, config, user_says, with};
use crate::support::model::ModelDouble;
use crate::support::port::Port;

async fn raw(port: u16, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer))
        .await
        .expect("the connection closes")
        .ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn probes_answer_without_credentials_and_refuse_other_methods() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let client = reqwest::Client::builder().build().unwrap();
    for (path, body) in [
        ("/healthz", r#"{"ok":true,"status":"live"}"#),
        ("/health", r#"{"ok":true,"status":"live"}"#),
    ] {
        let answer = client.get(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), body);
    }
    for path in ["/readyz", "/ready", "/startupz"] {
        assert_eq!(
            client.get(gateway.url(path)).send().await.unwrap().status(),
            200,
            "{path}"
        );
        let head = client.head(gateway.url(path)).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-type"], "application/json; charset=utf-8");
        let post = client.post(gateway.url(path)).send().await.unwrap();
        assert_eq!(post.status(), 405);
        assert_eq!(post.headers()["allow"], "GET, HEAD");
    }
    let brief = client
        .get(gateway.url("/readyz"))
        .header("x-forwarded-for", "203.0.113.9")
        .send()
        .await
        .unwrap();
    assert_eq!(brief.text().await.unwrap(), r#"{"ready":true}"#);
}

#[tokio::test]
async fn unknown_routes_and_credentials_get_their_shapes() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let client = reqwest::Client::builder().build().unwrap();
    let unknown = client
        .get(gateway.url("/v1/nothing"))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.headers().contains_key("x-request-id"));
    let body: serde_json::Value = unknown.json().await.unwrap();
    assert!(body["error"]["message"].is_string());

    for wrong in [None, Some("wrong")] {
        let mut request = client.get(gateway.url("/v1/models"));
        if let Some(token) = wrong {
            request = request.bearer_auth(token);
        }
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), 401);
        assert!(
            refused.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        let body: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(body["error"]["type"], "unauthorized");
        assert_eq!(body["error"]["message"], "Unauthorized");
    }
}

#[tokio::test]
async fn an_oversized_body_gets_a_413_that_arrives() {
    let gateway = TestGateway::start(&with(
        config("http://127.0.0.1:9/v1"),
        "gateway.http.endpoints.chatCompletions.maxBodyBytes",
        json!(1000),
    ))
    .await;
    let body = "x".repeat(300_000);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(gateway.port, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("Payload too large"), "{answer}");
}

#[tokio::test]
async fn broken_bodies_are_refused_with_400() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let client = reqwest::Client::builder().build().unwrap();
    let deep = "[".repeat(5_000);
    let bodies: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"{\"messages\":".to_vec(),
        vec![0xff, 0xfe, 0x00, 0x01],
        deep.into_bytes(),
        b"{\"messages\":\"x\"}".to_vec(),
        b"{\"messages\":[],\"model\":\"openclaw\"}".to_vec(),
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":\"yes\"}".to_vec(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
        let answer = client
            .post(gateway.url("/v1/chat/completions"))
            .bearer_auth(TOKEN)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{shown}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error", "{shown}");
    }
}

#[tokio::test]
async fn slow_headers_and_slow_bodies_are_cut_and_half_closed_sockets_are_served() {
    let mut settings = with(
        config("http://127.0.0.1:9/v1"),
        "gateway.limits.headerTimeoutMs",
        json!(300),
    );
    settings = with(settings, "gateway.limits.bodyTimeoutMs", json!(300));
    let gateway = TestGateway::start(&settings).await;

    let slow_header = raw(gateway.port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    assert!(!slow_header.contains("200 OK"), "{slow_header}");

    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 500\r\n\r\n{{"
    );
    let slow_body = raw(gateway.port, head.as_bytes()).await;
    assert!(slow_body.starts_with("HTTP/1.1 408"), "{slow_body}");

    let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn header_floods_are_refused_and_the_gateway_lives() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let flood = format!(
        "GET /healthz HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X-Filler: yyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(20_000)
    );
    let answer = raw(gateway.port, flood.as_bytes()).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let fine = raw(
        gateway.port,
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(fine.starts_with("HTTP/1.1 200"), "{fine}");
}

#[tokio::test]
async fn http2_without_tls_is_served_on_the_same_port() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let answer = client
        .post(gateway.url("/v1/chat/completions"))
        .bearer_auth(TOKEN)
        .json(&user_says("hi [[say:over h2]]"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "over h2");
}

#[tokio::test]
async fn the_management_listener_serves_probes_and_metrics_and_nothing_else() {
    let reserved = Port::reserve();
    let port = reserved.number();
    let settings = with(
        config("http://127.0.0.1:9/v1"),
        "gateway.management",
        json!({"enabled": true, "bind": "127.0.0.1", "port": port}),
    );
    let _gateway = TestGateway::start(&settings).await;
    let client = reqwest::Client::builder().build().unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    for path in ["/healthz", "/readyz", "/startupz"] {
        assert_eq!(client.get(url(path)).send().await.unwrap().status(), 200, "{path}");
    }
    let metrics = client.get(url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("openclaw_gateway_build_info"), "{metrics}");
    for path in ["/v1/models", "/", "/api/diagnostics/prometheus"] {
        assert_eq!(
            client.get(url(path)).bearer_auth(TOKEN).send().await.unwrap().status(),
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn in_a_container_ipv6_reaches_both_listeners() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("left out: this machine has no IPv6");
        return;
    }
    let reserved = Port::reserve();
    let port = reserved.number();
    let settings = with(config("http://127.0.0.1:9/v1"), "gateway.bind", json!("lan"));
    let settings = with(settings, "gateway.management", json!({"enabled": true, "port": port}));
    let mut gateway = TestGateway::prepare(&settings);
    gateway.env.push(("container".to_owned(), "oci".to_owned()));
    gateway.spawn();
    gateway.wait_ready().await;
    for host in ["127.0.0.1", "[::1]"] {
        for port in [gateway.port, port] {
            let url = format!("http://{host}:{port}/healthz");
            assert_eq!(reqwest::get(&url).await.unwrap().status(), 200, "{url}");
        }
    }
}
