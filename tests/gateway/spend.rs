//! Limits on what agents spend, and the report of it.

use serde_json::{Value, json};

use crate::support::gateway::{TestGateway, config, user_says, with};
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
