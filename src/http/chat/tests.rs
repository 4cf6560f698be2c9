//! Chat completions against a scripted run loop.

mod contract;
mod inputs;

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::base::SessionKey;
use crate::domain::ToolCall;
use crate::domain::model::{CallErrorClass, FinishReason};
use crate::domain::run::{Conversation, RunEnd, RunEvent, RunFailure, RunOutcome};
use crate::http::fixtures::{Rig, Step, body_json, completed, end, say, text};

fn ask(extra: Value) -> Value {
    let mut body = json!({"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]});
    if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
        body.extend(extra);
    }
    body
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

fn events(body: &str) -> Vec<Value> {
    body.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data)))
        .collect()
}

#[tokio::test]
async fn a_whole_answer_has_the_completion_shape() {
    let outcome = RunOutcome {
        reasoning: "hm".to_owned(),
        ..completed("Hello")
    };
    let rig = Rig::on(vec![Step::Say(RunEvent::Started), say("Hel"), say("lo"), end(outcome)]);
    let response = rig.chat(&[], &ask(json!({}))).await;
    assert_eq!(response.status(), 200);
    let body = body_json(response).await;
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl_"));
    assert_eq!(
        (&body["created"], &body["model"]),
        (&json!(1_700_000_000), &json!("openclaw"))
    );
    assert_eq!(body["choices"][0]["message"]["content"], "Hello");
    assert_eq!(body["choices"][0]["message"]["reasoning_content"], "hm");
    assert_eq!(body["usage"]["total_tokens"], 118);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 11);
}

#[tokio::test]
async fn a_stream_is_role_text_finish_usage_done() {
    let rig = Rig::on(vec![
        Step::Say(RunEvent::Started),
        say("Hel"),
        say("lo"),
        end(completed("Hello")),
    ]);
    let body = ask(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let response = rig.chat(&[], &body).await;
    let headers = response.headers();
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-cache, no-transform");
    assert_eq!(headers["x-accel-buffering"], "no");
    let events = events(&text(response).await);
    let delta = |index: usize| &events[index]["choices"][0]["delta"];
    assert_eq!(delta(0), &json!({"role": "assistant"}));
    assert_eq!(
        (delta(1), delta(2)),
        (&json!({"content": "Hel"}), &json!({"content": "lo"}))
    );
    assert_eq!(events[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[4]["usage"]["total_tokens"], 118);
    assert_eq!(events[5], "[DONE]");
    assert_eq!(events.len(), 6);
}

#[tokio::test]
async fn events_that_are_ready_share_a_frame() {
    let rig = Rig::on(vec![say("a"), say("b"), say("c"), end(completed("abc"))]);
    let response = rig.chat(&[], &ask(json!({"stream": true}))).await;
    // The script's task has said everything by the time the first frame is asked for.
    tokio::task::yield_now().await;
    let mut body = response.into_body();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(frame.ends_with(b"data: [DONE]\n\n"));
    assert!(http_body::Body::is_end_stream(&body));
}

#[tokio::test]
async fn an_answer_without_deltas_is_still_streamed() {
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "get_weather".to_owned(),
        arguments: "{}".to_owned(),
    };
    let outcome = RunOutcome {
        tool_calls: vec![call],
        finish: FinishReason::ToolCalls,
        ..completed("Let me see.")
    };
    let rig = Rig::on(vec![end(outcome)]);
    let events = events(&text(rig.chat(&[], &ask(json!({"stream": true}))).await).await);
    assert_eq!(events[1]["choices"][0]["delta"]["content"], "Let me see.");
    assert_eq!(events[2]["choices"][0]["delta"]["tool_calls"][0]["id"], "c1");
    assert_eq!(events[4]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn failures_before_any_text_are_statuses_streamed_or_not() {
    for (class, status, code, retry) in [
        (CallErrorClass::Auth, 502, "provider_auth", false),
        (CallErrorClass::RateLimit, 429, "rate_limit_exceeded", true),
        (CallErrorClass::Timeout, 504, "provider_timeout", false),
        (CallErrorClass::BadRequest, 400, "provider_bad_request", false),
        (CallErrorClass::Network, 502, "provider_unreachable", false),
        (CallErrorClass::Overloaded, 503, "provider_overloaded", true),
    ] {
        for stream in [false, true] {
            let rig = Rig::on(vec![Step::Say(RunEvent::Started), end(failed(class))]);
            let response = rig.chat(&[], &ask(json!({"stream": stream}))).await;
            assert_eq!(response.status(), status, "{class:?}");
            assert_eq!(response.headers().contains_key("retry-after"), retry, "{class:?}");
            assert_eq!(response.headers().contains_key("x-should-retry"), !retry, "{class:?}");
            let error = body_json(response).await["error"].clone();
            assert_eq!(error["code"], code);
        }
    }
}

#[tokio::test]
async fn a_failure_after_text_is_an_error_event_and_never_a_finish() {
    let rig = Rig::on(vec![say("half"), end(failed(CallErrorClass::Network))]);
    let events = events(&text(rig.chat(&[], &ask(json!({"stream": true}))).await).await);
    assert_eq!(events[1]["choices"][0]["delta"]["content"], "half");
    assert_eq!(events[2]["error"]["code"], "provider_unreachable");
    assert_eq!(events[3], "[DONE]");
    assert_eq!(events.len(), 4);
}

#[tokio::test]
async fn a_run_that_is_lost_is_an_error_too() {
    let rig = Rig::on(vec![say("half")]);
    let events = events(&text(rig.chat(&[], &ask(json!({"stream": true}))).await).await);
    assert_eq!(events[2]["error"]["code"], "run_lost");
    let rig = Rig::on(Vec::new());
    assert_eq!(rig.chat(&[], &ask(json!({}))).await.status(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_silent_run_gets_headers_after_ten_seconds_and_a_sign_of_life_every_fifteen() {
    let rig = Rig::on(vec![
        Step::Say(RunEvent::Started),
        Step::Wait(Duration::from_secs(21)),
        say("woke"),
        end(completed("woke")),
    ]);
    let started = Instant::now();
    let response = rig.chat(&[], &ask(json!({"stream": true}))).await;
    assert_eq!((response.status().as_u16(), started.elapsed().as_secs()), (200, 10));
    let body = text(response).await;
    assert!(body.contains(": ping\n\n"));
    assert_eq!(events(&body).len(), 4);

    let rig = Rig::on(vec![say("a"), Step::Wait(Duration::from_secs(31)), end(completed("a"))]);
    let body = text(rig.chat(&[], &ask(json!({"stream": true}))).await).await;
    assert_eq!(body.matches(": ping\n\n").count(), 2);
}

#[tokio::test]
async fn dropping_the_exchange_aborts_the_run() {
    let rig = Rig::on(vec![say("partial"), Step::Hang]);
    let response = rig.chat(&[], &ask(json!({"stream": true}))).await;
    assert!(!rig.script.aborted.is_cancelled());
    drop(response);
    assert!(rig.script.aborted.is_cancelled());

    let rig = Rig::on(vec![Step::Hang]);
    let body = ask(json!({}));
    let waiting = rig.chat(&[], &body);
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    assert!(rig.script.aborted.is_cancelled());
}

#[tokio::test]
async fn conversations_are_named_by_key_chat_id_or_user_and_forgotten_otherwise() {
    let durable = |key: &str| Conversation::Durable(SessionKey::new(key));
    let by_key = ("x-openclaw-session-key", "agent:main:Acc-1");
    let by_chat = ("x-openwebui-chat-id", "42");
    for (headers, extra, expected) in [
        (vec![by_key, by_chat], json!({"user": "u"}), durable("agent:main:acc-1")),
        (
            vec![by_chat],
            json!({"user": "u"}),
            durable("agent:main:openai-chat:42"),
        ),
        (vec![], json!({"user": "Ann"}), durable("agent:main:openai-user:ann")),
        (
            vec![],
            json!({"user": "u", "model": "openclaw/beta"}),
            durable("agent:beta:openai-user:u"),
        ),
        (
            vec![("x-openclaw-session-key", "free text")],
            json!({}),
            durable("agent:main:free text"),
        ),
        (
            vec![("x-openclaw-session-key", "agent:beta:x")],
            json!({}),
            durable("agent:beta:x"),
        ),
    ] {
        let rig = Rig::on(vec![end(completed("x"))]);
        assert_eq!(rig.chat(&headers, &ask(extra)).await.status(), 200);
        let requests = rig.script.requests.lock().unwrap();
        assert_eq!(requests[0].conversation, expected);
        assert_eq!(Some(requests[0].agent.clone()), expected.key().agent());
    }
    let rig = Rig::on(vec![end(completed("x"))]);
    rig.chat(&[], &ask(json!({"user": {"id": 1}}))).await;
    let requests = rig.script.requests.lock().unwrap();
    assert!(
        matches!(&requests[0].conversation, Conversation::Ephemeral(key) if key.as_str().starts_with("agent:main:openai:"))
    );
}

#[tokio::test]
async fn agents_are_found_by_model_or_header_and_never_made_up() {
    let rig = Rig::on(vec![end(completed("x"))]);
    for model in ["openclaw/beta", "openclaw:beta", "agent:beta", "OpenClaw/Beta"] {
        assert_eq!(
            rig.chat(&[], &ask(json!({"model": model}))).await.status(),
            200,
            "{model}"
        );
    }
    let header = [("x-openclaw-agent-id", "Beta")];
    assert_eq!(rig.chat(&header, &ask(json!({}))).await.status(), 200);
    assert!(
        rig.script
            .requests
            .lock()
            .unwrap()
            .iter()
            .all(|run| run.agent.as_str() == "beta")
    );
    for (headers, model) in [
        (vec![], "openclaw/ghost"),
        (vec![], "gpt-4o"),
        (vec![("x-openclaw-agent-id", "ghost")], "openclaw"),
        (vec![("x-openclaw-agent-id", "beta")], "gpt-4o"),
    ] {
        let response = rig.chat(&headers, &ask(json!({"model": model}))).await;
        assert_eq!(response.status(), 404, "{model}");
        assert_eq!(body_json(response).await["error"]["code"], "model_not_found");
    }
    let foreign = [("x-openclaw-session-key", "agent:main:x")];
    assert_eq!(
        rig.chat(&foreign, &ask(json!({"model": "openclaw/beta"})))
            .await
            .status(),
        400
    );
    assert_eq!(rig.script.requests.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_backend_model_takes_admin_and_must_exist() {
    let rig = Rig::on(vec![end(completed("x"))]);
    let body = ask(json!({})).to_string();
    let header = ("x-openclaw-model", "mock/m2");
    let writer = [("authorization", "Bearer writer"), header];
    assert_eq!(
        rig.send("POST", "/v1/chat/completions", &writer, &body).await.status(),
        403
    );
    let response = rig.chat(&[header], &ask(json!({}))).await;
    assert_eq!(response.status(), 400);
    assert_eq!(
        body_json(response).await["error"]["message"],
        "Model 'mock/m2' is not allowed for agent 'main'."
    );
    let response = rig.chat(&[("x-openclaw-model", "mock/")], &ask(json!({}))).await;
    assert_eq!(
        body_json(response).await["error"]["message"],
        "Invalid `x-openclaw-model`."
    );
}

#[tokio::test]
async fn bad_json_is_a_400_however_deep_or_binary() {
    let rig = Rig::on(Vec::new());
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"messages\":{deep}");
    for body in ["{", "\u{0}\u{1}", "[]", &deep, &nested, "{}"] {
        let headers = [("authorization", "Bearer admin")];
        let response = rig.send("POST", "/v1/chat/completions", &headers, body).await;
        assert_eq!(response.status(), 400);
        assert_eq!(body_json(response).await["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn log_probabilities_are_told_to_who_asked() {
    let object = |token: &str| RunEvent::Logprobs(json!({"content": [{"token": token}]}).to_string());
    let steps = vec![
        say("a"),
        Step::Say(object("a")),
        say("b"),
        Step::Say(object("b")),
        end(completed("ab")),
    ];
    let rig = Rig::on(steps);
    let body = body_json(rig.chat(&[], &ask(json!({"logprobs": true}))).await).await;
    let tokens = &body["choices"][0]["logprobs"]["content"];
    assert_eq!(tokens, &json!([{"token": "a"}, {"token": "b"}]));
    let streamed = events(&text(rig.chat(&[], &ask(json!({"logprobs": true, "stream": true}))).await).await);
    assert_eq!(streamed[2]["choices"][0]["logprobs"]["content"][0]["token"], "a");
    assert_eq!(streamed[2]["choices"][0]["delta"], json!({}));
    for stream in [false, true] {
        let silent = text(rig.chat(&[], &ask(json!({ "stream": stream }))).await).await;
        assert!(!silent.contains("logprobs"), "{silent}");
    }
}
