//! Embeddings against a provider on this machine.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::config::AuthMode;
use crate::fetch::testing::{Asked, answer, serve};
use crate::http::contract_checks::{page_has_table, wrong_types_are_refused};
use crate::http::fixtures::{Rig, all_on, body_json};
use crate::models::client::EMBEDDINGS;

/// A gateway whose agent takes embeddings from a provider that answers `status` and `body`; what the provider was asked.
async fn rig(status: u16, body: Value) -> (Rig, Arc<Mutex<Vec<Asked>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let port = serve(move |seen| {
        log.lock().unwrap().push(seen.clone());
        answer(status, "application/json", body.to_string())
    })
    .await;
    let mut config = all_on();
    config["agents"] = json!({
        "list": [{"id": "main", "default": true}, {"id": "beta", "memorySearch": {"model": "big"}}],
        "defaults": {"memorySearch": {
            "provider": "openai", "model": "small",
            "remote": {"baseUrl": format!("http://127.0.0.1:{port}/v1/"), "apiKey": "sk-embedding-key"},
        }},
    });
    (Rig::new(config, AuthMode::Token, Vec::new()), asked)
}

async fn ask(rig: &Rig, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let headers = [&[("authorization", "Bearer admin")], headers].concat();
    let response = rig.send("POST", "/v1/embeddings", &headers, &body.to_string()).await;
    (response.status().as_u16(), body_json(response).await)
}

fn two() -> Value {
    json!({"data": [
        {"index": 1, "embedding": [0.5, -0.25]},
        {"index": 0, "embedding": "AACAPwAAAEA="},
    ], "usage": {"prompt_tokens": 7, "total_tokens": 7}})
}

#[tokio::test]
async fn vectors_come_in_order_in_the_form_that_was_asked_for() {
    let (rig, asked) = rig(200, two()).await;
    let body = json!({"model": "openclaw", "input": ["a", "b"], "dimensions": 2, "user": "u"});
    let (status, answer) = ask(&rig, &[], &body).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({"object": "list", "model": "openclaw", "usage": {"prompt_tokens": 7, "total_tokens": 7}, "data": [
            {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]},
            {"object": "embedding", "index": 1, "embedding": [0.5, -0.25]},
        ]})
    );
    let seen = asked.lock().unwrap().pop().unwrap();
    assert_eq!(seen.path, "/v1/embeddings");
    assert!(seen.head.contains("Bearer sk-embedding-key"));
    let sent: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        sent,
        json!({"model": "small", "input": ["a", "b"], "dimensions": 2, "encoding_format": "float", "user": "u"})
    );

    let body = json!({"model": "openclaw/beta", "input": [[1, 2], [3]], "encoding_format": "base64"});
    let (_, answer) = ask(&rig, &[], &body).await;
    assert_eq!(answer["data"][0]["embedding"], "AACAPwAAAEA=");
    assert_eq!(answer["data"][1]["embedding"], "AAAAPwAAgL4=");
    let sent: Value = serde_json::from_str(&asked.lock().unwrap()[0].body).unwrap();
    assert_eq!((&sent["model"], &sent["input"]), (&json!("big"), &json!([[1, 2], [3]])));
}

#[tokio::test]
async fn nothing_to_embed_asks_nobody() {
    let (rig, asked) = rig(200, two()).await;
    let (status, answer) = ask(&rig, &[], &json!({"model": "openclaw", "input": []})).await;
    assert_eq!((status, &answer["data"]), (200, &json!([])));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn failures_of_the_provider_keep_what_a_client_can_act_on() {
    for (status, expected, code) in [
        (401, 502, "provider_auth"),
        (429, 429, "rate_limit_exceeded"),
        (400, 400, "provider_bad_request"),
        (500, 502, "provider_error"),
    ] {
        let (rig, _) = rig(status, json!({"error": {"message": "no: sk-embedding-key"}})).await;
        let (found, body) = ask(&rig, &[], &json!({"model": "openclaw", "input": "a"})).await;
        assert_eq!((found, &body["error"]["code"]), (expected, &json!(code)));
        assert!(!body.to_string().contains("sk-embedding-key"), "{body}");
    }
    for wrong in [json!({"data": []}), json!("x"), json!({"data": [{"embedding": 5}]})] {
        let (rig, _) = rig(200, wrong).await;
        let (found, body) = ask(&rig, &[], &json!({"model": "openclaw", "input": "a"})).await;
        assert_eq!((found, &body["error"]["code"]), (502, &json!("provider_bad_answer")));
    }
}

#[tokio::test]
async fn another_model_takes_admin_and_the_same_provider() {
    let (rig, asked) = rig(200, json!({"data": [{"embedding": [1]}]})).await;
    let body = json!({"model": "openclaw", "input": "a"});
    for (model, sent) in [("large", "large"), ("openai/large", "large")] {
        assert_eq!(ask(&rig, &[("x-openclaw-model", model)], &body).await.0, 200);
        let seen: Value = serde_json::from_str(&asked.lock().unwrap().pop().unwrap().body).unwrap();
        assert_eq!(seen["model"], sent);
    }
    for model in ["other/large", "openai/", "/x"] {
        let (status, body) = ask(&rig, &[("x-openclaw-model", model)], &body).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!("x-openclaw-model")));
    }
    let writer = [("authorization", "Bearer writer"), ("x-openclaw-model", "large")];
    let response = rig.send("POST", "/v1/embeddings", &writer, &body.to_string()).await;
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn agents_are_known_or_not_found_and_fields_are_checked() {
    let (rig, _) = rig(200, two()).await;
    for model in ["openclaw/ghost", "text-embedding-3-small"] {
        let (status, body) = ask(&rig, &[], &json!({"model": model, "input": "a"})).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")));
    }
    let base = json!({"model": "openclaw", "input": "a"});
    wrong_types_are_refused(&rig, "/v1/embeddings", &base, EMBEDDINGS).await;
}

#[tokio::test]
async fn without_a_provider_the_answer_says_what_to_configure() {
    let rig = Rig::on(Vec::new());
    let (status, body) = ask(&rig, &[], &json!({"model": "openclaw", "input": "a"})).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("not_configured")));
    let text = body["error"]["message"].as_str().unwrap();
    assert!(text.contains("agents.defaults.memorySearch"), "{text}");
}

#[test]
fn the_page_has_the_table() {
    page_has_table("embeddings", EMBEDDINGS);
}
