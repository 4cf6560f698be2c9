//! The control plane as clients see it: handshake, scopes, chat, events.

use std::time::Duration;

use serde_json::json;

use crate::support::gateway::{TOKEN, TestGateway, config, with};
use crate::support::model::ModelDouble;
use crate::support::ws::{WsClient, connect_params};

#[tokio::test]
async fn both_protocols_are_answered_with_the_highest_common_version() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    for (low, high, expected) in [(3, 3, 3), (3, 4, 4), (4, 4, 4), (4, 9, 4), (1, 3, 3)] {
        let mut params = connect_params(&["operator.read"]);
        params["minProtocol"] = json!(low);
        params["maxProtocol"] = json!(high);
        let mut client = WsClient::open(gateway.port).await;
        let hello = client.call("connect", params).await;
        assert_eq!(hello["payload"]["protocol"], expected, "{low}-{high}: {hello}");
    }
    for (low, high) in [(1, 2), (5, 9)] {
        let mut params = connect_params(&["operator.read"]);
        params["minProtocol"] = json!(low);
        params["maxProtocol"] = json!(high);
        let mut client = WsClient::open(gateway.port).await;
        let refused = client.call("connect", params).await;
        assert_eq!(refused["error"]["message"], "protocol mismatch");
        assert_eq!(client.wait_closed().await, (1002, "protocol mismatch".to_owned()));
    }
}

#[tokio::test]
async fn hello_ok_tells_an_admin_where_things_are_and_a_reader_does_not() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let mut admin = WsClient::open(gateway.port).await;
    let hello = admin.call("connect", connect_params(&["operator.admin"])).await["payload"].clone();
    assert_eq!(
        hello["policy"],
        json!({"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000})
    );
    assert_eq!(hello["snapshot"]["stateDir"], json!(gateway.state_dir));
    assert_eq!(
        hello["snapshot"]["sessionDefaults"]["mainSessionKey"],
        "agent:main:main"
    );
    let mut reader = WsClient::open(gateway.port).await;
    let hello = reader.call("connect", connect_params(&["operator.read"])).await["payload"].clone();
    assert!(hello["snapshot"].get("stateDir").is_none());
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_closed() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let mut params = connect_params(&["operator.read"]);
    params["auth"]["token"] = json!("wrong");
    let mut client = WsClient::open(gateway.port).await;
    let refused = client.call("connect", params).await;
    assert_eq!(refused["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH");
    let (code, reason) = client.wait_closed().await;
    assert_eq!(code, 1008);
    assert!(reason.starts_with("unauthorized: gateway token mismatch"), "{reason}");
    assert!(!gateway.log().contains(TOKEN), "the token is in the log");
}

#[tokio::test]
async fn scopes_decide_and_unknown_methods_are_told_only_to_admins() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let mut reader = WsClient::connected(gateway.port, connect_params(&["operator.read"])).await;
    let refused = reader
        .err(
            "chat.send",
            json!({"sessionKey": "main", "message": "x", "idempotencyKey": "k"}),
        )
        .await;
    assert_eq!(refused["message"], "missing scope: operator.write");
    assert_eq!(refused["code"], "INVALID_REQUEST");
    assert_eq!(
        reader.err("no.such", json!({})).await["message"],
        "missing scope: operator.admin"
    );
    let mut admin = gateway.operator().await;
    assert_eq!(
        admin.err("no.such", json!({})).await["message"],
        "unknown method: no.such"
    );

    let mut modern = connect_params(&["operator.read"]);
    modern["maxProtocol"] = json!(4);
    let mut modern = WsClient::connected(gateway.port, modern).await;
    let refused = modern
        .err(
            "chat.send",
            json!({"sessionKey": "main", "message": "x", "idempotencyKey": "k"}),
        )
        .await;
    assert_eq!(refused["code"], "FORBIDDEN");
    assert_eq!(refused["details"]["code"], "MISSING_SCOPE");
}

#[tokio::test]
async fn a_chat_run_is_told_step_by_step_and_its_key_does_not_run_twice() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut client = gateway.operator().await;
    let send = json!({"sessionKey": "main", "message": "hi [[slow:20]]", "idempotencyKey": "run-1"});
    assert_eq!(
        client.ok("chat.send", send.clone()).await,
        json!({"runId": "run-1", "status": "started"})
    );
    assert_eq!(
        client.ok("chat.send", send.clone()).await,
        json!({"runId": "run-1", "status": "in_flight"})
    );
    let end = client.chat_end("run-1").await;
    assert_eq!(end["state"], "final");
    assert_eq!(end["sessionKey"], "agent:main:main");
    assert_eq!(
        end["message"]["content"][0]["text"],
        "piece0 piece1 piece2 piece3 piece4 piece5"
    );
    let steps: Vec<String> = client
        .frames
        .iter()
        .filter(|frame| frame["event"] == "agent" || frame["event"] == "chat")
        .map(|frame| {
            let payload = &frame["payload"];
            let what = payload["stream"].as_str().or(payload["state"].as_str()).unwrap();
            format!("{what}{}", payload["data"]["phase"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(steps.first().map(String::as_str), Some("lifecyclestart"), "{steps:?}");
    assert!(
        steps.ends_with(&["lifecycleend".to_owned(), "final".to_owned()]),
        "{steps:?}"
    );
    let deltas: String = client
        .frames
        .iter()
        .filter(|frame| frame["event"] == "agent" && frame["payload"]["stream"] == "assistant")
        .map(|frame| frame["payload"]["data"]["delta"].as_str().unwrap())
        .collect();
    assert_eq!(deltas, "piece0 piece1 piece2 piece3 piece4 piece5");
    let seqs: Vec<u64> = client.frames.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert_eq!(
        seqs,
        (1..=seqs.len() as u64).collect::<Vec<_>>(),
        "sequence numbers have no gap"
    );
    assert_eq!(
        client.ok("chat.send", send).await,
        json!({"runId": "run-1", "status": "ok"})
    );
    assert_eq!(model.seen().len(), 1);
    assert_eq!(client.ok("agent.wait", json!({"runId": "run-1"})).await["status"], "ok");
}

#[tokio::test]
async fn messages_sent_without_waiting_keep_their_order() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut client = gateway.operator().await;
    let mut requests = Vec::new();
    for n in 0..12 {
        let send = json!({"sessionKey": "main", "message": format!("number {n:02} [[say:ok]]"), "idempotencyKey": format!("o{n}")});
        requests.push(client.request("chat.send", send).await);
    }
    for id in &requests {
        client.response(id).await;
    }
    client.chat_end("o11").await;
    let prompts: Vec<String> = model.seen().iter().map(|seen| seen.prompt()).collect();
    let expected: Vec<String> = (0..12).map(|n| format!("number {n:02} [[say:ok]]")).collect();
    assert_eq!(prompts, expected);
}

#[tokio::test]
async fn an_abort_keeps_the_partial_text_and_only_its_owner_may_abort() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut owner = gateway.operator().await;
    let mut stranger = WsClient::connected(gateway.port, connect_params(&["operator.write"])).await;
    owner
        .ok(
            "chat.send",
            json!({"sessionKey": "main", "message": "[[stall]]", "idempotencyKey": "a1"}),
        )
        .await;
    owner
        .find("a delta", |frame| {
            frame["event"] == "chat" && frame["payload"]["state"] == "delta"
        })
        .await;
    let refused = stranger
        .err("chat.abort", json!({"sessionKey": "main", "runId": "a1"}))
        .await;
    assert_eq!(refused["message"], "unauthorized");
    let aborted = owner
        .ok("chat.abort", json!({"sessionKey": "main", "runId": "a1"}))
        .await;
    assert_eq!(aborted, json!({"ok": true, "aborted": true, "runIds": ["a1"]}));
    let end = owner.chat_end("a1").await;
    assert_eq!((&end["state"], &end["stopReason"]), (&json!("aborted"), &json!("rpc")));
    let history = owner.ok("chat.history", json!({"sessionKey": "main"})).await;
    assert!(history["messages"][1].to_string().contains("partial"), "{history}");
    assert_eq!(model.open(), 0, "the provider request is closed");
}

#[tokio::test]
async fn an_agent_run_answers_twice_and_failures_carry_payload_and_error() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut client = gateway.operator().await;
    let id = client
        .request(
            "agent",
            json!({"message": "[[say:done]]", "sessionKey": "main", "idempotencyKey": "g1"}),
        )
        .await;
    assert_eq!(client.response(&id).await["payload"]["status"], "accepted");
    let last = client.response(&id).await;
    assert_eq!(last["payload"]["status"], "ok", "{last}");
    assert_eq!(last["payload"]["result"]["payloads"][0]["text"], "done");
    let id = client
        .request(
            "agent",
            json!({"message": "[[status:400]]", "sessionKey": "main", "idempotencyKey": "g2"}),
        )
        .await;
    assert_eq!(client.response(&id).await["payload"]["status"], "accepted");
    let last = client.response(&id).await;
    assert_eq!(
        (&last["ok"], &last["error"]["code"]),
        (&json!(false), &json!("UNAVAILABLE"))
    );
    assert_eq!(last["payload"]["status"], "error");
}

#[tokio::test]
async fn subscribers_hear_of_sessions_and_stored_messages() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut watcher = gateway.operator().await;
    watcher.ok("sessions.subscribe", json!({})).await;
    let mut client = gateway.operator().await;
    client
        .ok(
            "chat.send",
            json!({"sessionKey": "agent:main:sub", "message": "[[say:x]]", "idempotencyKey": "s1"}),
        )
        .await;
    let message = watcher
        .find("the stored answer", |frame| {
            frame["event"] == "session.message" && frame["payload"]["message"]["role"] == "assistant"
        })
        .await;
    assert_eq!(message["payload"]["sessionKey"], "agent:main:sub");
    assert!(message.get("seq").is_none(), "targeted events carry no sequence number");
    client.drain(Duration::from_millis(100)).await;
    assert!(
        !client.frames.iter().any(|frame| frame["event"] == "session.message"),
        "not subscribed"
    );
    client
        .ok("sessions.patch", json!({"key": "agent:main:sub", "label": "mine"}))
        .await;
    watcher
        .find("the patch", |frame| {
            frame["event"] == "sessions.changed" && frame["payload"]["reason"] == "patch"
        })
        .await;
    client.ok("sessions.delete", json!({"key": "agent:main:sub"})).await;
    let described = client.ok("sessions.describe", json!({"key": "agent:main:sub"})).await;
    assert!(described["session"].is_null());
}

#[tokio::test]
async fn garbage_frames_close_unauthenticated_sockets_and_leave_connected_ones() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    for (frame, code) in [
        ("not json", 1000),
        ("42", 1008),
        ("{}", 1008),
        (r#"{"type":"event","event":"x"}"#, 1008),
    ] {
        let mut client = WsClient::open(gateway.port).await;
        client.next().await;
        use futures_util::SinkExt as _;
        client
            .socket
            .send(tokio_tungstenite::tungstenite::Message::text(frame))
            .await
            .unwrap();
        assert_eq!(client.wait_closed().await.0, code, "{frame}");
    }
    let mut client = gateway.operator().await;
    {
        use futures_util::SinkExt as _;
        client
            .socket
            .send(tokio_tungstenite::tungstenite::Message::text("not json"))
            .await
            .unwrap();
    }
    client.ok("health", json!({})).await;
}

#[tokio::test]
async fn secrets_are_not_shown_by_config_get() {
    let settings = with(
        config("http://127.0.0.1:9/v1"),
        "models.providers.double.headers",
        json!({"x-extra": "hidden-header-value"}),
    );
    let gateway = TestGateway::start(&settings).await;
    let mut client = gateway.operator().await;
    let shown = client.ok("config.get", json!({})).await.to_string();
    for secret in [TOKEN, "sk-double-secret-key-1"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert!(shown.contains("__OPENCLAW_REDACTED__"));
}

#[tokio::test]
async fn logs_can_be_followed_with_a_cursor() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let mut client = gateway.operator().await;
    let first = client.ok("logs.tail", json!({})).await;
    assert!(!first["lines"].as_array().unwrap().is_empty());
    let next = client.ok("logs.tail", json!({"cursor": first["cursor"]})).await;
    assert_eq!(next["reset"], false);
}
