//! Requests as Open WebUI, LobeChat and LibreChat put them, field by field.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, with, with_responses};
use crate::support::model::ModelDouble;

const OPEN_WEBUI: [(&str, &str); 5] = [
    ("X-OpenWebUI-User-Name", "J%C3%B6rg Example"),
    ("X-OpenWebUI-User-Id", "0b1c5d3e-0000-4000-8000-000000000001"),
    ("X-OpenWebUI-User-Email", "joerg@example.org"),
    ("X-OpenWebUI-User-Role", "admin"),
    ("X-OpenWebUI-Chat-Id", "7f1b2a60-0000-4000-8000-0000000000aa"),
];

/// What the Node SDK adds to every request; LobeChat and LibreChat use it.
const NODE_SDK: [(&str, &str); 8] = [
    ("Accept", "application/json"),
    ("User-Agent", "OpenAI/JS 6.1.0"),
    ("X-Stainless-Lang", "js"),
    ("X-Stainless-Retry-Count", "0"),
    ("X-Stainless-Timeout", "600"),
    ("OpenAI-Organization", "org-1"),
    ("OpenAI-Project", "proj-1"),
    ("Idempotency-Key", "stainless-node-retry-1"),
];

struct FrontEnd<'a> {
    gateway: &'a TestGateway,
    headers: &'a [(&'a str, &'a str)],
}

impl FrontEnd<'_> {
    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let client = reqwest::Client::builder().build().unwrap();
        let request = client.request(method, self.gateway.url(path)).bearer_auth(TOKEN);
        self.headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
    }

    async fn models(&self, path: &str) -> Vec<String> {
        let answer = self.request(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let list: Value = answer.json().await.unwrap();
        let ids = list["data"].as_array().unwrap().iter();
        ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn post(&self, body: &Value) -> reqwest::Response {
        let request = self.request(reqwest::Method::POST, "/v1/chat/completions");
        request.json(body).send().await.unwrap()
    }

    async fn whole(&self, body: &Value) -> Value {
        let answer = self.post(body).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Text and usage of a streamed answer that ends well.
    async fn streamed(&self, body: &Value) -> (String, Value) {
        let answer = self.post(body).await;
        assert_eq!(answer.status(), 200);
        let all = answer.text().await.unwrap();
        assert!(all.ends_with("data: [DONE]\n\n"), "{all}");
        let (mut text, mut usage) = (String::new(), Value::Null);
        for data in all.lines().filter_map(|line| line.strip_prefix("data: {")) {
            let event: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
            assert!(event["error"].is_null(), "{event}");
            text.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            if event["usage"].is_object() {
                usage = event["usage"].clone();
            }
        }
        (text, usage)
    }
}

fn lookup() -> Value {
    json!({"type": "function", "function": {"name": "lookup", "description": "", "strict": false,
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}})
}

#[tokio::test]
async fn open_webui_chats_and_its_tasks_leave_the_chat_alone() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let open_webui = FrontEnd {
        gateway: &gateway,
        headers: &OPEN_WEBUI,
    };
    assert!(
        open_webui
            .models("/v1/models")
            .await
            .contains(&"openclaw/main".to_owned())
    );

    let first = json!({"role": "user", "content": "first question"});
    let mut turn = json!({
        "model": "openclaw/main", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.8,
        "logit_bias": {"50256": -100}, "reasoning_effort": "low", "chat_id": "7f1b2a60",
        "user": {"name": "J", "id": "1", "email": "j@example.org", "role": "admin"},
        "messages": [{"role": "system", "content": "User context"}, first],
    });
    let (text, usage) = open_webui.streamed(&turn).await;
    assert_eq!(text, "Hello from the double.");
    assert_eq!(usage["total_tokens"], 18);

    // Title, tags and follow-ups: about the chat, under the same chat id, and no part of it.
    for task in [
        "Generate a concise title",
        "Generate 1-3 broad tags",
        "Suggest 3-5 follow-up questions",
    ] {
        let prompt =
            format!("### Task:\n{task}\n### Chat History:\n<chat_history>\nUSER: first question\n</chat_history>");
        let answer = open_webui
            .whole(
                &json!({"model": "openclaw/main", "stream": false, "max_completion_tokens": 1000,
                "messages": [{"role": "user", "content": prompt}]}),
            )
            .await;
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello from the double.");
        let seen = model.seen().last().unwrap().conversation();
        let users: Vec<_> = seen.iter().filter(|(role, _)| role == "user").collect();
        assert_eq!(users.len(), 1, "a task carries what it is about: {seen:?}");
    }

    turn["messages"] = json!([
        {"role": "system", "content": "User context"}, first,
        {"role": "assistant", "content": "Hello from the double."},
        {"role": "user", "content": [{"type": "text", "text": "second question", "cache_control": {"type": "ephemeral"}}]},
    ]);
    open_webui.streamed(&turn).await;
    let seen = model.seen().last().unwrap().conversation();
    let users: Vec<&str> = seen
        .iter()
        .filter(|(role, _)| role == "user")
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(users, ["first question", "second question"]);

    let mut operator = gateway.operator().await;
    let kept = operator
        .ok(
            "chat.history",
            json!({"sessionKey": "agent:main:openai-chat:7f1b2a60-0000-4000-8000-0000000000aa"}),
        )
        .await;
    let kept = kept["messages"].to_string();
    assert!(
        kept.contains("first question") && kept.contains("second question"),
        "{kept}"
    );
    assert!(!kept.contains("### Task:"), "{kept}");

    turn["messages"] = json!([{"role": "user", "content": "[[stall]]"}]);
    let stopped = open_webui.post(&turn).await;
    eventually("the provider is at work", async || (model.open() == 1).then_some(())).await;
    drop(stopped);
    eventually("the stop button frees the provider", async || {
        (model.open() == 0).then_some(())
    })
    .await;

    turn["messages"] = json!([{"role": "user", "content": "[[status:429]]"}]);
    let refused = open_webui.post(&turn).await;
    assert_eq!(refused.status(), 429);
    let relayed: Value = refused.json().await.unwrap();
    assert!(relayed["error"]["message"].is_string(), "{relayed}");
}

#[tokio::test]
async fn lobechat_streams_calls_tools_and_asks_for_structured_answers() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut headers = NODE_SDK;
    headers[0].1 = "*/*";
    let lobechat = FrontEnd {
        gateway: &gateway,
        headers: &headers,
    };
    assert_eq!(lobechat.models("/v1/models").await[0], "openclaw");
    let (text, usage) = lobechat
        .streamed(&json!({
            "model": "openclaw", "stream": true, "stream_options": {"include_usage": true}, "temperature": 1, "top_p": 1,
            "frequency_penalty": 0, "presence_penalty": 0, "user": "lobe-user-1", "tools": [lookup()],
            "messages": [{"role": "system", "content": ""}, {"role": "user", "content": "hi"}],
        }))
        .await;
    assert_eq!(text, "Hello from the double.");
    assert_eq!(usage["prompt_tokens"], 11);

    let named = lobechat
        .whole(&json!({
            "model": "openclaw", "tools": [lookup()], "tool_choice": {"type": "function", "function": {"name": "lookup"}},
            "messages": [{"role": "user", "content": "[[tool:lookup]]"}],
        }))
        .await;
    assert_eq!(
        named["choices"][0]["message"]["tool_calls"][0]["function"]["name"],
        "lookup"
    );

    let format = json!({"type": "json_schema", "json_schema": {"name": "topic", "strict": true, "schema": {
        "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": false}}});
    let structured = lobechat
        .whole(&json!({"model": "openclaw", "response_format": format,
            "messages": [{"role": "user", "content": "[[say:{\"title\":\"x\"}]]"}]}))
        .await;
    assert_eq!(structured["choices"][0]["message"]["content"], "{\"title\":\"x\"}");
    assert_eq!(model.seen().last().unwrap().body["response_format"], format);
}

#[tokio::test]
async fn librechat_lists_models_streams_and_makes_titles() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let librechat = FrontEnd {
        gateway: &gateway,
        headers: &NODE_SDK,
    };
    assert!(!librechat.models("/v1/models?user=65f0c0ffee").await.is_empty());
    let (text, _) = librechat
        .streamed(&json!({
            "model": "openclaw", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.7, "top_p": 0.9,
            "max_tokens": 500, "user": "65f0c0ffee", "verbosity": "low", "reasoning_effort": "medium",
            "x_site_setting": {"anything": [1, 2]},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        }))
        .await;
    assert_eq!(text, "Hello from the double.");
    let sent = model.seen().last().unwrap().body.clone();
    assert_eq!(sent["temperature"], 0.7);

    let title = librechat
        .whole(
            &json!({"model": "openclaw", "stream": false, "temperature": 0.2, "max_tokens": 75,
            "messages": [{"role": "user", "content": "Provide a concise, 5-word-or-less title for the conversation"}]}),
        )
        .await;
    assert_eq!(title["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn lobechat_speaks_responses_too_and_from_a_browser() {
    let model = ModelDouble::start().await;
    let endpoints = json!({
        "chatCompletions": {"enabled": true, "allowedOrigins": ["https://lobe.example"]},
        "responses": {"enabled": true, "allowedOrigins": ["https://lobe.example"]},
    });
    let settings = with(config(&model.base_url()), "gateway.http.endpoints", endpoints);
    let gateway = TestGateway::start(&settings).await;
    let lobechat = FrontEnd {
        gateway: &gateway,
        headers: &[("Accept", "*/*"), ("Origin", "https://lobe.example")],
    };
    let asked = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-retry-count";
    for path in ["/v1/chat/completions", "/v1/responses", "/v1/models"] {
        let method = if path == "/v1/models" { "GET" } else { "POST" };
        let answer = reqwest::Client::builder()
            .build()
            .unwrap()
            .request(reqwest::Method::OPTIONS, gateway.url(path))
            .header("Origin", "https://lobe.example")
            .header("Access-Control-Request-Method", method)
            .header("Access-Control-Request-Headers", asked)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204, "{path}");
        let allowed = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(allowed("access-control-allow-origin"), "https://lobe.example");
        assert_eq!(allowed("access-control-allow-headers"), asked);
        assert!(allowed("access-control-allow-methods").contains(method), "{path}");
    }

    let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
        "additionalProperties": false});
    let body = json!({
        "model": "openclaw", "stream": false, "input": [{"role": "user", "content": "[[say:{\"title\":\"x\"}]]"}],
        "text": {"format": {"type": "json_schema", "name": "topic", "strict": true, "schema": schema}},
    });
    let request = lobechat.request(reqwest::Method::POST, "/v1/responses").json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://lobe.example");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        answer["output"][0]["content"][0]["text"], "{\"title\":\"x\"}",
        "{answer}"
    );
    let sent = model.seen().pop().unwrap().body;
    assert_eq!(sent["response_format"]["json_schema"]["schema"], schema, "{sent}");
}

#[tokio::test]
async fn librechats_web_search_is_refused_by_name() {
    let model = ModelDouble::start().await;
    let settings = with_responses(config(&model.base_url()));
    let gateway = TestGateway::start(&settings).await;
    let librechat = FrontEnd {
        gateway: &gateway,
        headers: &NODE_SDK,
    };
    let body = json!({"model": "openclaw", "stream": true, "tools": [{"type": "web_search"}],
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "news?"}]}]});
    let request = librechat.request(reqwest::Method::POST, "/v1/responses").json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["param"], "tools.0.type", "{answer}");
    assert!(model.seen().is_empty());
}

#[tokio::test]
async fn open_webui_embeds_documents() {
    let model = ModelDouble::start().await;
    let memory = json!({"provider": "double", "model": "m1"});
    let settings = with(config(&model.base_url()), "agents.defaults.memorySearch", memory);
    let gateway = TestGateway::start(&settings).await;
    let open_webui = FrontEnd {
        gateway: &gateway,
        headers: &OPEN_WEBUI,
    };
    for (input, count) in [(json!("a text"), 1), (json!(["one", "two"]), 2)] {
        let body = json!({"model": "openclaw", "input": input});
        let request = open_webui.request(reqwest::Method::POST, "/v1/embeddings").json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(count), "{answer}");
        assert_eq!(answer["data"][0]["embedding"], json!([0.5, 0.25, -1.0]));
    }
}
