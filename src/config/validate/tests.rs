use super::*;
use serde_json::json;

fn problems(config: &Value) -> Vec<(String, String)> {
    validate(config)
        .issues
        .into_iter()
        .map(|issue| (issue.path, issue.message))
        .collect()
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let found = problems(&json!({
        "nope": 2,
        "gateway": {
            "bogus": 1, "port": "x", "bind": "nowhere", "custom_bind_host": "1.2.3.4", "trustedProxies": [1],
            "reload": {"debounceMs": -1}, "token": "t", "auth": {"rateLimit": {"maxAttempts": 0}, "token": 5},
        },
        "agents": {"list": [{"name": "no id"}], "defaults": {"model": {"primry": "x"}}},
        "models": {"providers": {"p": {"models": [{"id": "m", "input": ["smell"]}]}}},
        "logging": {"level": null, "maxFileBytes": 1.5},
        "talk": {"bogus": 1},
    }));
    let expected = [
        ("", "Unrecognized key: \"nope\""),
        ("gateway", "Unrecognized key: \"bogus\""),
        ("gateway.port", "Invalid input: expected number, received string"),
        (
            "gateway.bind",
            "Invalid input (allowed: \"auto\", \"lan\", \"loopback\", \"custom\", \"tailnet\")",
        ),
        (
            "gateway",
            "Unrecognized key: \"custom_bind_host\"; did you mean \"customBindHost\"?",
        ),
        (
            "gateway.trustedProxies[0]",
            "Invalid input: expected string, received number",
        ),
        ("gateway.reload.debounceMs", "Too small: expected number to be >=0"),
        ("gateway", "Unrecognized key: \"token\"; did you mean \"auth.token\"?"),
        (
            "gateway.auth.rateLimit.maxAttempts",
            "Too small: expected number to be >=1",
        ),
        (
            "gateway.auth.token",
            "Invalid input: expected string or object, received number",
        ),
        (
            "agents.list[0].id",
            "Invalid input: expected string, received undefined",
        ),
        (
            "agents.defaults.model",
            "Unrecognized key: \"primry\"; did you mean \"primary\"?",
        ),
        (
            "models.providers.p.models[0].input[0]",
            "Invalid input (allowed: \"text\", \"image\", \"video\", \"audio\")",
        ),
        (
            "logging.level",
            "Invalid input (allowed: \"silent\", \"fatal\", \"error\", \"warn\", \"info\", \"debug\", \"trace\")",
        ),
        ("logging.maxFileBytes", "Invalid input: expected int, received number"),
        ("talk", "Unrecognized key: \"bogus\""),
    ];
    let expected: Vec<_> = expected
        .map(|(path, message)| (path.to_owned(), message.to_owned()))
        .into();
    assert_eq!(found, expected);
}

#[test]
fn upstream_keys_are_accepted_and_named_once_at_the_top() {
    let findings = validate(&json!({
        "browser": {"enabled": false},
        "update": {"checkOnStart": false},
        "agents": {"defaults": {"contextPruning": {"mode": "off"}, "memorySearch": {"provider": "openai", "remote": {"apiKey": "k"}}}},
        "channels": {"telegram": {"anything": 1}},
        "plugins": {"entries": {"x": {"enabled": true}}},
        "env": {"vars": {"A": "b"}, "DIRECT": "c"},
    }));
    assert_eq!(findings.issues, []);
    assert_eq!(findings.unused, ["browser", "update", "agents.defaults.contextPruning"]);
}

#[test]
fn keys_that_are_understood_and_not_read_are_named_too() {
    let findings = validate(&json!({
        "cron": {"enabled": true},
        "gateway": {"mode": "local", "nodes": {"denyCommands": ["camera"]}, "tls": {"enabled": false, "caPath": "/ca.pem"}},
        "agents": {"list": [{"id": "a", "name": "A"}, {"id": "b", "heartbeat": {"every": "30m"}}]},
    }));
    assert_eq!(findings.issues, []);
    assert_eq!(
        findings.unused,
        [
            "cron",
            "gateway.nodes.denyCommands",
            "gateway.tls.caPath",
            "agents.list[1].heartbeat"
        ]
    );
}
