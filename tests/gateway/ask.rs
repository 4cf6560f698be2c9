//! `openclaw gateway ask` against the built gateway.

use serde_json::{Value, json};

use crate::support::gateway::{TestGateway, config, with};
use crate::support::model::ModelDouble;

/// Exit code, stdout, stderr.
async fn ask(gateway: &TestGateway, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = gateway.command();
    command.args(["gateway", "ask"]).args(arguments);
    let ran = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

#[tokio::test]
async fn ask_prints_the_answer_of_the_chosen_agent() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let (code, out, err) = ask(&gateway, &["hi there"]).await;
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Some(0), "Hello from the double.\n", "")
    );
    let (code, out, _) = ask(&gateway, &["--json", "--model", "openclaw/beta", "hi"]).await;
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &document["object"], &document["model"]),
        (Some(0), &json!("chat.completion"), &json!("openclaw/beta"))
    );
    assert_eq!(model.seen_with("hi there").len(), 1);
}

#[tokio::test]
async fn ask_says_what_was_refused() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let (code, out, err) = ask(&gateway, &["--model", "openclaw/nope", "hi"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("404 Not Found: ") && err.contains("nope"), "{err}");
    let url = format!("ws://127.0.0.1:{}", gateway.port);
    let (code, _, err) = ask(&gateway, &["--url", &url, "--token", "wrong", "hi"]).await;
    assert!(code == Some(1) && err.contains("401 Unauthorized"), "{err}");
}

#[tokio::test]
async fn ask_says_that_the_api_is_off_or_the_gateway_down() {
    let off = with(
        config("http://127.0.0.1:9/v1"),
        "gateway.http.endpoints.chatCompletions.enabled",
        json!(false),
    );
    let mut gateway = TestGateway::start(&off).await;
    let (code, _, err) = ask(&gateway, &["hi"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("gateway.http.endpoints.chatCompletions.enabled"), "{err}");
    gateway.signal("TERM");
    gateway.wait_exit().await;
    let (code, _, err) = ask(&gateway, &["hi"]).await;
    assert!(code == Some(1) && err.contains("gateway closed (1006"), "{err}");
}
