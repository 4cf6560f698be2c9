use super::{Instance, assert_golden};

#[test]
fn help_texts_are_as_documented() {
    let here = Instance::with_config("{}");
    for (name, words) in [
        ("help.txt", &["--help"][..]),
        ("help-gateway.txt", &["gateway", "--help"]),
        ("help-gateway-run.txt", &["gateway", "run", "--help"]),
        ("help-gateway-status.txt", &["gateway", "status", "--help"]),
        ("help-gateway-probe.txt", &["gateway", "probe", "--help"]),
        ("help-gateway-call.txt", &["gateway", "call", "--help"]),
        ("help-status.txt", &["status", "--help"]),
        ("help-logs.txt", &["logs", "--help"]),
        ("help-channels-status.txt", &["channels", "status", "--help"]),
        ("help-config.txt", &["config", "--help"]),
    ] {
        let ran = here.run(words);
        assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
        assert_golden(name, &ran.out);
    }
}

#[test]
fn the_version_is_on_one_line() {
    let ran = Instance::with_config("{}").run(&["--version"]);
    assert_eq!(ran.out, format!("OpenClaw {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ran.exit, Some(0));
}

#[test]
fn commands_of_upstream_that_are_missing_say_so_in_one_line() {
    let here = Instance::with_config("{}");
    for (words, text) in [
        (
            &["doctor", "--fix"][..],
            "openclaw doctor: not available in this build; use `openclaw config validate` and `openclaw gateway status`\n",
        ),
        (&["sandbox"], "openclaw sandbox: not available in this build\n"),
        (
            &["gateway", "restart"],
            "openclaw gateway restart: not available in this build; restart it with your supervisor or container\n",
        ),
        (
            &["statsu"],
            "openclaw: unknown command 'statsu'; did you mean `openclaw status`?\n",
        ),
        (
            &["zzz"],
            "openclaw: unknown command 'zzz'; run `openclaw --help` for the list\n",
        ),
    ] {
        let ran = here.run(words);
        assert_eq!((ran.exit, ran.err.as_str(), ran.out.as_str()), (Some(1), text, ""));
    }
}

#[test]
fn wrong_usage_ends_with_1_and_says_why_on_stderr() {
    let ran = Instance::with_config("{}").run(&["logs", "--limit", "many"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("--limit"), "{}", ran.err);
}

#[test]
fn completion_scripts_know_every_command_and_flag() {
    let here = Instance::with_config("{}");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = here.run(&["completion", "--shell", shell]);
        assert_eq!(ran.exit, Some(0));
        for word in ["gateway", "validate", "require-rpc", "max-bytes"] {
            assert!(ran.out.contains(word), "{shell} lacks {word}");
        }
    }
}
