//! Start, refusals, drain, shutdown.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TestGateway, config, user_says, with};
use crate::support::model::ModelDouble;

async fn refusal(settings: &Value, arguments: &[&str]) -> (Option<i32>, String) {
    let mut gateway = TestGateway::prepare(settings);
    gateway.extra_args = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    tokio::task::spawn_blocking(move || gateway.run_to_end()).await.unwrap()
}

#[tokio::test]
async fn unsafe_or_unclear_configurations_are_refused_with_the_reason() {
    let base = || config("http://127.0.0.1:9/v1");
    let without_mode = json!({"gateway": {"auth": {"mode": "token", "token": "abcdefabcdefabcdef"}}});
    let cases = [
        (without_mode, 78, "existing config is missing gateway.mode"),
        (
            with(base(), "gateway.mode", json!("remote")),
            78,
            "set gateway.mode=local (current: remote)",
        ),
        (
            with(
                with(base(), "gateway.bind", json!("lan")),
                "gateway.auth",
                json!({"mode": "none"}),
            ),
            78,
            "Refusing to bind gateway to lan without auth.",
        ),
        (
            with(base(), "gateway.auth", json!({"mode": "password"})),
            78,
            "no password is configured",
        ),
        (
            with(
                base(),
                "gateway.auth",
                json!({"mode": "trusted-proxy", "token": "x".repeat(24)}),
            ),
            1,
            "trusted-proxy",
        ),
        (with(base(), "gateway.prot", json!(1)), 1, "did you mean \"port\"?"),
        (with(base(), "gateway.port", json!("many")), 1, "gateway.port"),
        (
            with(base(), "gateway.auth.token", json!("change-me-now")),
            1,
            "published example placeholder",
        ),
    ];
    for (settings, code, text) in cases {
        let (found, output) = refusal(&settings, &[]).await;
        assert!(output.contains(text), "expected {text:?} in:\n{output}");
        assert_eq!(found, Some(code), "{text}: {output}");
    }
    let (code, output) = refusal(&base(), &["--auth", "sometimes"]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("Invalid --auth"), "{output}");
}

#[tokio::test]
async fn a_config_that_does_not_parse_is_reported_with_its_place() {
    for (text, place) in [
        ("{ gateway: { mode: 'local' ", "line 1"),
        ("{\n  gateway: {\n    mode = 'local' } }", "line 3"),
    ] {
        let gateway = TestGateway::prepare(&json!({}));
        std::fs::write(&gateway.config_path, text).unwrap();
        let (code, output) = tokio::task::spawn_blocking(move || gateway.run_to_end()).await.unwrap();
        assert_eq!(code, Some(78), "{output}");
        assert!(output.contains(place) && output.contains("openclaw.json"), "{output}");
    }
}

#[tokio::test]
async fn a_config_file_that_is_none_ends_the_start_with_its_name() {
    let whole = config("http://127.0.0.1:9/v1").to_string();
    // 78 for what cannot be read as JSON5, 1 for what can and is no configuration, as upstream does.
    let contents: [(&str, i32, Vec<u8>); 8] = [
        ("empty", 78, Vec::new()),
        ("blank", 78, b" \n\t\n".to_vec()),
        ("null", 1, b"null".to_vec()),
        ("a list", 1, b"[1, 2]".to_vec()),
        ("half of it", 78, whole.as_bytes()[..whole.len() / 2].to_vec()),
        ("binary", 78, vec![0xff, 0xfe, 0x00, 0x7b]),
        (
            "deep",
            78,
            format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes(),
        ),
        ("too large", 78, vec![b' '; 9 << 20]),
    ];
    for (what, expected, content) in contents {
        let gateway = TestGateway::prepare(&json!({}));
        std::fs::write(&gateway.config_path, content).unwrap();
        let (code, output) = tokio::task::spawn_blocking(move || gateway.run_to_end()).await.unwrap();
        assert_eq!(code, Some(expected), "{what}: {output}");
        assert!(output.contains("openclaw.json"), "{what}: {output}");
        assert!(!output.contains("panicked"), "{what}: {output}");
    }
    let gateway = TestGateway::prepare(&json!({}));
    std::fs::remove_file(&gateway.config_path).unwrap();
    std::fs::create_dir(&gateway.config_path).unwrap();
    let (code, output) = tokio::task::spawn_blocking(move || gateway.run_to_end()).await.unwrap();
    assert_eq!(code, Some(78), "a directory: {output}");
    assert!(output.contains("openclaw.json"), "{output}");
}

#[tokio::test]
async fn a_taken_port_is_named_and_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = TestGateway::prepare(&config("http://127.0.0.1:9/v1"));
    gateway.port = taken.local_addr().unwrap().port();
    let (code, output) = tokio::task::spawn_blocking(move || gateway.run_to_end()).await.unwrap();
    assert_ne!(code, Some(0));
    assert!(output.contains("already listening"), "{output}");
}

#[tokio::test]
async fn without_a_token_one_is_generated_in_the_state_directory_and_the_config_stays_untouched() {
    let settings = json!({"gateway": {"mode": "local"}});
    let gateway = TestGateway::start(&settings).await;
    let token = std::fs::read_to_string(gateway.state_dir.join("gateway-token")).unwrap();
    assert_eq!(token.trim().len(), 48);
    let kept: Value = serde_json::from_slice(&std::fs::read(&gateway.config_path).unwrap()).unwrap();
    assert_eq!(kept, settings);
    let answer = reqwest::Client::builder()
        .build()
        .unwrap()
        .get(gateway.url("/readyz"))
        .bearer_auth(token.trim())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        !gateway.log().contains(token.trim()),
        "the generated token is in the log"
    );
}

#[tokio::test]
async fn nothing_in_the_state_directory_is_for_other_users() {
    use std::os::unix::fs::PermissionsExt as _;
    let gateway = TestGateway::start(&json!({"gateway": {"mode": "local"}})).await;
    let mut folders = vec![gateway.state_dir.clone()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let own = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(own & 0o077, 0, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // Files that are being written come and go.
            let Ok(facts) = std::fs::metadata(&path) else { continue };
            seen += 1;
            if facts.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(facts.permissions().mode() & 0o077, 0, "{}", path.display());
            }
        }
    }
    assert!(
        seen >= 4,
        "the database, the lock, the token and the identity are there"
    );
}

#[tokio::test]
async fn sigterm_finishes_the_stream_refuses_new_runs_and_says_so() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut listener = gateway.operator().await;
    let mut body = user_says("[[slow:300]]");
    body["stream"] = json!(true);
    let answer = gateway.post_chat(&body).await;
    let mut stream = answer.bytes_stream();
    let mut text = String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()).into_owned();
    gateway.signal("TERM");
    let client = reqwest::Client::builder().build().unwrap();
    let body = eventually("readiness turns false", async || {
        let answer = client.get(gateway.url("/readyz")).send().await.ok()?;
        (answer.status() == 503).then_some(answer.text().await.unwrap())
    })
    .await;
    assert!(body.contains("draining"), "{body}");
    assert_eq!(client.get(gateway.url("/healthz")).send().await.unwrap().status(), 200);
    let (status, refused) = gateway.chat(&user_says("new")).await;
    assert_eq!(status, 503, "{refused}");
    let shutdown = listener
        .find("shutdown event", |frame| frame["event"] == "shutdown")
        .await;
    assert_eq!(shutdown["payload"]["reason"], "gateway stopping");
    while let Some(Ok(chunk)) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("piece5") && text.contains("[DONE]"), "{text}");
    assert_eq!(listener.wait_closed().await, (1012, "service restart".to_owned()));
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_run_that_does_not_end_is_stopped_and_marked_when_the_grace_period_is_over() {
    let model = ModelDouble::start().await;
    let settings = with(config(&model.base_url()), "gateway.shutdown.graceMs", json!(300));
    let mut gateway = TestGateway::start(&settings).await;
    let mut client = gateway.operator().await;
    client
        .ok(
            "chat.send",
            json!({"sessionKey": "main", "message": "[[stall]]", "idempotencyKey": "e1"}),
        )
        .await;
    eventually("the run is at work", async || (model.open() == 1).then_some(())).await;
    gateway.signal("TERM");
    let end = client.chat_end("e1").await;
    assert_eq!(end["state"], "aborted");
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    let row = client.ok("sessions.describe", json!({"key": "main"})).await["session"].clone();
    assert_ne!(row["status"], "running");
    assert_eq!(row["abortedLastRun"], true);
    let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
    assert_eq!(history["messages"][0]["role"], "user");
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut client = gateway.operator().await;
    client
        .ok(
            "chat.send",
            json!({"sessionKey": "main", "message": "[[stall]]", "idempotencyKey": "e2"}),
        )
        .await;
    eventually("the run is at work", async || (model.open() == 1).then_some(())).await;
    gateway.signal("TERM");
    let http = reqwest::Client::builder().build().unwrap();
    eventually("draining", async || {
        let answer = http.get(gateway.url("/readyz")).send().await.ok()?;
        (answer.status() == 503).then_some(())
    })
    .await;
    let begin = std::time::Instant::now();
    gateway.signal("TERM");
    assert_ne!(gateway.wait_exit().await.code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10));
}
