//! Every provider dialect behind the same chat-completions surface: text, tools, limits, refusals, broken streams.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TestGateway, config, user_says, with};
use crate::support::model::ModelDouble;

/// The dialects with the path of their base address at the double.
const DIALECTS: [(&str, &str); 4] = [
    ("anthropic-messages", ""),
    ("openai-responses", "/v1"),
    ("google-generative-ai", "/v1beta"),
    ("ollama", ""),
];

/// A gateway with one provider per dialect, each with model `m1`.
async fn start(model: &ModelDouble) -> TestGateway {
    let mut settings = config(&model.base_url());
    for (api, path) in DIALECTS {
        let provider = json!({
            "baseUrl": format!("http://{}{path}", model.address), "apiKey": "sk-double-secret-key-1", "api": api,
            "models": [{"id": "m1", "name": "m1", "contextWindow": 128_000, "maxTokens": 4096}],
        });
        settings = with(settings, &format!("models.providers.{api}"), provider);
        settings["agents"]["list"]
            .as_array_mut()
            .unwrap()
            .push(json!({"id": api, "model": format!("{api}/m1")}));
    }
    TestGateway::start(&settings).await
}

fn ask(api: &str, text: &str, stream: bool) -> Value {
    let mut body = user_says(text);
    body["model"] = json!(format!("openclaw/{api}"));
    body["stream"] = json!(stream);
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

#[tokio::test]
async fn text_comes_streamed_and_whole_with_usage() {
    let model = ModelDouble::start().await;
    let gateway = start(&model).await;
    for (api, _) in DIALECTS {
        let (status, body) = gateway.chat(&ask(api, "hi", false)).await;
        assert_eq!(status, 200, "{api}: {body}");
        assert_eq!(
            body["choices"][0]["message"]["content"], "Hello from the double.",
            "{api}"
        );
        assert_eq!(body["choices"][0]["finish_reason"], "stop", "{api}");
        assert_eq!(
            (&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]),
            (&json!(11), &json!(7)),
            "{api}"
        );
        let text = gateway.post_chat(&ask(api, "hi", true)).await.text().await.unwrap();
        for part in [
            "\"Hello\"",
            "\" from\"",
            "\" the double.\"",
            "\"finish_reason\":\"stop\"",
            "\"total_tokens\":18",
        ] {
            assert!(text.contains(part), "{api}: {part} not in {text}");
        }
        assert!(text.trim_end().ends_with("data: [DONE]"), "{api}: {text}");
        let (_, short) = gateway.chat(&ask(api, "[[length]]", false)).await;
        assert_eq!(short["choices"][0]["finish_reason"], "length", "{api}: {short}");
    }
}

#[tokio::test]
async fn a_tool_call_goes_to_the_client_and_its_result_back() {
    let model = ModelDouble::start().await;
    let gateway = start(&model).await;
    let tools = json!([{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]);
    for (api, _) in DIALECTS {
        let mut request = ask(api, "use it [[tool:lookup]]", false);
        request["tools"] = tools.clone();
        let (status, body) = gateway.chat(&request).await;
        assert_eq!(status, 200, "{api}: {body}");
        assert_eq!(body["choices"][0]["finish_reason"], "tool_calls", "{api}");
        let call = body["choices"][0]["message"]["tool_calls"][0].clone();
        assert_eq!(call["function"]["name"], "lookup", "{api}: {body}");
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({"a": 1}), "{api}");

        let mut follow_up = request.clone();
        follow_up["messages"] = json!([
            {"role": "user", "content": "use it [[tool:lookup]]"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "the result is 42"},
        ]);
        let (status, body) = gateway.chat(&follow_up).await;
        assert_eq!(status, 200, "{api}: {body}");
        assert_eq!(
            body["choices"][0]["message"]["content"], "Hello from the double.",
            "{api}"
        );
        let sent = model.seen().last().unwrap().body.to_string();
        assert!(
            sent.contains("the result is 42") && sent.contains("lookup"),
            "{api}: {sent}"
        );
    }
}

#[tokio::test]
async fn refusals_map_to_the_same_statuses_in_every_dialect() {
    let model = ModelDouble::start().await;
    let gateway = start(&model).await;
    for (api, _) in DIALECTS {
        for (code, expected, calls) in [(400, 400, 1), (401, 502, 1), (429, 429, 3)] {
            let tag = format!("{api} code{code} [[status:{code}]]");
            let (status, body) = gateway.chat(&ask(api, &tag, false)).await;
            assert_eq!(status, expected, "{api} {code}: {body}");
            assert!(body["error"]["message"].is_string(), "{api} {code}: {body}");
            assert!(
                !body.to_string().contains("sk-double"),
                "the provider key leaked: {body}"
            );
            assert_eq!(model.seen_with(&tag).len(), calls, "{api}: calls for {code}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_ends_with_an_error_and_repeats_nothing() {
    let model = ModelDouble::start().await;
    let gateway = start(&model).await;
    for (api, _) in DIALECTS {
        let text = gateway
            .post_chat(&ask(api, "[[cut]]", true))
            .await
            .text()
            .await
            .unwrap();
        assert_eq!(text.matches("half of the").count(), 1, "{api}: {text}");
        assert!(text.contains("\"error\""), "{api}: {text}");
        assert!(!text.contains("\"finish_reason\":\"stop\""), "{api}: {text}");
    }
}

#[tokio::test]
async fn a_parameter_that_a_dialect_cannot_honour_is_refused_by_name_before_anything_is_sent() {
    let model = ModelDouble::start().await;
    let gateway = start(&model).await;
    for (api, _) in DIALECTS {
        let mut request = ask(api, "hi", false);
        request["logit_bias"] = json!({"50256": -100});
        let (status, body) = gateway.chat(&request).await;
        assert_eq!(status, 400, "{api}: {body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("`logit_bias`"), "{api}: {message}");
    }
    assert!(model.seen().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_frees_the_provider() {
    let model = ModelDouble::start().await;
    let gateway = start(&model).await;
    for (api, _) in DIALECTS {
        let answer = gateway.post_chat(&ask(api, "[[stall]]", true)).await;
        eventually("the answer has begun", async || (model.open() == 1).then_some(())).await;
        drop(answer);
        eventually("the provider request is closed", async || {
            (model.open() == 0).then_some(())
        })
        .await;
    }
}
