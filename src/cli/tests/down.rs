use serde_json::json;

use super::{Instance, assert_golden, free_port};
use crate::cli::local::Local;
use crate::cli::target::{Target, TargetArgs};

#[test]
fn every_query_fails_with_the_same_block_when_nobody_listens() {
    let port = free_port();
    let here = Instance::on_port(port);
    for (name, words) in [
        ("down-gateway-health.txt", &["gateway", "health"][..]),
        ("down-gateway-call.txt", &["gateway", "call", "status", "--json"]),
        ("down-gateway-status.txt", &["gateway", "status"]),
        (
            "down-gateway-status-require-rpc.txt",
            &["gateway", "status", "--require-rpc"],
        ),
        ("down-gateway-probe.txt", &["gateway", "probe"]),
        ("down-health-json.txt", &["health", "--json"]),
        ("down-channels-status.txt", &["channels", "status"]),
    ] {
        let ran = here.run(words).masked_port(port);
        assert_eq!(ran.exit, Some(1), "{words:?}");
        assert_golden(name, &ran.transcript());
    }
}

#[test]
fn status_prints_its_overview_and_fails_when_nobody_listens() {
    let port = free_port();
    let here = Instance::on_port(port);
    let ran = here.run(&["status"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.out.contains("unreachable (connect ECONNREFUSED"), "{}", ran.out);
    assert!(ran.out.contains("Fix reachability first: openclaw gateway probe"));
    let document = here.run(&["status", "--json"]).json();
    assert_eq!(document["gateway"]["reachable"], false);
    assert_eq!(
        document["gateway"]["error"],
        format!("connect ECONNREFUSED 127.0.0.1:{port}")
    );
}

#[test]
fn status_documents_keep_their_shape_when_nobody_listens() {
    let port = free_port();
    let here = Instance::on_port(port);
    let ran = here.run(&["gateway", "status", "--json"]);
    let document = ran.json();
    assert_eq!(ran.exit, Some(1));
    assert_eq!(document["rpc"]["ok"], false);
    assert_eq!(document["rpc"]["capability"], "unknown");
    assert_eq!(document["gateway"]["port"], port);
    assert_eq!(document["config"]["cli"]["valid"], true);
    let probe = here.run(&["gateway", "probe", "--json"]).json();
    assert_eq!(probe["warnings"][0]["code"], "no_gateway_reachable");
    assert_eq!(
        probe["targets"][0]["connect"]["close"],
        json!({ "code": 1006, "reason": "" })
    );
    let skipped = here.run(&["gateway", "status", "--no-probe"]);
    assert_eq!(skipped.exit, Some(0));
}

#[test]
fn an_invalid_config_is_named_before_the_command_goes_on_or_stops() {
    let here = Instance::with_config("{ gateway: ").with_env("OPENCLAW_GATEWAY_PORT", &free_port().to_string());
    for words in [&["channels", "status"][..], &["config", "get", "gateway.port"]] {
        let ran = here.run(words);
        assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
        assert!(
            ran.err
                .starts_with("Config invalid\nFile: <config>\nProblem:\n  - <root>: JSON5 parse failed: "),
            "{}",
            ran.err
        );
        assert!(ran.err.ends_with("\n\nRun: openclaw doctor --fix\n"));
    }
    let ran = here.run(&["health"]);
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err.contains("Config invalid") && ran.err.contains("GatewayTransportError"),
        "{}",
        ran.err
    );
    let ran = here.run(&["config", "validate"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
    assert!(
        ran.err.starts_with("Config invalid at <config>:\n  × <root>: "),
        "{}",
        ran.err
    );
    let ran = here.run(&["config", "validate", "--json"]);
    assert_eq!((ran.exit, ran.json()["valid"].clone()), (Some(1), json!(false)));
}

#[test]
fn config_values_are_shown_without_secrets() {
    let here = Instance::on_port(18_789);
    let ran = here.run(&["config", "get", "gateway"]);
    assert_eq!(ran.exit, Some(0));
    assert_eq!(
        ran.json()["auth"],
        json!({ "mode": "token", "token": "__OPENCLAW_REDACTED__" })
    );
    assert_eq!(
        here.run(&["config", "get", "gateway.auth.token"]).out,
        "__OPENCLAW_REDACTED__\n"
    );
    assert_eq!(here.run(&["config", "get", "gateway.bind"]).out, "loopback\n");
    assert_eq!(here.run(&["config", "file"]).out, "<config>\n");
    let ran = here.run(&["config", "get", "gateway.nope"]);
    assert_eq!(
        (ran.exit, ran.err.as_str()),
        (Some(1), "Config path not found: gateway.nope\n")
    );
    let ran = here.run(&["config", "validate"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(0), "Config valid: <config>\n"));
}

#[test]
fn logs_of_a_dead_gateway_come_from_its_file_and_the_command_still_fails() {
    let port = free_port();
    let here = Instance::with_config(&format!(
        r#"{{ gateway: {{ mode: "local", port: {port}, auth: {{ token: "test-token-value" }} }}, logging: {{ file: "${{LOG}}" }} }}"#
    ));
    let file = here.state_dir().join("gateway.log");
    std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
    let here = here.with_env("LOG", file.to_str().unwrap());
    let ran = here.run(&["logs", "--limit", "2"]);
    assert_eq!(ran.exit, Some(1));
    assert_eq!(ran.out, "Log file: <state>/gateway.log\ntwo\nthree\n");
    assert_eq!(
        ran.err,
        "Local Gateway RPC unavailable; reading configured file log instead.\n"
    );
}

#[test]
fn an_address_by_flag_never_gets_the_local_secret() {
    let here = Instance::on_port(free_port());
    let ran = here.run(&["gateway", "health", "--url", "ws://127.0.0.1:1"]);
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err
            .starts_with("gateway url override requires explicit credentials\n"),
        "{}",
        ran.err
    );
    let ran = here.run(&["gateway", "health", "--url", "ws://192.0.2.1:1", "--token", "t"]);
    assert!(ran.err.contains("unencrypted"), "{}", ran.err);
}

#[test]
fn an_address_of_another_machine_by_variable_gets_no_secret_of_this_ones_gateway() {
    let here = Instance::on_port(free_port());
    let secret = |variables: &[(&str, &str)]| {
        let env = here.env.iter().map(|(name, value)| (&**name, &**value));
        let local = Local::load(&env.chain(variables.iter().copied()).collect());
        let target = Target::resolve(&TargetArgs::default(), &local).unwrap();
        target.endpoint.token.map(|token| token.expose().to_owned())
    };
    let elsewhere = ("OPENCLAW_GATEWAY_URL", "wss://gateway.example");
    assert_eq!(secret(&[elsewhere]), None);
    let own = ("OPENCLAW_GATEWAY_TOKEN", "of-elsewhere");
    assert_eq!(secret(&[elsewhere, own]).as_deref(), Some("of-elsewhere"));
    let here_too = ("OPENCLAW_GATEWAY_URL", "ws://127.0.0.1:1");
    assert_eq!(secret(&[here_too]).as_deref(), Some("test-token-value"));
}

#[test]
fn unknown_keys_are_named_and_the_rest_of_the_file_still_counts() {
    let port = free_port();
    let here = Instance::with_config(&format!(
        r#"{{ gateway: {{ mode: "local", port: {port}, auth: {{ token: "test-token-value" }}, bogus: 1 }}, nope: true }}"#
    ));
    let ran = here.run(&["health"]);
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err.starts_with("Config invalid\nFile: <config>\nProblem:\n  - "),
        "{}",
        ran.err
    );
    for part in [
        "Unrecognized key: \"bogus\"",
        "Unrecognized key: \"nope\"",
        &format!("Gateway target: ws://127.0.0.1:{port}\n"),
    ] {
        assert!(ran.err.contains(part), "lacks {part}: {}", ran.err);
    }
    let document = here.run(&["config", "validate", "--json"]).json();
    assert_eq!(document["valid"], false);
    assert_eq!(document["issues"].as_array().map(Vec::len), Some(2));
}
