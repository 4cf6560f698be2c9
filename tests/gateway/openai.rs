//! `/v1/models` and `/v1/chat/completions` as SDKs use them.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, user_says, user_says_as, with};
use crate::support::model::ModelDouble;

/// A streamed answer, taken apart.
struct Streamed {
    text: String,
    finish: Option<String>,
    error: Option<Value>,
    usage: Option<Value>,
    done: bool,
}

fn take_apart(body: &str) -> Streamed {
    let mut out = Streamed {
        text: String::new(),
        finish: None,
        error: None,
        usage: None,
        done: false,
    };
    for line in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        assert!(!out.done, "an event after [DONE]: {line}");
        if line == "[DONE]" {
            out.done = true;
            continue;
        }
        let event: Value = serde_json::from_str(line).unwrap();
        if !event["error"].is_null() {
            out.error = Some(event["error"].clone());
            continue;
        }
        if !event["usage"].is_null() {
            out.usage = Some(event["usage"].clone());
        }
        if let Some(choice) = event["choices"].get(0) {
            out.text
                .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            if let Some(finish) = choice["finish_reason"].as_str() {
                out.finish = Some(finish.to_owned());
            }
        }
    }
    out
}

fn streaming(text: &str) -> Value {
    let mut body = user_says(text);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

#[tokio::test]
async fn models_are_listed_and_unknown_ones_are_not_found() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let client = reqwest::Client::builder().build().unwrap();
    let list: Value = client
        .get(gateway.url("/v1/models"))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["openclaw", "openclaw/default", "openclaw/main", "openclaw/beta"]);
    for (id, status) in [("openclaw/beta", 200), ("openclaw/nope", 404), ("gpt-4o", 404)] {
        let answer = client
            .get(gateway.url(&format!("/v1/models/{id}")))
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{id}");
        if status == 404 {
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["error"]["code"], "model_not_found");
        }
    }
}

#[tokio::test]
async fn an_answer_comes_whole_or_streamed_with_usage() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let (status, body) = gateway.chat(&user_says("hi")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "Hello from the double.");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 18);
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl_"));

    let answer = gateway.post_chat(&streaming("hi")).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let streamed = take_apart(&answer.text().await.unwrap());
    assert_eq!(streamed.text, "Hello from the double.");
    assert_eq!(streamed.finish.as_deref(), Some("stop"));
    assert_eq!(streamed.usage.unwrap()["completion_tokens"], 7);
    assert!(streamed.done);

    let (_, cut_short) = gateway.chat(&user_says("[[length]]")).await;
    assert_eq!(cut_short["choices"][0]["finish_reason"], "length");
    assert_eq!(model.seen().len(), 3, "one provider call per request");
}

#[tokio::test]
async fn a_client_tool_call_ends_the_run_and_its_result_continues_it() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let tools = json!([{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]);
    let mut request = user_says("use it [[tool:lookup]]");
    request["tools"] = tools.clone();
    let (status, body) = gateway.chat(&request).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    let call = body["choices"][0]["message"]["tool_calls"][0].clone();
    assert_eq!(call["function"], json!({"name": "lookup", "arguments": "{\"a\":1}"}));

    let follow_up = json!({"model": "openclaw", "tools": tools, "messages": [
        {"role": "user", "content": "use it [[tool:lookup]]"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "42"},
    ]});
    let (status, body) = gateway.chat(&follow_up).await;
    assert_eq!(status, 200, "{body}");
    let sent = model.seen().last().unwrap().body.clone();
    let roles: Vec<&str> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
    assert_eq!(
        sent["messages"][3]["tool_call_id"],
        sent["messages"][2]["tool_calls"][0]["id"]
    );
}

#[tokio::test]
async fn a_keyed_conversation_is_kept_and_a_resent_history_is_not_doubled() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let first = user_says_as("ann", "one [[say:first]]");
    gateway.chat(&first).await;
    let second = json!({"model": "openclaw", "user": "ann", "messages": [
        {"role": "user", "content": "one [[say:first]]"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "two [[say:second]]"},
    ]});
    let (status, body) = gateway.chat(&second).await;
    assert_eq!(
        (status, &body["choices"][0]["message"]["content"]),
        (200, &json!("second"))
    );
    let conversation = model.seen().last().unwrap().conversation();
    let users: Vec<&str> = conversation
        .iter()
        .filter(|(role, _)| role == "user")
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(users.len(), 2, "{users:?}");

    let third = user_says_as("ann", "three [[say:third]]");
    gateway.chat(&third).await;
    let conversation = model.seen().last().unwrap().conversation();
    assert_eq!(
        conversation.iter().filter(|(role, _)| role == "user").count(),
        3,
        "stored turns are sent along"
    );

    let (_, stateless) = gateway.chat(&user_says("four [[say:fourth]]")).await;
    assert_eq!(stateless["choices"][0]["message"]["content"], "fourth");
    let mut operator = gateway.operator().await;
    let sessions = operator.ok("sessions.list", json!({})).await;
    assert_eq!(
        sessions["sessions"].as_array().unwrap().len(),
        1,
        "a stateless request leaves nothing behind"
    );
}

#[tokio::test]
async fn unknown_agents_are_not_found_and_nothing_is_created() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    for name in ["openclaw/ghost", "gpt-4o"] {
        let mut request = user_says("hi");
        request["model"] = json!(name);
        let (status, body) = gateway.chat(&request).await;
        assert_eq!(status, 404, "{name}: {body}");
        assert_eq!(body["error"]["code"], "model_not_found");
    }
    assert!(model.seen().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_provider() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    for body in [streaming("[[stall]]"), user_says("[[silent]] nostream"), {
        let mut durable = streaming("[[stall]] durable");
        durable["user"] = json!("leaver");
        durable
    }] {
        let before = model.seen().len();
        let request = tokio::spawn({
            let url = gateway.url("/v1/chat/completions");
            async move {
                let answer = reqwest::Client::builder()
                    .build()
                    .unwrap()
                    .post(url)
                    .bearer_auth(TOKEN)
                    .json(&body)
                    .send()
                    .await
                    .unwrap();
                let mut body = answer.bytes_stream();
                while body.next().await.is_some() {}
            }
        });
        eventually("the provider is asked", async || {
            (model.seen().len() > before).then_some(())
        })
        .await;
        request.abort();
        eventually("the provider request is closed", async || {
            (model.open() == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn endpoints_follow_the_configuration_without_a_restart() {
    let model = ModelDouble::start().await;
    let settings = config(&model.base_url());
    let gateway = TestGateway::start(&settings).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    gateway.write_config(&with(
        settings.clone(),
        "gateway.http.endpoints.chatCompletions.enabled",
        json!(false),
    ));
    eventually("endpoint off", async || {
        (gateway.chat(&user_says("hi")).await.0 == 404).then_some(())
    })
    .await;
    gateway.write_config(&settings);
    eventually("endpoint on", async || {
        (gateway.chat(&user_says("hi")).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn fifty_streams_do_not_mix_and_probes_stay_quick() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let streams = (0..50).map(|n| {
        let gateway = &gateway;
        async move {
            let answer = gateway.post_chat(&streaming(&format!("[[say:<{n}>]]"))).await;
            (n, take_apart(&answer.text().await.unwrap()))
        }
    });
    for (n, streamed) in futures_util::future::join_all(streams).await {
        assert_eq!(streamed.text, format!("<{n}>"));
        assert!(streamed.done);
    }
}

#[tokio::test]
async fn silence_is_bridged_with_comments() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let answer = gateway.post_chat(&streaming("[[stall]]")).await;
    let mut body = answer.bytes_stream();
    let mut text = String::new();
    tokio::time::timeout(Duration::from_secs(30), async {
        while let Some(Ok(chunk)) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&chunk));
            if text.contains("\n:") {
                return;
            }
        }
    })
    .await
    .expect("a comment within 30 s");
}

#[tokio::test]
async fn slow_answers_of_many_callers_do_not_queue_behind_each_other() {
    const CALLERS: usize = 24;
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let bodies: Vec<Value> = (0..CALLERS)
        .map(|caller| streaming(&format!("[[stall]] caller {caller}")))
        .collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| gateway.post_chat(body))).await;
    eventually("every caller's stream at the provider", async || {
        (model.open() == CALLERS).then_some(())
    })
    .await;
    drop(answers);
    eventually("streams given up with their callers", async || {
        (model.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn turns_of_one_conversation_wait_for_each_other_and_others_leave_nothing() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let named = |text: &str| user_says_as("ann", text);
    let (first, second) = (named("first [[slow:20]]"), named("second"));
    let slow = gateway.chat(&first);
    let after = async {
        eventually("the first turn is at work", async || {
            (!model.seen_with("first").is_empty()).then_some(())
        })
        .await;
        gateway.chat(&second).await
    };
    let (one, two) = tokio::join!(slow, after);
    assert_eq!((one.0, two.0), (200, 200));
    let seen = model.seen_with("second").pop().unwrap().conversation();
    let answered = seen
        .iter()
        .any(|(role, text)| role == "assistant" && text.contains("piece5"));
    assert!(answered, "the second turn knows the whole first one: {seen:?}");

    assert_eq!(gateway.chat(&user_says("alone")).await.0, 200);
    let mut unkept = named("unkept");
    unkept["store"] = json!(false);
    assert_eq!(gateway.chat(&unkept).await.0, 200);
    let listed = gateway.operator().await.call("sessions.list", json!({})).await;
    let keys: Vec<&str> = listed["payload"]["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["agent:main:openai-user:ann"]);
}

#[tokio::test]
async fn the_form_before_tools_is_spoken_to_those_who_speak_it() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let functions = json!([{"name": "lookup", "description": "Looks a up", "parameters": {"type": "object"}}]);
    let mut request = user_says("use it [[tool:lookup]]");
    request["functions"] = functions.clone();
    request["function_call"] = json!({"name": "lookup"});
    let (status, body) = gateway.chat(&request).await;
    assert_eq!(status, 200, "{body}");
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call", "{body}");
    let call = json!({"name": "lookup", "arguments": "{\"a\":1}"});
    assert_eq!(choice["message"]["function_call"], call, "{body}");
    assert!(choice["message"]["tool_calls"].is_null(), "{body}");
    let sent = model.seen().pop().unwrap().body;
    assert_eq!(sent["tools"][0]["function"]["description"], "Looks a up", "{sent}");
    assert_eq!(sent["tool_choice"]["function"]["name"], "lookup", "{sent}");
    assert_eq!(sent["parallel_tool_calls"], false, "{sent}");
    assert!(sent["functions"].is_null() && sent["function_call"].is_null(), "{sent}");

    request["stream"] = json!(true);
    let streamed = gateway.post_chat(&request).await.text().await.unwrap();
    let events = streamed.lines().filter_map(|line| line.strip_prefix("data: {"));
    let (mut name, mut arguments, mut finish) = (String::new(), String::new(), Value::Null);
    for event in events.map(|event| serde_json::from_str::<Value>(&format!("{{{event}")).unwrap()) {
        let choice = &event["choices"][0];
        let delta = &choice["delta"]["function_call"];
        name.push_str(delta["name"].as_str().unwrap_or_default());
        arguments.push_str(delta["arguments"].as_str().unwrap_or_default());
        assert!(choice["delta"]["tool_calls"].is_null(), "{event}");
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
    }
    assert_eq!(
        (name.as_str(), arguments.as_str()),
        ("lookup", "{\"a\":1}"),
        "{streamed}"
    );
    assert_eq!(finish, "function_call");

    let follow_up = json!({"model": "openclaw", "functions": functions, "messages": [
        {"role": "user", "content": "use it [[tool:lookup]]"},
        {"role": "assistant", "content": null, "function_call": call},
        {"role": "function", "name": "lookup", "content": "42"},
    ]});
    let (status, body) = gateway.chat(&follow_up).await;
    assert_eq!(
        (status, &body["choices"][0]["finish_reason"]),
        (200, &json!("stop")),
        "{body}"
    );
    let sent = model.seen().pop().unwrap().body["messages"].clone();
    assert_eq!(
        (&sent[3]["role"], &sent[3]["content"]),
        (&json!("tool"), &json!("42")),
        "{sent}"
    );

    for (wrong, param) in [
        (json!({"functions": [{"name": ""}]}), "functions"),
        (json!({"functions": [{"name": "f", "parameters": 5}]}), "functions"),
        (
            json!({"functions": functions, "function_call": {"name": "g"}}),
            "function_call",
        ),
        (json!({"function_call": {"name": "g"}}), "function_call"),
        (json!({"functions": functions, "tools": []}), "functions"),
    ] {
        let mut request = user_says("hi");
        request
            .as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        let (status, body) = gateway.chat(&request).await;
        assert_eq!(
            (status, &body["error"]["param"]),
            (400, &json!(param)),
            "{wrong}: {body}"
        );
    }
}
