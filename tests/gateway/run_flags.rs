//! Flags of `gateway run`, and settings of the log, through the process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::gateway::{TestGateway, config, user_says, user_says_as, with};
use crate::support::model::ModelDouble;
use crate::support::{PATIENCE, eventually};

fn base() -> Value {
    config("http://127.0.0.1:9/v1")
}

async fn started(config: &Value, flags: &[&str]) -> TestGateway {
    let mut gateway = TestGateway::prepare(config);
    gateway.extra_args = flags.iter().map(|flag| (*flag).to_owned()).collect();
    gateway.spawn();
    gateway.wait_ready().await;
    gateway
}

async fn lines_of(path: &Path) -> Vec<Value> {
    eventually("the file has lines", async || {
        let text = std::fs::read_to_string(path).ok()?;
        (!text.is_empty()).then_some(())
    })
    .await;
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[tokio::test]
async fn force_ends_the_gateway_that_holds_the_port() {
    let mut first = TestGateway::start(&base()).await;
    let mut second = TestGateway::prepare(&base());
    second.port = first.port;
    second.extra_args = vec!["--force".to_owned()];
    second.spawn();
    assert!(first.wait_exit().await.success(), "it was asked, not killed");
    second.wait_ready().await;
    let log = second.logged(&format!("for port {} to free", second.port)).await;
    assert!(log.contains("force: asked pid") && log.contains("waited"), "{log}");
}

#[tokio::test]
async fn force_says_that_a_free_port_needed_nothing() {
    let gateway = started(&base(), &["--force"]).await;
    let expected = format!("force: no listeners on port {}", gateway.port);
    gateway.logged(&expected).await;
}

#[tokio::test]
async fn reset_moves_a_development_instance_aside_and_starts_over() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&config(&model.base_url())).await;
    let body = user_says_as("somebody", "remember");
    assert_eq!(gateway.chat(&body).await.0, 200);
    gateway.signal("TERM");
    gateway.wait_exit().await;

    gateway.extra_args = vec!["--dev".to_owned(), "--reset".to_owned()];
    gateway.spawn();
    gateway.wait_ready().await;
    let seeded = std::fs::read_to_string(&gateway.config_path).unwrap();
    assert!(seeded.contains("development instance"), "{seeded}");
    let trash: Vec<_> = std::fs::read_dir(gateway.state_dir.join("trash")).unwrap().collect();
    assert_eq!(trash.len(), 1);
    let aside = trash[0].as_ref().unwrap().path();
    for kept in ["state.db", "openclaw.json"] {
        assert!(aside.join(kept).exists(), "{kept} was not kept");
    }
    gateway.logged("reset: what was there is in").await;
}

#[tokio::test]
async fn raw_stream_holds_every_event_of_the_model_and_is_private() {
    let model = ModelDouble::start().await;
    let gateway = started(&config(&model.base_url()), &["--raw-stream"]).await;
    assert_eq!(gateway.chat(&user_says("[[say:orange]]")).await.0, 200);
    let path = gateway.state_dir.join("logs/raw-stream.jsonl");
    let lines = eventually("the end of the stream is written", async || {
        let lines = lines_of(&path).await;
        lines.iter().any(|line| line["event"] == "finish").then_some(lines)
    })
    .await;
    let text: String = lines.iter().filter_map(|line| line["delta"].as_str()).collect();
    assert_eq!(text, "orange");
    assert_eq!(
        (&lines[0]["provider"], &lines[0]["model"]),
        (&json!("double"), &json!("m1"))
    );
    assert!(lines[0]["runId"].is_string() && lines[0]["ts"].is_i64());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_raw_stream_that_cannot_be_written_ends_the_start_with_the_reason() {
    let mut gateway = TestGateway::prepare(&base());
    let blocked = gateway.config_path.join("raw.jsonl");
    gateway.extra_args = vec!["--raw-stream-path".to_owned(), blocked.display().to_string()];
    let (code, output) = tokio::task::spawn_blocking(move || gateway.run_to_end()).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(
        output.contains("raw.jsonl") && output.contains("--raw-stream-path"),
        "{output}"
    );
}

#[tokio::test]
async fn ws_log_shows_failed_requests_and_on_wish_all() {
    for (flags, shows_good) in [
        (&[][..], false),
        (&["--ws-log", "compact"], true),
        (&["--verbose"], true),
    ] {
        let gateway = started(&base(), flags).await;
        let mut client = gateway.operator().await;
        client.ok("models.list", json!({})).await;
        client.err("chat.send", json!({"sessionKey": "main"})).await;
        let log = eventually("the failed request is logged", async || {
            let log = gateway.log();
            log.contains("res ✗ chat.send").then_some(log)
        })
        .await;
        // A slow machine makes any request worth a line, so absence is not claimed. Lines keep their order.
        assert!(!shows_good || log.contains("res ✓ models.list"), "{flags:?}: {log}");
    }
    let gateway = started(&base(), &["--ws-log", "full"]).await;
    let mut client = gateway.operator().await;
    client.ok("models.list", json!({})).await;
    eventually("request and answer are logged", async || {
        let log = gateway.log();
        (log.contains("→ req models.list") && log.contains("res ✓ models.list")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn flags_without_effect_say_why() {
    let gateway = started(&base(), &["--tailscale-reset-on-exit", "--cli-backend-logs"]).await;
    gateway
        .logged("--tailscale-reset-on-exit has no effect: this gateway does not control Tailscale")
        .await;
    gateway
        .logged("--cli-backend-logs has no effect: this gateway has no CLI back ends")
        .await;
}

#[tokio::test]
async fn a_start_has_nothing_to_warn_of_its_own_liveness() {
    let gateway = TestGateway::start(&base()).await;
    eventually("the first handshake is over", async || {
        let answer = reqwest::get(gateway.url("/healthz")).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    assert!(!gateway.log().contains("handshake failed"), "{}", gateway.log());
}

#[tokio::test]
async fn the_log_file_is_written_rolled_masked_and_tailed_across_restarts() {
    let mut gateway = TestGateway::prepare(&base());
    let file = gateway.dir.path().join("logs/gateway.log");
    let settings = with(
        base(),
        "logging",
        json!({"file": file, "level": "info", "maxFileBytes": 12_000, "redactPatterns": ["http (server) listening"]}),
    );
    gateway.write_config(&settings);
    gateway.spawn();
    gateway.wait_ready().await;
    let first = lines_of(&file).await;
    assert!(
        first
            .iter()
            .all(|line| line["time"].is_string() && line["subsystem"].is_string())
    );
    let masked =
        |text: &str| text.contains("http *** listening on 127.0.0.1") && !text.contains("http server listening");
    eventually("console and file are masked", async || {
        (masked(&gateway.log()) && masked(&std::fs::read_to_string(&file).unwrap())).then_some(())
    })
    .await;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    gateway.signal("TERM");
    gateway.wait_exit().await;
    let whole = std::fs::read_to_string(&file).unwrap();
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    let tail = eventually("the tail shows the new start", async || {
        let tail = client.ok("logs.tail", json!({"limit": 5_000})).await;
        let lines = tail["lines"].as_array().unwrap().clone();
        let starts = lines
            .iter()
            .filter(|line| line.as_str().unwrap().contains("\"ready\""))
            .count();
        (starts == 2).then_some(tail)
    })
    .await;
    assert_eq!(tail["file"], json!(file));
    assert_eq!(tail["lines"][0].as_str(), whole.lines().next());

    for _ in 0..80 {
        client.err("chat.send", json!({"sessionKey": "main"})).await;
    }
    // Between the rename of the full file and the first line of the next one there is no file of that name.
    let size = eventually("the file is rolled", async || {
        let rolled = gateway.dir.path().join("logs/gateway.1.log").exists();
        rolled.then(|| std::fs::metadata(&file).ok()).flatten()
    })
    .await
    .len();
    assert!(size <= 12_000, "{size}");
}

#[tokio::test]
async fn a_console_that_nobody_reads_holds_up_nothing() {
    let gateway = TestGateway::prepare(&with(base(), "logging.consoleLevel", json!("trace")));
    let mut child = gateway
        .command()
        .args(["gateway", "--port", &gateway.port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let probe = async || {
        client
            .get(gateway.url("/healthz"))
            .send()
            .await
            .ok()
            .map(|answer| answer.status())
    };
    eventually("the gateway answers", async || (probe().await? == 200).then_some(())).await;
    // Far more lines than a pipe holds.
    for number in 0..600 {
        assert_eq!(
            probe().await.map(|status| status.as_u16()),
            Some(200),
            "request {number}"
        );
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.len() >= 32 * 1024,
        "only {} bytes were logged",
        output.stderr.len()
    );
}

#[tokio::test]
async fn log_settings_change_while_the_gateway_runs() {
    let gateway = TestGateway::start(&base()).await;
    let file = gateway.dir.path().join("late.log");
    gateway.write_config(&with(base(), "logging", json!({"file": file, "consoleStyle": "json"})));
    lines_of(&file).await;
    eventually("the console follows", async || {
        gateway.log().lines().last()?.starts_with("{\"time\":").then_some(())
    })
    .await;
    let unusable = with(
        base(),
        "logging",
        json!({"file": "/proc/nothing/here.log", "redactPatterns": ["("]}),
    );
    gateway.write_config(&unusable);
    eventually("the problem is named", async || {
        let log = gateway.log();
        (log.contains("log file cannot be used") && log.contains("/proc/nothing/here.log")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_of_the_login_shell_are_used_when_configured() {
    let model = ModelDouble::start().await;
    let mut settings = config(&model.base_url());
    settings["models"]["providers"]["double"]["apiKey"] = json!("${OPENAI_API_KEY}");
    settings["env"] = json!({"shellEnv": {"enabled": true}});
    let mut gateway = TestGateway::prepare(&settings);
    let shell = gateway.dir.path().join("shell");
    std::fs::write(&shell, "#!/bin/sh\nOPENAI_API_KEY=sk-from-the-shell-1 exec env -0\n").unwrap();
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    gateway.env.push(("SHELL".to_owned(), shell.display().to_string()));
    gateway.spawn();
    gateway.wait_ready().await;
    assert_eq!(gateway.chat(&user_says("hi")).await.0, 200);
    let seen = model.seen();
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer sk-from-the-shell-1"));
}

#[tokio::test]
async fn thinking_reaches_models_that_reason_and_no_others() {
    let model = ModelDouble::start().await;
    let mut settings = config(&model.base_url());
    settings["models"]["providers"]["double"]["models"][0]["reasoning"] = json!(true);
    let gateway = TestGateway::start(&settings).await;
    let mut client = gateway.operator().await;
    let mut effort = async |key: &str, agent: &str, thinking: Value| {
        let mut send = json!({"sessionKey": agent, "message": format!("hi {key}"), "idempotencyKey": key});
        if !thinking.is_null() {
            send["thinking"] = thinking;
        }
        client.ok("chat.send", send).await;
        assert_eq!(client.chat_end(key).await["state"], "final");
        model.seen_with(key)[0].body["reasoning_effort"].clone()
    };
    assert_eq!(effort("k1", "main", json!("low")).await, "low");
    assert_eq!(effort("k2", "main", json!("max")).await, "high");
    assert_eq!(effort("k3", "main", json!("off")).await, Value::Null);
    assert_eq!(effort("k4", "main", Value::Null).await, Value::Null);
    let refused = client
        .err(
            "chat.send",
            json!({"sessionKey": "main", "message": "x", "idempotencyKey": "k5", "thinking": "hard"}),
        )
        .await;
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("invalid thinking level \"hard\""),
        "{refused}"
    );
    client
        .ok("sessions.patch", json!({"key": "main", "thinkingLevel": "high"}))
        .await;
    client
        .ok(
            "chat.send",
            json!({"sessionKey": "main", "message": "hi k6", "idempotencyKey": "k6"}),
        )
        .await;
    client.chat_end("k6").await;
    assert_eq!(model.seen_with("k6")[0].body["reasoning_effort"], "high");
    client
        .ok("sessions.patch", json!({"key": "main", "model": "double/m2"}))
        .await;
    client
        .ok(
            "chat.send",
            json!({"sessionKey": "main", "message": "hi k7", "idempotencyKey": "k7"}),
        )
        .await;
    client.chat_end("k7").await;
    assert_eq!(
        model.seen_with("k7")[0].body["reasoning_effort"],
        Value::Null,
        "m2 does not reason"
    );
}
