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
