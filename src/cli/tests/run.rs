use super::Instance;
use crate::base::Secret;
use crate::config::AuthMode;
use crate::config::types::gateway::BindMode;
use crate::settings::{RunSettings, WsLogStyle};

fn settings(words: &[&str]) -> RunSettings {
    let ran = Instance::with_config("{}").run(words);
    ran.settings.unwrap_or_else(|| panic!("did not run: {}", ran.err))
}

#[test]
fn gateway_alone_runs_and_flags_may_stand_before_or_after_run() {
    let plain = settings(&["gateway"]);
    let expected = RunSettings {
        env: plain.env.clone(),
        ..RunSettings::default()
    };
    assert_eq!(plain, expected);
    let settings = settings(&[
        "gateway",
        "--port",
        "1",
        "--verbose",
        "--bind",
        "lan",
        "run",
        "--port",
        "2",
        "--auth",
        "none",
        "--token",
        " t ",
        "--compact",
    ]);
    assert_eq!(settings.overrides.port, Some(2));
    assert_eq!(settings.overrides.bind, Some(BindMode::Lan));
    assert_eq!(settings.overrides.auth, Some(AuthMode::None));
    assert_eq!(settings.overrides.token, Some(Secret::new("t")));
    assert_eq!(settings.ws_log, WsLogStyle::Compact);
    assert!(settings.verbose);
}

#[test]
fn dev_means_a_profile_before_gateway_and_a_dev_config_after_it() {
    let profile = |settings: &RunSettings| settings.env.get("OPENCLAW_PROFILE").map(str::to_owned);
    let of_dev = settings(&["--dev", "gateway"]);
    assert_eq!((profile(&of_dev).as_deref(), of_dev.dev), (Some("dev"), false));
    assert_eq!(of_dev.env.get("OPENCLAW_GATEWAY_PORT"), Some("19001"));
    let config = settings(&["gateway", "--dev", "--reset"]);
    assert_eq!((profile(&config), config.dev, config.reset), (None, true, true));
    let both = settings(&["--dev", "gateway", "run", "--dev"]);
    assert_eq!((profile(&both).as_deref(), both.dev), (Some("dev"), true));
    let named = settings(&["gateway", "--profile", "work", "--log-level", "debug"]);
    assert_eq!(profile(&named).as_deref(), Some("work"));
    assert_eq!(named.log_level.as_deref(), Some("debug"));
}

#[test]
fn bad_flags_are_refused_in_upstreams_words() {
    for (words, text) in [
        (&["gateway", "--port", "abc"][..], "Invalid port\n"),
        (&["gateway", "--port", "0"], "Invalid port\n"),
        (
            &["gateway", "run", "--bind", "foo"],
            "Invalid --bind (use \"loopback\", \"lan\", \"tailnet\", \"auto\", or \"custom\")\n",
        ),
        (
            &["gateway", "run", "--auth", "foo"],
            "Invalid --auth (use \"none\", \"token\", \"password\", or \"trusted-proxy\")\n",
        ),
        (&["gateway", "--reset"], "Use --reset with --dev.\n"),
        (
            &["--dev", "gateway", "--profile", "x"],
            "Cannot combine --dev with --profile\n",
        ),
        (
            &["gateway", "--password", "a", "--password-file", "b"],
            "Use either --password or --password-file.\n",
        ),
    ] {
        let ran = Instance::with_config("{}").run(words);
        assert_eq!((ran.exit, ran.err.as_str()), (Some(1), text), "{words:?}");
    }
}

#[test]
fn a_password_file_is_read_and_trimmed_and_an_inline_password_is_warned_about() {
    let here = Instance::with_config("{}");
    let file = here.state_dir().join("pw");
    std::fs::write(&file, "hunter2\n").unwrap();
    let ran = here.run(&["gateway", "--password-file", file.to_str().unwrap()]);
    assert_eq!(ran.err, "");
    assert_eq!(ran.settings.unwrap().overrides.password, Some(Secret::new("hunter2")));
    let ran = here.run(&["gateway", "--password", "x"]);
    assert!(
        ran.err.starts_with("Warning: ") && !ran.err.contains(" x"),
        "{}",
        ran.err
    );
    let ran = here.run(&["gateway", "--password-file", "/nowhere/at/all"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.err.contains("/nowhere/at/all"), "{}", ran.err);
}
