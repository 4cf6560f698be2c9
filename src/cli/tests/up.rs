use serde_json::{Value, json};

use super::Instance;
use super::double::{Answer, Double, hello};

fn health() -> Value {
    json!({
        "ok": true,
        "ts": 1,
        "durationMs": 3,
        "eventLoop": { "degraded": false, "reasons": [] },
        "channels": { "telegram": { "configured": true, "running": true, "probe": { "ok": true, "elapsedMs": 7, "bot": { "username": "claw" } } } },
        "channelOrder": ["telegram"],
        "channelLabels": { "telegram": "Telegram" },
        "defaultAgentId": "main",
        "agents": [{
            "agentId": "main",
            "isDefault": true,
            "heartbeat": { "enabled": true, "every": "30m" },
            "sessions": { "path": "/s/sessions.json", "count": 2 },
        }],
    })
}

#[test]
fn health_reads_like_upstreams() {
    let double = Double::answering(|_, _| Answer::Payload(health()));
    let here = Instance::on_port(double.port);
    let ran = here.run(&["health"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
    assert_eq!(
        ran.out,
        "Telegram: ok (@claw) (7ms)\nAgents: main (default)\nHeartbeat interval: 30m (main)\n\
         Session store (main): /s/sessions.json (2 entries)\n"
    );
    let ran = here.run(&["gateway", "health", "--json"]);
    assert_eq!((ran.exit, ran.json()), (Some(0), health()));
}

#[test]
fn what_a_gateway_says_cannot_speak_to_the_terminal() {
    let double = Double::answering(|method, _| match method {
        "health" => {
            let mut health = health();
            health["channelLabels"]["telegram"] = json!("Tele\u{1b}]0;owned\u{7}gram");
            health["agents"][0]["agentId"] = json!("ma\u{202e}in\r\u{1b}[2J");
            Answer::Payload(health)
        }
        _ => Answer::Error(json!({ "code": "INVALID_REQUEST", "message": "no\u{1b}[8m\u{9b}2J" })),
    });
    let here = Instance::on_port(double.port);
    let ran = here.run(&["health"]);
    assert!(ran.out.starts_with("Tele\\u{1b}]0;owned\\u{7}gram: ok"), "{}", ran.out);
    assert!(ran.out.contains("ma\\u{202e}in\\r\\u{1b}[2J"), "{}", ran.out);
    assert_eq!(
        here.run(&["health", "--json"]).json()["agents"][0]["agentId"],
        "ma\u{202e}in\r\u{1b}[2J"
    );
    let refused = here.run(&["gateway", "call", "no.such.method"]);
    assert!(refused.err.contains("no\\u{1b}[8m\\u{9b}2J"), "{}", refused.err);
}

#[test]
fn a_gateway_that_calls_itself_unhealthy_makes_the_command_fail() {
    let double = Double::answering(|_, _| Answer::Payload(json!({ "ok": false })));
    let ran = Instance::on_port(double.port).run(&["gateway", "health"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.out.starts_with("Gateway Health\nFAILED ("), "{}", ran.out);
}

#[test]
fn a_local_call_with_the_secret_needs_no_device_and_asks_for_one_scope() {
    let double = Double::answering(|_, _| Answer::Payload(json!({ "done": 1 })));
    let here = Instance::on_port(double.port);
    let ran = here.run(&["gateway", "call", "cron.list", "--params", r#"{"limit":1}"#]);
    assert_eq!(ran.out, "Gateway call: cron.list\n{\n  \"done\": 1\n}\n");
    let connect = &double.requests("connect")[0];
    assert_eq!(connect["client"]["id"], "gateway-client");
    assert_eq!(connect["client"]["mode"], "backend");
    assert_eq!(connect["scopes"], json!(["operator.read"]));
    assert_eq!(connect["auth"], json!({ "token": "test-token-value" }));
    assert_eq!(
        (&connect["minProtocol"], &connect["maxProtocol"]),
        (&json!(3), &json!(4))
    );
    assert_eq!(connect.get("device"), None);
    assert!(!here.state_dir().join("identity").exists());
    assert_eq!(double.requests("cron.list"), vec![json!({ "limit": 1 })]);
}

#[test]
fn the_environment_wins_over_the_config_and_flags_over_both() {
    let double = Double::answering(|_, _| Answer::Payload(json!({})));
    let here = Instance::on_port(double.port).with_env("OPENCLAW_GATEWAY_TOKEN", "of-env");
    here.run(&["gateway", "call", "health"]);
    here.run(&["gateway", "--token", "of-flag", "call", "health"]);
    let tokens: Vec<Value> = double
        .requests("connect")
        .iter()
        .map(|params| params["auth"]["token"].clone())
        .collect();
    assert_eq!(tokens, vec!["of-env", "of-flag"]);
}

#[test]
fn without_a_secret_the_device_signs_and_keeps_the_token_it_gets() {
    let double = Double::scripted(|_, method, params| match method {
        "connect" => {
            let mut hello = hello(params);
            hello["auth"]["deviceToken"] = json!("issued");
            Answer::Payload(hello)
        }
        _ => Answer::Payload(json!({})),
    });
    let here = Instance::with_config(&format!(r#"{{ gateway: {{ mode: "local", port: {} }} }}"#, double.port));
    assert_eq!(here.run(&["gateway", "call", "health"]).exit, Some(0));
    assert_eq!(here.run(&["gateway", "call", "health"]).exit, Some(0));
    let connects = double.requests("connect");
    assert_eq!(connects[0]["device"]["nonce"], "nonce-1");
    assert_eq!(connects[0]["device"]["id"], connects[1]["device"]["id"]);
    assert_eq!(connects[0].get("auth"), None);
    assert_eq!(connects[1]["auth"], json!({ "deviceToken": "issued" }));
}

#[test]
fn a_two_phase_method_gives_its_final_answer_only_when_asked_to_wait() {
    let double = Double::answering(|_, _| {
        Answer::Twice(
            json!({ "runId": "r", "status": "accepted" }),
            json!({ "runId": "r", "status": "ok" }),
        )
    });
    let here = Instance::on_port(double.port);
    assert_eq!(
        here.run(&["gateway", "call", "agent", "--json"]).json()["status"],
        "accepted"
    );
    let waited = here.run(&["gateway", "call", "agent", "--json", "--expect-final"]);
    assert_eq!(waited.json()["status"], "ok");
}

#[test]
fn gateway_status_says_what_the_connection_may_do() {
    let double = Double::answering(|_, _| Answer::Payload(json!({})));
    let here = Instance::on_port(double.port);
    let ran = here.run(&["gateway", "status"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
    assert!(
        ran.out.contains("Connectivity probe: ok\nCapability: read-only\n"),
        "{}",
        ran.out
    );
    let connect = &double.requests("connect")[0];
    assert_eq!(
        (&connect["client"]["id"], &connect["client"]["mode"]),
        (&json!("cli"), &json!("probe"))
    );
    let ran = here.run(&["gateway", "status", "--require-rpc", "--json"]);
    assert_eq!(ran.json()["rpc"]["kind"], "read");
    assert_eq!(ran.json()["rpc"]["ok"], true);
}

#[test]
fn channels_are_shown_account_by_account() {
    let double = Double::answering(|_, _| {
        Answer::Payload(json!({
            "channelOrder": ["irc", "telegram"],
            "channelLabels": { "telegram": "Telegram" },
            "channelAccounts": {
                "telegram": [{ "accountId": "default", "enabled": true, "configured": true, "running": true, "connected": true, "mode": "polling", "probe": { "ok": true } }],
                "irc": [{ "accountId": "b", "enabled": false, "configured": true, "lastError": "no route" }],
            },
        }))
    });
    let ran = Instance::on_port(double.port).run(&["channels", "status", "--probe"]);
    assert_eq!(ran.exit, Some(0));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "Checking channel status (probe)…",
            "Gateway reachable.",
            "- irc b: disabled, configured, error:no route",
            "- Telegram default: enabled, configured, running, connected, mode:polling, works",
        ]
    );
    assert_eq!(double.requests("channels.status")[0]["probe"], true);
}

#[test]
fn status_shows_the_parts_that_the_gateway_gives_and_leaves_out_the_others() {
    let double = Double::answering(|method, _| match method {
        "system-presence" => Answer::Payload(
            json!([{ "mode": "gateway", "host": "box", "ip": "192.0.2.7", "version": "2026.5.7", "platform": "linux 6" }]),
        ),
        "status" => Answer::Payload(json!({
            "heartbeat": { "defaultAgentId": "main", "agents": [{ "agentId": "main", "enabled": true, "every": "30m" }] },
            "tasks": { "total": 0, "active": 0 },
            "sessions": { "count": 1, "defaults": { "model": "m1" }, "recent": [{ "key": "agent:main:main", "kind": "direct", "age": 61_000, "totalTokens": 12 }] },
        })),
        _ => Answer::Error(json!({ "code": "INVALID_REQUEST", "message": "missing scope: operator.read" })),
    });
    let here = Instance::on_port(double.port);
    let ran = here.run(&["status"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
    for part in [
        "box (192.0.2.7) app 2026.5.7 linux 6",
        "30m (main)",
        "agent:main:main",
        "1m",
        "1 active · default m1",
    ] {
        assert!(ran.out.contains(part), "lacks {part}: {}", ran.out);
    }
    let document = here.run(&["status", "--json"]).json();
    assert_eq!(document["gateway"]["self"]["host"], "box");
    assert_eq!(document["sessions"]["count"], 1);
}

#[test]
fn the_secret_may_be_a_file_reference_or_the_token_that_the_gateway_made() {
    let double = Double::answering(|_, _| Answer::Payload(json!({ "ok": true })));
    let bare = Instance::with_config(&format!(r#"{{ gateway: {{ mode: "local", port: {} }} }}"#, double.port));
    std::fs::write(bare.state_dir().join("gateway-token"), "generated\n").unwrap();
    assert_eq!(bare.run(&["gateway", "health"]).exit, Some(0));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "of-file\n").unwrap();
    let referring = Instance::with_config(&format!(
        r#"{{
            gateway: {{ mode: "local", port: {}, auth: {{ token: {{ source: "file", provider: "t", id: "value" }} }} }},
            secrets: {{ providers: {{ t: {{ source: "file", path: "{}", mode: "singleValue" }} }} }},
        }}"#,
        double.port,
        file.display()
    ));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ran = referring.run(&["gateway", "health"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
    let tokens: Vec<Value> = double
        .requests("connect")
        .iter()
        .map(|params| params["auth"]["token"].clone())
        .collect();
    assert_eq!(tokens, vec!["generated", "of-file"]);
}
