//! Limits on what agents spend, and the report of it.

use serde_json::{Value, json};

use crate::support::gateway::{TOKEN, TestGateway, config, user_says, with};
use crate::support::model::ModelDouble;

/// The double's answers cost 11 prompt and 7 completion tokens; at these prices that is 0.25 USD.
fn priced(base_url: &str) -> Value {
    let model = json!({"id": "m1", "name": "m1", "cost": {"input": 10_000, "output": 20_000}});
    with(config(base_url), "models.providers.double.models", json!([model]))
}

#[tokio::test]
async fn a_limit_refuses_runs_before_the_call_also_after_a_crash() {
    let model = ModelDouble::start().await;
    let limits = json!({"maxUsdPerDay": 0.3});
    let mut gateway = TestGateway::start(&with(priced(&model.base_url()), "agents.defaults.spend", limits)).await;
    assert_eq!(gateway.chat(&user_says("one")).await.0, 200);
    assert_eq!(gateway.chat(&user_says("two")).await.0, 200);
    gateway.crash_and_restart().await;
    let response = gateway.post_chat(&user_says("three")).await;
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "spend_limit_reached");
    // The limit is of each agent.
    let mut other = user_says("four");
    other["model"] = json!("openclaw/beta");
    assert_eq!(gateway.chat(&other).await.0, 200);
    assert_eq!(model.seen().len(), 3, "a refused run calls nobody");

    let report = gateway.operator().await.call("usage.cost", json!({})).await;
    let totals = &report["payload"]["totals"];
    assert_eq!((&totals["input"], &totals["output"]), (&json!(33), &json!(21)));
    let cost = totals["totalCost"].as_f64().unwrap();
    assert!((cost - 0.75).abs() < 1e-9, "{totals}");
    assert_eq!(report["payload"]["daily"].as_array().unwrap().len(), 1);
    let spend = &report["payload"]["spend"];
    let main = &spend["agents"][0];
    assert_eq!(
        (&main["agentId"], &main["maxUsdPerDay"]),
        (&json!("main"), &json!(0.3)),
        "{spend}"
    );
    assert!((main["usd"].as_f64().unwrap() - 0.5).abs() < 1e-9, "{spend}");
    assert!((spend["usd"].as_f64().unwrap() - 0.75).abs() < 1e-9, "{spend}");
    assert_eq!(spend["maxUsdPerDay"], Value::Null, "{spend}");
}

#[tokio::test]
async fn without_a_limit_usage_is_written_all_the_same() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&priced(&model.base_url())).await;
    assert_eq!(gateway.chat(&user_says("one")).await.0, 200);
    gateway.signal("TERM");
    gateway.wait_exit().await;
    gateway.spawn();
    gateway.wait_ready().await;
    let report = gateway.operator().await.call("usage.cost", json!({"days": 1})).await;
    assert_eq!(report["payload"]["totals"]["totalTokens"], 18);
}

#[tokio::test]
async fn embeddings_count_like_runs_and_stop_at_the_same_limit() {
    let model = ModelDouble::start().await;
    let settings = with(
        priced(&model.base_url()),
        "agents.defaults.spend",
        json!({"maxUsdPerDay": 0.1}),
    );
    let memory = json!({"provider": "double", "model": "m1"});
    let gateway = TestGateway::start(&with(settings, "agents.defaults.memorySearch", memory)).await;
    let client = reqwest::Client::builder().build().unwrap();
    let embed = async |text: &str| {
        let request = client.post(gateway.url("/v1/embeddings")).bearer_auth(TOKEN);
        let body = json!({"model": "openclaw", "input": text});
        let response = request.json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    // Four tokens a word at 0.01 USD: the third word exceeds the limit, which the fourth request finds reached.
    for word in ["one", "two", "three"] {
        let (status, body) = embed(word).await;
        assert_eq!((status, &body["usage"]["prompt_tokens"]), (200, &json!(4)), "{body}");
    }
    let (status, body) = embed("four").await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (429, &json!("spend_limit_reached")),
        "{body}"
    );
    assert_eq!(gateway.chat(&user_says("five")).await.0, 429);
    assert_eq!(model.seen().len(), 3, "nobody is asked beyond the limit");

    let report = gateway.operator().await.call("usage.cost", json!({})).await;
    let totals = &report["payload"]["totals"];
    assert_eq!(totals["input"], 12, "{totals}");
    let cost = totals["totalCost"].as_f64().unwrap();
    assert!((cost - 0.12).abs() < 1e-9, "{totals}");
    let metrics = client
        .get(gateway.url("/api/diagnostics/prometheus"))
        .bearer_auth(TOKEN);
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for sample in [
        r#"openclaw_model_call_total{api="openai-embeddings",error_category="none",model="m1",outcome="completed",provider="double",transport="http"} 3"#,
        r#"openclaw_model_tokens_total{agent="main",channel="webchat",model="m1",provider="double",token_type="input"} 12"#,
    ] {
        assert!(metrics.contains(sample), "{sample}\n{metrics}");
    }
}
