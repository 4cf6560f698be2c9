//! What hostile and broken clients send to the HTTP API.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::gateway::{TOKEN, TestGateway, config, user_says, with_responses};
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
        (
            "a compressed body",
            post("content-encoding: gzip\r\ncontent-length: 2\r\n", b"\x1f\x8b"),
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
async fn a_header_that_is_no_text_is_refused_by_name_and_one_in_utf_8_is_text() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let body = user_says("hi").to_string();
    let ask = async |name: &str, value: &[u8]| {
        let line = [name.as_bytes(), b": ", value, b"\r\n"].concat();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n");
        let rest = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        raw(&gateway, &[head.as_bytes(), &line, rest.as_bytes()].concat()).await
    };
    for name in [
        "x-openclaw-session-key",
        "x-openclaw-agent-id",
        "x-openclaw-model",
        "x-openwebui-chat-id",
    ] {
        let answer = ask(name, b"caf\xe9").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer}");
        assert!(answer.contains(&format!("\"param\":\"{name}\"")), "{name}: {answer}");
    }
    assert!(model.seen().is_empty());
    let answer = ask("x-openclaw-session-key", "café".as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let listed = gateway.operator().await.ok("sessions.list", json!({})).await;
    assert_eq!(listed["sessions"][0]["key"], "agent:main:café", "{listed}");
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_on_no_disk() {
    let model = ModelDouble::start().await;
    let settings = with_responses(config(&model.base_url()));
    let mut gateway = TestGateway::start(&settings).await;
    let client = reqwest::Client::builder().build().unwrap();
    let secret = "xylophone-4711";
    for (path, field, stream) in [
        ("/v1/chat/completions", "messages", false),
        ("/v1/responses", "input", false),
        ("/v1/responses", "input", true),
    ] {
        let said = json!([{"role": "user", "content": format!("{secret} [[say:{secret}]]")}]);
        let body = json!({"model": "openclaw", "store": false, "user": "ann", "stream": stream, field: said});
        let request = client.post(gateway.url(path)).bearer_auth(TOKEN).json(&body);
        // Front ends send the id of the chat with everything.
        let answer = request.header("x-openwebui-chat-id", "chat-1").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.text().await.unwrap().contains(secret), "{path}");
    }
    let listed = gateway.operator().await.ok("sessions.list", json!({})).await;
    assert_eq!(listed["sessions"], json!([]), "{listed}");
    gateway.signal("TERM");
    gateway.wait_exit().await;
    let mut files = vec![gateway.dir.path().to_owned()];
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(content) = std::fs::read(&path) {
            looked_at += 1;
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds what was said", path.display());
        }
    }
    assert!(looked_at > 1, "the state directory was looked at");
}

#[tokio::test]
async fn oversized_structures_are_refused_by_name() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let message = json!({"role": "user", "content": "x"});
    let deep: Value = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let bomb = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgABAAAAAQAACAYAAAA=";
    for (body, param) in [
        (json!({"messages": vec![message.clone(); 20_000]}), "messages"),
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
async fn ten_thousand_messages_reach_the_provider_in_order() {
    let model = ModelDouble::start().await;
    let settings = with_responses(config(&model.base_url()));
    let gateway = TestGateway::start(&settings).await;
    let history: Vec<Value> = (0..10_000)
        .map(|n| json!({"role": if n % 2 == 0 { "assistant" } else { "user" }, "content": format!("m{n}")}))
        .collect();
    let client = reqwest::Client::builder().build().unwrap();
    for (path, field) in [("/v1/chat/completions", "messages"), ("/v1/responses", "input")] {
        let body = json!({"model": "openclaw", "store": false, field: history});
        let request = client.post(gateway.url(path)).bearer_auth(TOKEN).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text().await.unwrap());
        let sent = model.seen().pop().unwrap().conversation();
        let texts: Vec<&str> = sent.iter().map(|(_, text)| text.as_str()).collect();
        let said = &texts[texts.len() - 10_000..];
        assert!(
            said.iter().enumerate().all(|(n, text)| *text == format!("m{n}")),
            "{path}"
        );
    }
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
