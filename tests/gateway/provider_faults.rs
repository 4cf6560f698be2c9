//! What callers see when a provider misbehaves.

use serde_json::{Value, json};

use crate::support::gateway::{TestGateway, config, user_says};
use crate::support::model::ModelDouble;
use crate::support::port::Port;

fn streaming(text: &str) -> Value {
    let mut body = user_says(text);
    body["stream"] = json!(true);
    body
}

#[tokio::test]
async fn provider_errors_map_to_statuses_that_clients_can_act_on() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    for (code, expected, calls) in [
        (400, 400, 1),
        (401, 502, 1),
        (403, 502, 1),
        (429, 429, 3),
        (500, 502, 3),
    ] {
        let tag = format!("code{code} [[status:{code}]]");
        let (status, body) = gateway.chat(&user_says(&tag)).await;
        assert_eq!(status, expected, "{code}: {body}");
        assert!(
            body["error"]["message"].is_string() && !body["error"]["code"].is_null(),
            "{code}: {body}"
        );
        assert!(
            !body.to_string().contains("sk-double"),
            "the provider key leaked: {body}"
        );
        assert_eq!(model.seen_with(&tag).len(), calls, "calls for {code}");
        let answer = gateway.post_chat(&streaming(&tag)).await;
        assert_eq!(
            answer.status().as_u16(),
            expected,
            "stream {code}: nothing was sent, so the status is real"
        );
        if expected == 429 {
            assert!(answer.headers().contains_key("retry-after"));
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_502() {
    let nobody = Port::reserve();
    let port = nobody.number();
    let gateway = TestGateway::start(&config(&format!("http://127.0.0.1:{port}/v1"))).await;
    let (status, body) = gateway.chat(&user_says("hi")).await;
    assert_eq!(status, 502, "{body}");
}

#[tokio::test]
async fn nonsense_from_the_provider_is_never_a_success() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let scripts = [
        "[[garbage]]",
        "[[raw]]data: {broken\n\n",
        "[[raw]]",
        "[[raw]]data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ];
    for text in scripts {
        for body in [user_says(text), streaming(text)] {
            let answer = gateway.post_chat(&body).await;
            assert!(answer.status().is_server_error(), "{text}: {}", answer.status());
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_ends_with_an_error_and_repeats_nothing() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let text = gateway.post_chat(&streaming("[[cut]]")).await.text().await.unwrap();
    assert_eq!(text.matches("half of the").count(), 1, "{text}");
    assert!(text.contains("\"error\""), "{text}");
    assert!(!text.contains("\"finish_reason\":\"stop\""), "{text}");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    let (status, _) = gateway.chat(&user_says("[[cut]] whole")).await;
    assert!(status >= 500, "{status}");
}

#[tokio::test]
async fn a_provider_that_comes_back_is_used_again() {
    let model = ModelDouble::start().await;
    let address = model.address;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    drop(model);
    crate::support::eventually("the provider is gone", async || {
        (gateway.chat(&user_says("hi")).await.0 == 502).then_some(())
    })
    .await;
    let _model = ModelDouble::start_at(address).await;
    let (status, body) = gateway.chat(&user_says("hi")).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn what_providers_really_stream_reaches_the_client_as_one_answer() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let chunk = |rest: &str| format!("data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",{rest}}}\r\n\r\n");
    let whole = [
        ": OPENROUTER PROCESSING\r\n\r\n".to_owned(),
        chunk(r#""choices":[],"prompt_filter_results":[{"prompt_index":0}]"#),
        "event: ping\r\ndata:\r\n\r\n".to_owned(),
        chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]"#),
        chunk(r#""choices":[{"index":0,"delta":{"content":"one "},"finish_reason":null}]"#),
        chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#),
        chunk(r#""choices":[{"index":0,"delta":{"content":"two"},"finish_reason":null}]"#),
        chunk(r#""choices":[],"usage":{"prompt_tokens":3.0,"completion_tokens":"2","total_tokens":5}"#),
        "data: [DONE]\r\n\r\n".to_owned(),
    ]
    .concat();
    let answer = gateway.post_chat(&streaming(&format!("[[raw]]{whole}"))).await;
    let text = answer.text().await.unwrap();
    assert!(text.contains("one ") && text.contains("two"), "{text}");
    assert_eq!(text.matches("\"finish_reason\":\"stop\"").count(), 1, "{text}");
    assert!(!text.contains("\"error\""), "{text}");

    // The error comes after text: it ends the stream, and is told once.
    let torn = [
        chunk(r#""choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]"#),
        chunk(
            r#""error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]"#,
        ),
    ]
    .concat();
    let answer = gateway.post_chat(&streaming(&format!("[[raw]]{torn}"))).await;
    let text = answer.text().await.unwrap();
    assert_eq!(text.matches("half").count(), 1, "{text}");
    assert_eq!(text.matches("Provider disconnected").count(), 1, "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");

    // A line that never ends is no reason to keep it.
    let huge = format!("[[raw]]data: {{\"x\":\"{}\"", "y".repeat(5 * 1024 * 1024));
    let (status, body) = gateway.chat(&streaming(&huge)).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (502, &json!("provider_bad_answer")),
        "{body}"
    );
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
}

#[tokio::test]
async fn after_a_tools_result_silence_is_an_answer() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let silence = r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}"#;
    let (whole, streamed) = (
        format!("[[raw]]{silence}"),
        format!("[[raw]]data: {silence}\n\ndata: [DONE]\n\n"),
    );
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    for (stream, silent) in [(false, &whole), (true, &streamed)] {
        let body = json!({"model": "openclaw", "stream": stream, "messages": [
            {"role": "user", "content": silent},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ]});
        let answer = gateway.post_chat(&body).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("\"finish_reason\":\"stop\""), "{text}");
    }
    // Where no tool was asked, it is none.
    assert_eq!(gateway.chat(&user_says(&whole)).await.0, 502);
    assert_eq!(gateway.chat(&streaming(&streamed)).await.0, 502);
}
