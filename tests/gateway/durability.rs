//! Nothing acknowledged is lost, nothing runs twice: across kill -9, restarts and failing storage.

use std::fs;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TestGateway, config, user_says_as};
use crate::support::model::ModelDouble;
use crate::support::ws::WsClient;

async fn history(client: &mut WsClient, key: &str) -> Vec<Value> {
    client
        .ok("chat.history", json!({"sessionKey": key, "limit": 200}))
        .await["messages"]
        .as_array()
        .unwrap()
        .clone()
}

fn count(messages: &[Value], role: &str, text: &str) -> usize {
    messages
        .iter()
        .filter(|message| message["role"] == role && message["content"].to_string().contains(text))
        .count()
}

#[tokio::test]
async fn kill_nine_during_forty_runs_loses_and_repeats_nothing() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut client = gateway.operator().await;
    let mut acknowledged = Vec::new();
    for n in 0..40 {
        // Four messages share one session: three of them wait behind the first.
        let key = if n < 4 {
            "agent:main:queue".to_owned()
        } else {
            format!("agent:main:s{n}")
        };
        let text = format!("TAG{n:02} [[slow:30]]");
        let answer = client
            .call(
                "chat.send",
                json!({"sessionKey": key, "message": text, "idempotencyKey": format!("run-{n}")}),
            )
            .await;
        assert_eq!(answer["payload"]["status"], "started", "{answer}");
        acknowledged.push((n, key));
    }
    eventually("some runs are at work", async || {
        (model.seen().len() >= 8).then_some(())
    })
    .await;
    gateway.crash_and_restart().await;

    let mut client = gateway.operator().await;
    eventually("every session settles", async || {
        let sessions = client.ok("sessions.list", json!({"limit": 500})).await;
        let rows = sessions["sessions"].as_array().unwrap();
        (rows.len() == 37 && rows.iter().all(|row| row["status"] != "running")).then_some(())
    })
    .await;
    // Between two runs of the queue its session is at rest too: only the end of each run says that nothing is to come.
    for n in 0..40 {
        let wait = json!({"runId": format!("run-{n}"), "timeoutMs": 30_000});
        let ended = client.ok("agent.wait", wait).await;
        assert_ne!(ended["status"], "timeout", "run {n} did not end: {ended}");
    }
    for (n, key) in &acknowledged {
        let messages = history(&mut client, key).await;
        assert_eq!(
            count(&messages, "user", &format!("TAG{n:02}")),
            1,
            "message {n} in {key}: {messages:#?}"
        );
        assert!(count(&messages, "assistant", "piece5") <= 4);
    }
    let queue = history(&mut client, "agent:main:queue").await;
    let order: Vec<usize> = (0..4)
        .map(|n| {
            queue
                .iter()
                .position(|message| message.to_string().contains(&format!("TAG{n:02}")))
                .unwrap()
        })
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    for n in 0..40 {
        let calls = model.seen_with(&format!("TAG{n:02}")).len();
        assert!(calls <= 1, "run {n} was sent to the provider {calls} times");
    }
    // A known key does not run again, whatever became of its run.
    let before = model.seen().len();
    let send = json!({"sessionKey": "agent:main:s9", "message": "TAG09 [[slow:30]]", "idempotencyKey": "run-9"});
    let again = client.call("chat.send", send).await;
    assert_ne!(again["payload"]["status"], "started", "{again}");
    assert_eq!(model.seen().len(), before);
}

#[tokio::test]
async fn history_and_devices_survive_a_clean_restart() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&config(&model.base_url())).await;
    let request = user_says_as("ann", "remember [[say:noted]]");
    gateway.chat(&request).await;
    gateway.signal("TERM");
    assert!(gateway.wait_exit().await.success());
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    let messages = history(&mut client, "agent:main:openai-user:ann").await;
    assert_eq!(count(&messages, "user", "remember"), 1);
    assert_eq!(count(&messages, "assistant", "noted"), 1);
}

#[tokio::test]
async fn a_second_gateway_on_the_same_state_is_refused_with_the_pid() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let mut second = TestGateway::prepare(&config("http://127.0.0.1:9/v1"));
    second.state_dir.clone_from(&gateway.state_dir);
    let (code, output) = tokio::task::spawn_blocking(move || second.run_to_end()).await.unwrap();
    assert_ne!(code, Some(0));
    assert!(
        output.contains(&format!("gateway already running (pid {})", gateway.pid())),
        "{output}"
    );
    let alive = reqwest::get(gateway.url("/healthz")).await.unwrap();
    assert_eq!(alive.status(), 200);
}

#[tokio::test]
async fn a_damaged_database_is_named_and_left_alone() {
    let mut gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    gateway.signal("TERM");
    gateway.wait_exit().await;
    let database = gateway.state_dir.join("state.db");
    let garbage = b"this is not a database, it is a sentence that somebody wrote over it".repeat(100);
    fs::write(&database, &garbage).unwrap();
    let (code, output) = tokio::task::spawn_blocking(move || {
        let result = gateway.run_to_end();
        assert_eq!(fs::read(gateway.state_dir.join("state.db")).unwrap(), garbage);
        result
    })
    .await
    .unwrap();
    assert_ne!(code, Some(0));
    assert!(output.contains("state database"), "{output}");
}

#[tokio::test]
async fn a_page_of_a_long_history_reads_only_the_page() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    for n in 0..90 {
        let request = user_says_as("long", &format!("turn {n} [[say:answer {n}]]"));
        assert_eq!(gateway.chat(&request).await.0, 200);
    }
    let sent = model.seen().last().unwrap().body["messages"].as_array().unwrap().len();
    assert!(sent <= 121, "the context window is bounded, {sent} messages were sent");
    let mut client = gateway.operator().await;
    let page = client
        .ok(
            "chat.history",
            json!({"sessionKey": "agent:main:openai-user:long", "limit": 3}),
        )
        .await;
    let page = page["messages"].as_array().unwrap();
    assert_eq!(page.len(), 3);
    assert_eq!(page[2]["__openclaw"]["seq"], 180);
}
