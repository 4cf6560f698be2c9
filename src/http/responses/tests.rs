//! Responses against a scripted run loop and a real store.

use std::time::Duration;

use http::Response;
use serde_json::{Value, json};

use crate::domain::model::{CallErrorClass, FinishReason};
use crate::domain::run::{Conversation, RunEnd, RunEvent, RunFailure, RunOutcome};
use crate::domain::{Message, ToolCall};
use crate::http::Body;
use crate::http::contract_checks::{page_has_table, wrong_types_are_refused};
use crate::http::fixtures::{Rig, Step, body_json, completed, end, say, text};
use crate::models::client::contract::Becomes;
use crate::models::client::responses::{COMPACT, RESPONSES};

impl Rig {
    async fn respond(&self, headers: &[(&str, &str)], extra: Value) -> Response<Body> {
        let mut body = json!({"model": "openclaw", "input": "hi"});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let headers = [&[("authorization", "Bearer admin")], headers].concat();
        self.send("POST", "/v1/responses", &headers, &body.to_string()).await
    }

    async fn at(&self, method: &str, path: &str) -> (u16, Value) {
        let response = self
            .send(
                method,
                &format!("/v1/responses/{path}"),
                &[("authorization", "Bearer admin")],
                "",
            )
            .await;
        (response.status().as_u16(), body_json(response).await)
    }
}

fn failed(class: CallErrorClass) -> RunOutcome {
    RunOutcome {
        end: RunEnd::Failed(RunFailure {
            class,
            message: "the provider said no".to_owned(),
            status: None,
            retry_after: None,
        }),
        ..completed("")
    }
}

fn kinds(body: &str) -> Vec<&str> {
    body.lines()
        .filter_map(|line| line.strip_prefix("event: response."))
        .collect()
}

#[tokio::test]
async fn a_whole_response_is_stored_and_found_again() {
    let rig = Rig::on(vec![say("Hello"), end(completed("Hello"))]);
    let response = rig.respond(&[], json!({"metadata": {"a": "b"}})).await;
    assert_eq!(response.status(), 200);
    let body = body_json(response).await;
    assert_eq!((&body["status"], &body["store"]), (&json!("completed"), &json!(true)));
    assert_eq!(body["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(
        (&body["created_at"], &body["metadata"]["a"]),
        (&json!(1_700_000_000), &json!("b"))
    );
    let id = body["id"].as_str().unwrap();
    assert_eq!(rig.at("GET", id).await, (200, body.clone()));
    let (status, page) = rig.at("GET", &format!("{id}/input_items")).await;
    assert_eq!((status, &page["data"][0]["content"][0]["text"]), (200, &json!("hi")));
    assert_eq!(
        rig.at("DELETE", id).await.1,
        json!({"id": id, "object": "response", "deleted": true})
    );
    assert_eq!(rig.at("GET", id).await.0, 404);
    assert_eq!(rig.at("DELETE", id).await.0, 404);
}

#[tokio::test]
async fn a_stream_stores_before_it_completes() {
    let rig = Rig::on(vec![say("Hel"), say("lo"), end(completed("Hello"))]);
    let body = text(rig.respond(&[], json!({"stream": true})).await).await;
    assert_eq!(
        kinds(&body),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    assert!(body.ends_with("data: [DONE]\n\n"));
    let last = body
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("data: {"))
        .unwrap();
    let last: Value = serde_json::from_str(&format!("{{{last}")).unwrap();
    let id = last["response"]["id"].as_str().unwrap();
    assert_eq!(rig.at("GET", id).await, (200, last["response"].clone()));
}

#[tokio::test]
async fn storage_that_fails_is_told_and_nothing_is_called_complete() {
    let rig = Rig::on(vec![say("Hello"), end(completed("Hello"))]);
    rig.store.close().await;
    let response = rig.respond(&[], json!({})).await;
    assert_eq!(response.status(), 503);
    assert_eq!(body_json(response).await["error"]["code"], "storage_unavailable");
    let body = text(rig.respond(&[], json!({"stream": true})).await).await;
    assert_eq!(kinds(&body).last(), Some(&"failed"));
    assert!(body.contains("storage_unavailable") && body.ends_with("data: [DONE]\n\n"));
    let response = rig.respond(&[], json!({"store": false})).await;
    assert_eq!(response.status(), 200, "nothing is to be stored");
}

#[tokio::test]
async fn failures_before_any_text_are_statuses_and_later_ones_events() {
    for stream in [false, true] {
        let rig = Rig::on(vec![Step::Say(RunEvent::Started), end(failed(CallErrorClass::Auth))]);
        let response = rig.respond(&[], json!({"stream": stream})).await;
        assert_eq!(response.status(), 502);
        assert_eq!(body_json(response).await["error"]["code"], "provider_auth");
    }
    let rig = Rig::on(vec![say("half"), end(failed(CallErrorClass::Network))]);
    let body = text(rig.respond(&[], json!({"stream": true})).await).await;
    assert_eq!(kinds(&body).last(), Some(&"failed"));
    assert_eq!(body.matches("output_text.delta\"").count(), 1);
    let rig = Rig::on(vec![say("half")]);
    let body = text(rig.respond(&[], json!({"stream": true})).await).await;
    assert!(body.contains("run_lost") && body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_response_continues_the_one_before_with_everything_in_it() {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
    };
    let outcome = RunOutcome {
        tool_calls: vec![call],
        finish: FinishReason::ToolCalls,
        ..completed("")
    };
    let rig = Rig::on(vec![end(outcome)]);
    let tools = json!([{"type": "function", "name": "f"}]);
    let first = body_json(rig.respond(&[], json!({"tools": tools, "instructions": "once"})).await).await;
    assert_eq!(first["status"], "completed");
    let call_id = first["output"][0]["call_id"].as_str().unwrap();
    let next = json!({
        "previous_response_id": first["id"], "tools": tools,
        "input": [{"type": "function_call_output", "call_id": call_id, "output": "42"}],
    });
    let second = body_json(rig.respond(&[], next).await).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    {
        let requests = rig.script.requests.lock().unwrap();
        let run = &requests[1];
        assert!(
            matches!(&run.supplied_history[..], [Message::User { .. }, Message::Assistant { tool_calls, .. }] if tool_calls.len() == 1)
        );
        assert!(matches!(&run.tool_results[..], [Message::Tool { content, .. }] if content == "42"));
        assert_eq!(run.extra_system, None, "instructions are not carried over");
    }
    let page = rig
        .at(
            "GET",
            &format!("{}/input_items?order=asc", second["id"].as_str().unwrap()),
        )
        .await
        .1;
    let types: Vec<&str> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["message", "function_call", "function_call_output"]);
    let after = format!(
        "{}/input_items?limit=1&order=asc&after={}",
        second["id"].as_str().unwrap(),
        page["first_id"].as_str().unwrap()
    );
    let part = rig.at("GET", &after).await.1;
    assert_eq!(
        (&part["data"][0]["type"], &part["has_more"]),
        (&json!("function_call"), &json!(true))
    );
}

#[tokio::test]
async fn what_is_not_there_cannot_be_continued() {
    let rig = Rig::on(vec![end(completed("x"))]);
    let unstored = body_json(rig.respond(&[], json!({"store": false})).await).await;
    let of_beta = body_json(rig.respond(&[], json!({"model": "openclaw/beta"})).await).await;
    for id in [&json!("resp_unknown"), &unstored["id"], &of_beta["id"]] {
        let response = rig.respond(&[], json!({"previous_response_id": id})).await;
        assert_eq!(response.status(), 400);
        let error = body_json(response).await["error"].clone();
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("previous_response_not_found"), &json!("previous_response_id"))
        );
    }
    assert_eq!(rig.script.requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_item_can_be_referred_to() {
    let rig = Rig::on(vec![end(completed("the answer"))]);
    let first = body_json(rig.respond(&[], json!({})).await).await;
    let reference = json!({"type": "item_reference", "id": first["output"][0]["id"]});
    let input = json!([{"role": "user", "content": "q"}, reference, {"role": "user", "content": "go on"}]);
    assert_eq!(rig.respond(&[], json!({"input": input})).await.status(), 200);
    {
        let requests = rig.script.requests.lock().unwrap();
        assert!(matches!(&requests[1].supplied_history[1], Message::Assistant { text, .. } if text == "the answer"));
    }
    let input = json!([{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "go on"}]);
    let response = rig.respond(&[], json!({"input": input})).await;
    assert_eq!(
        (response.status().as_u16(), &body_json(response).await["error"]["code"]),
        (400, &json!("item_not_found"))
    );
}

#[tokio::test]
async fn conversations_are_durable_by_name_only() {
    let rig = Rig::on(vec![end(completed("x"))]);
    rig.respond(&[], json!({"user": "Ann"})).await;
    rig.respond(&[("x-openclaw-session-key", "agent:main:k")], json!({}))
        .await;
    rig.respond(&[], json!({})).await;
    let requests = rig.script.requests.lock().unwrap();
    let keys: Vec<&str> = requests.iter().map(|run| run.conversation.key().as_str()).collect();
    assert_eq!(keys[..2], ["agent:main:openresponses-user:ann", "agent:main:k"]);
    assert!(keys[2].starts_with("agent:main:openresponses:"));
    assert!(matches!(requests[0].conversation, Conversation::Durable(_)));
    assert!(matches!(requests[2].conversation, Conversation::Ephemeral(_)));
}

#[tokio::test]
async fn a_background_response_is_polled_to_its_end() {
    let rig = Rig::on(vec![Step::Wait(Duration::from_millis(20)), end(completed("done"))]);
    let queued = body_json(rig.respond(&[], json!({"background": true})).await).await;
    assert_eq!(
        (&queued["status"], &queued["background"]),
        (&json!("queued"), &json!(true))
    );
    let id = queued["id"].as_str().unwrap();
    let response = rig.respond(&[], json!({"previous_response_id": id})).await;
    assert_eq!(
        body_json(response).await["error"]["code"],
        "previous_response_in_progress"
    );
    let done = loop {
        let (status, body) = rig.at("GET", id).await;
        assert_eq!(status, 200);
        if body["status"] != "in_progress" {
            break body;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (&done["status"], &done["output"][0]["content"][0]["text"]),
        (&json!("completed"), &json!("done"))
    );
    assert_eq!(rig.at("POST", &format!("{id}/cancel")).await, (200, done));
}

#[tokio::test]
async fn a_background_response_can_be_cancelled_and_others_cannot() {
    let rig = Rig::on(vec![say("a"), Step::Hang]);
    let queued = body_json(rig.respond(&[], json!({"background": true})).await).await;
    let id = queued["id"].as_str().unwrap();
    let (status, body) = rig.at("POST", &format!("{id}/cancel")).await;
    assert_eq!((status, &body["status"]), (200, &json!("cancelled")));
    assert!(rig.script.aborted.is_cancelled());
    assert_eq!(rig.at("GET", id).await.1["status"], "cancelled");

    let rig = Rig::on(vec![end(completed("x"))]);
    let whole = body_json(rig.respond(&[], json!({})).await).await;
    let (status, body) = rig
        .at("POST", &format!("{}/cancel", whole["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (400, &json!("Cannot cancel a synchronous response."))
    );
}

#[tokio::test]
async fn a_crash_leaves_a_background_response_failed() {
    let rig = Rig::on(vec![Step::Hang]);
    let queued = body_json(rig.respond(&[], json!({"background": true})).await).await;
    let stored = rig
        .store
        .response("shared", queued["id"].as_str().unwrap())
        .await
        .unwrap()
        .unwrap();
    let body: Value = serde_json::from_str(&stored.body).unwrap();
    assert_eq!(
        (&body["status"], &body["error"]["code"]),
        (&json!("failed"), &json!("interrupted"))
    );
}

#[tokio::test]
async fn a_conversation_is_compacted_into_one_item() {
    let rig = Rig::on(vec![end(completed("They greeted."))]);
    let first = body_json(rig.respond(&[], json!({})).await).await;
    let headers = [
        ("authorization", "Bearer admin"),
        ("x-openclaw-session-key", "agent:main:k"),
    ];
    let body = json!({"model": "openclaw", "previous_response_id": first["id"], "instructions": "Keep names."});
    let response = rig
        .send("POST", "/v1/responses/compact", &headers, &body.to_string())
        .await;
    assert_eq!(response.status(), 200);
    let compacted = body_json(response).await;
    assert_eq!(
        (&compacted["object"], &compacted["output"][0]["type"]),
        (&json!("response.compaction"), &json!("compaction"))
    );
    assert_eq!(compacted["usage"]["total_tokens"], 118);
    {
        let requests = rig.script.requests.lock().unwrap();
        assert!(
            matches!(requests[1].conversation, Conversation::Ephemeral(_)),
            "a summary is no turn"
        );
        assert_eq!(requests[1].supplied_history.len(), 2);
    }
    let input = json!([compacted["output"][0], {"role": "user", "content": "go on"}]);
    assert_eq!(rig.respond(&[], json!({"input": input})).await.status(), 200);
    let seen = format!("{:?}", rig.script.requests.lock().unwrap()[2].supplied_history);
    assert!(seen.contains("They greeted."));
    let response = rig
        .send("POST", "/v1/responses/compact", &headers, r#"{"input":"x"}"#)
        .await;
    assert_eq!(body_json(response).await["error"]["param"], "model");
}

#[tokio::test]
async fn paths_and_methods_below_responses() {
    let rig = Rig::on(Vec::new());
    for (method, path, status) in [
        ("GET", "/v1/responses", 405),
        ("GET", "/v1/responses/compact", 405),
        ("POST", "/v1/responses/resp_1", 405),
        ("GET", "/v1/responses/resp_1", 404),
        ("GET", "/v1/responses/resp_1/", 404),
        ("GET", "/v1/responses/resp_1?stream=true", 400),
        ("GET", "/v1/responses/resp_1/other", 404),
        ("GET", "/v1/responses/resp_1/input_items?limit=0", 400),
        ("GET", "/v1/responses/..%2f", 404),
    ] {
        let response = rig.send(method, path, &[("authorization", "Bearer admin")], "").await;
        assert_eq!(response.status(), status, "{method} {path}");
    }
    assert_eq!(rig.send("GET", "/v1/responses/resp_1", &[], "").await.status(), 401);
    let reader = [("authorization", "Bearer reader")];
    assert_eq!(rig.send("POST", "/v1/responses", &reader, "{}").await.status(), 403);
    assert_eq!(
        rig.send("DELETE", "/v1/responses/resp_1", &reader, "").await.status(),
        403
    );
}

#[tokio::test]
async fn every_field_becomes_what_the_table_says() {
    for field in RESPONSES {
        let rig = Rig::on(vec![end(completed("x"))]);
        let sample: Value = serde_json::from_str(field.sample).unwrap();
        let response = rig.respond(&[], json!({ field.name: sample })).await;
        let status = response.status();
        if let Becomes::Refused(_) = field.becomes {
            let error = body_json(response).await["error"].clone();
            assert_eq!((status.as_u16(), &error["param"]), (400, &json!(field.name)));
            assert!(rig.script.requests.lock().unwrap().is_empty());
            continue;
        }
        assert_eq!(status, 200, "{}", field.name);
        let requests = rig.script.requests.lock().unwrap();
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
    let base = json!({"model": "openclaw", "input": "hi"});
    wrong_types_are_refused(&rig, "/v1/responses", &base, RESPONSES).await;
    wrong_types_are_refused(&rig, "/v1/responses/compact", &base, COMPACT).await;
    assert!(rig.script.requests.lock().unwrap().is_empty());
}

#[test]
fn the_page_has_the_tables() {
    page_has_table("responses", RESPONSES);
    page_has_table("compact", COMPACT);
}
