//! The table of fields, cell by cell.

use serde_json::{Value, json};

use super::ask;
use crate::http::contract_checks::{page_has_table, wrong_types_are_refused};
use crate::http::fixtures::{Rig, body_json, completed, end};
use crate::models::client::CHAT;
use crate::models::client::contract::Becomes;

#[tokio::test]
async fn every_field_becomes_what_the_table_says() {
    for field in CHAT {
        let rig = Rig::on(vec![end(completed("x"))]);
        let sample: Value = serde_json::from_str(field.sample).unwrap();
        let mut body = ask(json!({"logprobs": true}));
        body[field.name] = sample.clone();
        let response = rig.chat(&[], &body).await;
        let requests = std::mem::take(&mut *rig.script.requests.lock().unwrap());
        if let Becomes::Refused(_) = field.becomes {
            assert_eq!(response.status(), 400, "{}", field.name);
            let error = body_json(response).await["error"].clone();
            assert_eq!(
                (&error["param"], &error["code"]),
                (&json!(field.name), &json!("unsupported_parameter"))
            );
            assert!(requests.is_empty());
            continue;
        }
        assert_eq!(response.status(), 200, "{}", field.name);
        let passed = requests[0].sampling.get(field.name);
        match field.becomes {
            Becomes::PassedOn => assert_eq!(passed, Some(&sample), "{}", field.name),
            _ => assert_eq!(passed, None, "{}", field.name),
        }
    }
}

#[tokio::test]
async fn fields_of_another_type_are_named() {
    let rig = Rig::on(vec![end(completed("x"))]);
    wrong_types_are_refused(&rig, "/v1/chat/completions", &ask(json!({})), CHAT).await;
    assert!(rig.script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn values_that_are_not_offered_are_refused() {
    let rig = Rig::on(vec![end(completed("x"))]);
    for (field, value) in [
        ("n", json!(2)),
        ("store", json!(true)),
        ("modalities", json!(["text", "audio"])),
        ("top_logprobs", json!(2)),
        ("top_logprobs", json!(21)),
        ("tools", json!([{"type": "custom", "custom": {"name": "x"}}])),
        ("tool_choice", json!({"type": "allowed_tools", "allowed_tools": {}})),
    ] {
        let response = rig.chat(&[], &ask(json!({ field: value }))).await;
        assert_eq!(response.status(), 400, "{field}");
        assert_eq!(body_json(response).await["error"]["param"], field);
    }
}

#[test]
fn the_page_has_the_table() {
    page_has_table("chat", CHAT);
}
