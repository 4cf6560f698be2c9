//! Chains of models and several accounts per provider.

use serde_json::{Value, json};

use crate::support::gateway::{TOKEN, TestGateway, config, user_says, with};
use crate::support::model::ModelDouble;

/// Provider `gone` cannot be reached; `double` is its substitute.
fn chain(model: &ModelDouble) -> Value {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = json!({"baseUrl": format!("http://{nobody}/v1"), "api": "openai-completions",
        "models": [{"id": "m9", "name": "m9"}]});
    let settings = with(config(&model.base_url()), "models.providers.gone", gone);
    with(
        settings,
        "agents.defaults.model",
        json!({"primary": "gone/m9", "fallbacks": ["double/m1"]}),
    )
}

async fn metrics(gateway: &TestGateway) -> String {
    let answer = reqwest::Client::builder()
        .build()
        .unwrap()
        .get(gateway.url("/api/diagnostics/prometheus"))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn the_next_model_of_a_chain_answers_and_a_chosen_model_has_no_substitute() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&chain(&model)).await;
    for stream in [false, true] {
        let mut request = user_says("hi");
        request["stream"] = json!(stream);
        let text = gateway.post_chat(&request).await.text().await.unwrap();
        assert!(text.contains("double"), "{text}");
    }
    assert_eq!(model.seen().len(), 2);
    let page = metrics(&gateway).await;
    let line = page
        .lines()
        .find(|line| line.starts_with("openclaw_model_failover_total{"))
        .expect("fail-overs are counted");
    for label in ["from_provider=\"gone\"", "to_provider=\"double\"", "reason=\"network\""] {
        assert!(line.contains(label), "{line}");
    }
    assert!(page.contains("openclaw_model_first_event_seconds_bucket{"));

    let chosen = reqwest::Client::builder()
        .build()
        .unwrap()
        .post(gateway.url("/v1/chat/completions"))
        .bearer_auth(TOKEN)
        .header("x-openclaw-model", "gone/m9")
        .json(&user_says("hi"))
        .send()
        .await
        .unwrap();
    assert_eq!(chosen.status(), 502);
    assert_eq!(model.seen().len(), 2);
}

#[tokio::test]
async fn an_account_that_is_refused_rests_and_the_next_one_answers_also_after_a_crash() {
    let model = ModelDouble::start().await;
    let mut settings = config(&model.base_url());
    settings["models"]["providers"]["double"]
        .as_object_mut()
        .unwrap()
        .remove("apiKey");
    settings["auth"] = json!({
        "profiles": {
            "double:a": {"provider": "double", "mode": "api_key", "apiKey": "key-of-account-a"},
            "double:b": {"provider": "double", "mode": "api_key"},
        },
        "order": {"double": ["double:a", "double:b"]},
    });
    let mut gateway = TestGateway::prepare(&settings);
    let folder = gateway.state_dir.join("agents/main/agent");
    std::fs::create_dir_all(&folder).unwrap();
    let kept = json!({"version": 1, "profiles": {
        "double:b": {"type": "api_key", "provider": "double", "key": "key-of-account-b"}}});
    std::fs::write(folder.join("auth-profiles.json"), kept.to_string()).unwrap();
    gateway.spawn();
    gateway.wait_ready().await;
    let keys = || -> Vec<String> { model.seen().into_iter().map(|seen| seen.key).collect() };

    for code in [401, 429] {
        let only = format!("[[only:key-of-account-b:{code}]]");
        let (status, body) = gateway.chat(&user_says(&only)).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(
        keys(),
        ["key-of-account-a", "key-of-account-b", "key-of-account-b"],
        "the first account rests after its refusal"
    );
    crate::support::eventually("the rest is on disk", async || {
        ["state.db", "state.db-wal"]
            .iter()
            .filter_map(|name| std::fs::read(gateway.state_dir.join(name)).ok())
            .any(|content| content.windows(8).any(|bytes| bytes == b"double:a"))
            .then_some(())
    })
    .await;
    gateway.crash_and_restart().await;
    let (status, body) = gateway.chat(&user_says("hi")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(keys()[3..], ["key-of-account-b"]);
    let log = gateway.log();
    assert!(!log.contains("key-of-account"), "a key is in the log: {log}");
}

#[tokio::test]
async fn accounts_that_are_all_refused_give_the_providers_status() {
    let model = ModelDouble::start().await;
    let mut settings = config(&model.base_url());
    settings["auth"] = json!({"profiles": {
        "double:a": {"provider": "double", "mode": "token", "apiKey": "key-of-account-a"}}});
    let gateway = TestGateway::start(&settings).await;
    let (status, body) = gateway.chat(&user_says("[[status:401]]")).await;
    assert_eq!(status, 502, "{body}");
    let keys: Vec<String> = model.seen().into_iter().map(|seen| seen.key).collect();
    assert_eq!(keys, ["key-of-account-a", "sk-double-secret-key-1"]);
}
