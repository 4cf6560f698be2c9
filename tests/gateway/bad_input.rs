//! What hostile and broken clients send to the HTTP API.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::gateway::{TOKEN, TestGateway, config, user_says};
use crate::support::model::ModelDouble;

/// Sends raw bytes and returns what comes back before the connection ends.
async fn raw(gateway: &TestGateway, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    socket.write_all(request).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn broken_requests_are_refused_and_others_go_on() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let length = |body: &[u8]| format!("content-length: {}\r\n", body.len());
    let not_text = b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}";
    let surrogate = br#"{"messages":[{"role":"user","content":"\ud800"}]}"#;
    for (what, request) in [
        ("bytes that are no text", post(&length(not_text), not_text)),
        ("half a surrogate pair", post(&length(surrogate), surrogate)),
        (
            "a folded header",
            post("x-openclaw-session-key: a\r\n b\r\ncontent-length: 0\r\n", b""),
        ),
        (
            "a bare line feed in a header",
            post("x-openclaw-session-key: a\nb: c d\r\x0b\r\n", b""),
        ),
        ("two lengths", post("content-length: 2\r\ncontent-length: 3\r\n", b"{}")),
        (
            "a truncated upload",
            post("content-length: 1000\r\n", b"{\"messages\":["),
        ),
    ] {
        let answer = raw(&gateway, &request).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{what}: {answer}"
        );
    }
    assert!(model.seen().is_empty());
    assert_eq!(gateway.chat(&user_says("still there?")).await.0, 200);
}

#[tokio::test]
async fn oversized_structures_are_refused_by_name() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let message = json!({"role": "user", "content": "x"});
    let deep: Value = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let bomb = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgABAAAAAQAACAYAAAA=";
    for (body, param) in [
        (json!({"messages": vec![message.clone(); 10_000]}), "messages"),
        (json!({"messages": [message], "logit_bias": {"a": deep}}), "logit_bias"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": bomb}}]}]}),
            "messages",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,*"}}]}]}),
            "messages",
        ),
    ] {
        let (status, answer) = gateway.chat(&body).await;
        assert_eq!(status, 400, "{answer}");
        assert_eq!(answer["error"]["param"], param);
    }
    assert!(model.seen().is_empty());
}

#[tokio::test]
async fn stray_tool_results_and_doubled_ids_reach_the_provider_in_order() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let (status, answer) = gateway
        .chat(&json!({"messages": [
            {"role": "tool", "tool_call_id": "ghost", "content": "boo"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "tool_calls": [call, call]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c1", "content": "two"},
            {"role": "user", "content": "and?"},
        ]}))
        .await;
    assert_eq!(status, 200, "{answer}");
    let sent = model.seen().pop().unwrap().body["messages"].clone();
    let calls = sent
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|message| message["tool_calls"].as_array())
        .flatten()
        .count();
    let results = sent
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .count();
    assert_eq!((calls, results), (1, 1), "{sent}");
}
