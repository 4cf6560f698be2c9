use super::*;
use crate::config::AuthMode;
use crate::config::last_good::{self, BootError};
use serde_json::json;

struct Scene {
    dir: tempfile::TempDir,
    env: Env,
    overrides: StartOverrides,
    around: Surroundings,
}

impl Scene {
    fn new(text: &str) -> Self {
        let scene = Self::without_file();
        scene.write("openclaw.json", text);
        scene
    }

    fn without_file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let env = [
            ("HOME", at("home")),
            ("OPENCLAW_STATE_DIR", at("state")),
            ("OPENCLAW_CONFIG_PATH", at("openclaw.json")),
        ];
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let env = env.into_iter().collect();
        Self {
            dir,
            env,
            overrides: StartOverrides::default(),
            around: Surroundings::default(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn input(&self) -> LoadInput {
        LoadInput {
            paths: Paths::resolve(&self.env, self.dir.path()),
            env: self.env.clone(),
            overrides: self.overrides.clone(),
            around: self.around,
            generated_token: None,
            generation: 1,
            loaded_at_ms: 1,
            shell: crate::config::shell_env::ShellEnv::default(),
        }
    }

    fn load(&self) -> Arc<Snapshot> {
        load(&self.input(), None)
            .unwrap_or_else(|error| panic!("{error}"))
            .snapshot
    }

    fn refusal(&self) -> (u8, String) {
        let error = load(&self.input(), None).unwrap_err();
        let shown = self.dir.path().to_str().unwrap();
        (error.error.exit_code(), error.to_string().replace(shown, "<dir>"))
    }
}

fn local(gateway: &str) -> String {
    format!("{{gateway: {{mode: 'local', bind: 'loopback', {gateway}}}}}")
}

#[track_caller]
fn refuses(text: &str, code: u8, message: &str) {
    let (found, shown) = Scene::new(text).refusal();
    assert!(shown.contains(message), "{shown}");
    assert_eq!(found, code, "{shown}");
}

const TOKEN: &str = "auth: {mode: 'token', token: 't-1'}";

#[test]
fn a_missing_file_or_mode_blocks_the_start_with_78() {
    assert_eq!(Scene::without_file().refusal().0, 78);
    assert!(
        Scene::without_file()
            .refusal()
            .1
            .starts_with("Missing config. Run `openclaw setup`")
    );
    refuses(
        "{}",
        78,
        "Gateway start blocked: existing config is missing gateway.mode.",
    );
    refuses(
        "{gateway: {mode: 'remote'}}",
        78,
        "Gateway start blocked: set gateway.mode=local (current: remote) or pass --allow-unconfigured.",
    );
}

#[test]
fn allow_unconfigured_needs_no_file() {
    let mut scene = Scene::without_file();
    scene.overrides.allow_unconfigured = true;
    scene.env.set("OPENCLAW_GATEWAY_TOKEN", "from-env");
    let snapshot = scene.load();
    assert!(!snapshot.exists);
    assert_eq!(
        snapshot.hash,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(snapshot.auth.token.as_ref().map(Secret::expose), Some("from-env"));
    assert_eq!(snapshot.default_agent().as_str(), "main");
}

#[test]
fn a_broken_file_is_named_with_line_column_and_reason() {
    let (code, text) = Scene::new("{\"gateway\": {\"mode\": \"local\", ").refusal();
    assert_eq!(code, 78);
    assert!(
        text.starts_with(
            "Gateway start blocked: cannot parse config <dir>/openclaw.json: JSON5: invalid end of input at 1:31 (line 1, column 31)"
        ),
        "{text}"
    );
}

#[test]
fn unknown_keys_are_refused_with_upstreams_frame() {
    let (code, text) = Scene::new("{gateway: {mode: 'local', bogus: 1, bnd: 'lan'}, nope: 2}").refusal();
    assert_eq!(code, 1);
    assert_eq!(
        text,
        "Gateway failed to start: Error: Invalid config at <dir>/openclaw.json.\n\
         gateway: Unrecognized key: \"bogus\"\n\
         gateway: Unrecognized key: \"bnd\"; did you mean \"bind\"?\n\
         <root>: Unrecognized key: \"nope\"\n\
         Run \"openclaw doctor --fix\" to repair, then retry."
    );
}

#[test]
fn contradictions_about_authentication_are_refused() {
    refuses(
        &local("auth: {mode: 'password'}"),
        78,
        "Gateway auth is set to password, but no password is configured.\nSet",
    );
    refuses(
        "{gateway: {mode: 'local', bind: 'lan', auth: {mode: 'none'}}}",
        78,
        "Refusing to bind gateway to lan without auth.",
    );
    let proxy = "trustedProxies: ['127.0.0.1'], auth: {mode: 'trusted-proxy', trustedProxy: {userHeader: 'X-User'}";
    refuses(
        &local(&format!("{proxy}, token: 't'}}")),
        1,
        "trusted-proxy and token auth are mutually exclusive",
    );
    refuses(
        &local("auth: {mode: 'trusted-proxy', trustedProxy: {userHeader: 'x'}}"),
        1,
        "requires gateway.trustedProxies to be configured with at least one proxy IP",
    );
    refuses(
        &local("trustedProxies: ['::1'], auth: {mode: 'trusted-proxy'}"),
        1,
        "no trustedProxy config was provided (set gateway.auth.trustedProxy)",
    );
    refuses(
        &local("trustedProxies: ['::1'], auth: {mode: 'trusted-proxy', trustedProxy: {userHeader: ' '}}"),
        1,
        "userHeader is empty",
    );
    refuses(
        &local("auth: {token: 'a', password: 'b'}"),
        1,
        "Gateway failed to start: Error: Invalid config: gateway.auth.token and gateway.auth.password are both configured",
    );
    refuses(
        &local("auth: {token: 'change-me-now'}"),
        1,
        "token is set to a published example placeholder",
    );
    refuses(
        &local("auth: {password: 'change-me-to-a-strong-password'}"),
        1,
        "published example placeholder",
    );
    refuses(
        &format!("{{gateway: {{mode: 'local', {TOKEN}}}, hooks: {{enabled: true, token: 't-1'}}}}"),
        1,
        "hooks.token must not match gateway auth token.",
    );
    refuses(
        &local("trustedProxies: ['proxy.example']"),
        1,
        "gateway.trustedProxies[0]: Invalid input: expected an IP",
    );
}

#[test]
fn a_proxy_alone_is_accepted_and_its_headers_are_lower_case() {
    let snapshot = Scene::new(&local(
        "trustedProxies: ['127.0.0.1'], auth: {mode: 'trusted-proxy', trustedProxy: {userHeader: 'X-User', requiredHeaders: ['X-A']}}",
    ))
    .load();
    let proxy = snapshot.auth.trusted_proxy.as_ref().unwrap();
    assert_eq!(
        (proxy.user_header.as_str(), proxy.required_headers.as_slice()),
        ("x-user", &["x-a".to_owned()][..])
    );
}

#[test]
fn impossible_listeners_are_refused() {
    refuses(
        "{gateway: {mode: 'local', bind: 'custom'}}",
        1,
        "gateway.bind=custom requires gateway.customBindHost",
    );
    refuses(
        "{gateway: {mode: 'local', bind: 'custom', customBindHost: '203.0.113.9', auth: {token: 't'}}}",
        1,
        "gateway bind=custom requested 203.0.113.9 but resolved 0.0.0.0; refusing fallback",
    );
    refuses(
        "{gateway: {mode: 'local', bind: 'custom', customBindHost: '::1'}}",
        1,
        "requires a valid IPv4 customBindHost (got ::1)",
    );
    refuses(
        &local(&format!("tailscale: {{mode: 'funnel'}}, {TOKEN}")),
        1,
        "tailscale funnel requires gateway auth mode=password",
    );
    refuses(
        &format!("{{gateway: {{mode: 'local', bind: 'lan', tailscale: {{mode: 'serve'}}, {TOKEN}}}}}"),
        1,
        "tailscale serve/funnel requires gateway bind=loopback",
    );
    refuses(
        &local(&format!("{TOKEN}, tls: {{enabled: true, autoGenerate: false}}")),
        1,
        "gateway tls: cert/key missing",
    );
}

#[test]
fn a_container_explains_its_refusal_and_listens_on_all_addresses() {
    let mut scene = Scene::new("{gateway: {mode: 'local', auth: {mode: 'none'}}}");
    scene.around.container = true;
    let (code, text) = scene.refusal();
    assert_eq!(code, 78);
    assert!(
        text.starts_with("Refusing to bind gateway to auto without auth.\nContainer environment detected"),
        "{text}"
    );
    scene.overrides.token = Some(Secret::new("x"));
    scene.overrides.auth = Some(AuthMode::Token);
    let snapshot = scene.load();
    let everywhere = ["0.0.0.0:18789", "[::]:18789"].map(|address| address.parse().unwrap());
    assert_eq!(snapshot.listen.addresses, everywhere);
    assert_eq!(
        snapshot.auth.allowed_origins,
        ["http://localhost:18789", "http://127.0.0.1:18789"]
    );
    assert_eq!(
        snapshot.runtime["gateway"]["controlUi"]["allowedOrigins"][0],
        "http://localhost:18789"
    );
    assert!(
        snapshot.source["gateway"].get("controlUi").is_none(),
        "seeds are not part of the source"
    );
}

#[test]
fn the_command_line_wins_over_the_environment_which_wins_over_the_file_for_the_port() {
    let mut scene = Scene::new(&local(&format!("port: 1000, {TOKEN}")));
    assert_eq!(scene.load().listen.port, 1000);
    scene.env.set("OPENCLAW_GATEWAY_PORT", "127.0.0.1:2000");
    assert_eq!(scene.load().listen.port, 2000);
    scene.overrides.port = Some(3000);
    assert_eq!(scene.load().listen.port, 3000);
    assert_eq!(scene.load().listen.management, []);
    scene.env.set("OPENCLAW_MANAGEMENT_PORT", "9000");
    assert_eq!(scene.load().listen.management, ["0.0.0.0:9000".parse().unwrap()]);
}

#[test]
fn the_file_wins_over_the_environment_for_credentials() {
    let mut scene = Scene::new(&local("auth: {token: 'file-token'}"));
    scene.env.set("OPENCLAW_GATEWAY_TOKEN", "env-token");
    assert_eq!(scene.load().auth.token.as_ref().map(Secret::expose), Some("file-token"));
    scene.env.set("OPENCLAW_GATEWAY_PASSWORD", "env-password");
    assert_eq!(
        scene.load().auth.mode,
        AuthMode::Password,
        "a password decides when no mode is set"
    );
}

#[test]
fn missing_secrets_stop_the_gateway_only_if_they_are_its_own() {
    for token in ["'${NOT_SET}'", "{source: 'env', provider: 'default', id: 'NOT_SET'}"] {
        refuses(
            &local(&format!("auth: {{token: {token}}}")),
            1,
            "Gateway failed to start: Error: Startup failed: required secrets are unavailable. SecretRefResolutionError: \
             Environment variable \"NOT_SET\" is missing or empty.",
        );
    }
    let snapshot = Scene::new(&format!(
        "{{gateway: {{mode: 'local', {TOKEN}}}, models: {{providers: {{z: {{apiKey: {{source: 'env', id: 'NOT_SET'}}}}, \
         a: {{baseUrl: 'http://h/v1/', apiKey: 'k', models: [{{id: 'm'}}]}}}}}}}}"
    ))
    .load();
    assert_eq!(
        snapshot.providers.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(),
        ["z", "a"],
        "order of the file"
    );
    assert_eq!(
        snapshot.providers[0].api_key,
        Err("Environment variable \"NOT_SET\" is missing or empty.".to_owned())
    );
    assert!(
        snapshot
            .warnings
            .iter()
            .any(|w| w.path == "models.providers.z.apiKey" && w.message.contains("NOT_SET"))
    );
    let good = &snapshot.providers[1];
    assert_eq!(
        (good.base_url.as_str(), good.api.as_str()),
        ("http://h/v1", "openai-completions")
    );
    assert_eq!(
        (good.models[0].context_window, good.models[0].max_tokens),
        (200_000, 8192)
    );
}

#[test]
fn an_inactive_credential_does_not_matter() {
    let scene = Scene::new(&local("auth: {mode: 'token', token: 't', password: '${NOT_SET}'}"));
    assert_eq!(scene.load().auth.mode, AuthMode::Token);
}

#[test]
fn variables_come_from_process_env_files_and_the_env_section() {
    let mut scene = Scene::new(
        "{gateway: {mode: 'local', auth: {token: '${TOK}'}}, env: {vars: {V: 'vars'}, D: 'direct'}, \
         agents: {list: [{id: 'main', name: 'a $${TOK} ${V} ${D} ${S} ${NONE}'}]}}",
    );
    scene.env.set("TOK", "tok-1");
    scene.write("state/.env", "S=state\nV=state-wins\n");
    let snapshot = scene.load();
    assert_eq!(snapshot.auth.token.as_ref().map(Secret::expose), Some("tok-1"));
    assert_eq!(
        snapshot.agents[0].name.as_deref(),
        Some("a ${TOK} state-wins direct state ${NONE}")
    );
    assert!(snapshot.warnings.iter().any(|w| w.path == "agents.list[0].name"
        && w.message == "Missing env var \"NONE\" - feature using this value will be unavailable"));
    assert_eq!(snapshot.env.get("D"), Some("direct"));
    assert_eq!(snapshot.parsed["gateway"]["auth"]["token"], "${TOK}");
}

#[test]
fn the_shared_generation_follows_mode_secret_and_proxies_with_their_rules_and_nothing_else() {
    let of = |text: &str| Scene::new(&local(text)).load().auth.shared_generation.clone();
    let base = of("auth: {token: 'a'}");
    assert_eq!(base, of("auth: {token: 'a'}, port: 4000"));
    assert_ne!(base, of("auth: {token: 'b'}"));
    assert_ne!(base, of("auth: {mode: 'password', password: 'a'}"));
    assert_ne!(base, of("auth: {token: 'a'}, trustedProxies: ['10.0.0.1']"));
    let proxied = |rules: &str| {
        let auth = format!("auth: {{mode: 'trusted-proxy', trustedProxy: {{{rules}}}}}");
        of(&format!("{auth}, trustedProxies: ['10.0.0.1']"))
    };
    let rules = proxied("userHeader: 'x-user', allowUsers: ['ann', 'bob']");
    assert_eq!(rules, proxied("userHeader: 'X-User', allowUsers: ['ann', 'bob']"));
    for changed in [
        "userHeader: 'x-user', allowUsers: ['ann']",
        "userHeader: 'x-user', allowUsers: ['ann', 'bob'], requiredHeaders: ['x-proof']",
        "userHeader: 'x-user', allowUsers: ['ann', 'bob'], allowLoopback: true",
        "userHeader: 'x-name', allowUsers: ['ann', 'bob']",
    ] {
        assert_ne!(rules, proxied(changed), "{changed}");
    }
}

#[test]
fn included_files_count_for_the_tree_hash_and_are_watched() {
    let scene = Scene::new("{gateway: {mode: 'local', auth: {token: 't'}}, agents: {$include: './agents.json5'}}");
    scene.write("agents.json5", "{list: [{id: 'one'}]}");
    let first = scene.load();
    assert_eq!(first.default_agent().as_str(), "one");
    scene.write("agents.json5", "{list: [{id: 'two'}]}");
    let second = scene.load();
    assert_eq!(first.hash, second.hash);
    assert_ne!(first.tree_hash, second.tree_hash);
    assert!(
        second
            .watched_files
            .iter()
            .any(|file| file.path.ends_with("agents.json5") && file.digest.is_some())
    );
    scene.write("openclaw.json", "{$include: '../../outside.json5'}");
    let (code, text) = scene.refusal();
    assert_eq!(code, 1);
    assert!(
        text.contains("<root>: Include path escapes config directory: ../../outside.json5"),
        "{text}"
    );
}

#[test]
fn a_token_is_generated_into_the_state_folder_and_kept() {
    let scene = Scene::new(&local(""));
    assert_eq!(
        load(&scene.input(), None).unwrap_err().error,
        StartError::NeedsGeneratedToken
    );
    let mut input = scene.input();
    let first = last_good::boot(&mut input).unwrap();
    assert!(first.token_created);
    let mut again = scene.input();
    let second = last_good::boot(&mut again).unwrap();
    assert!(!second.token_created);
    assert_eq!(first.loaded.snapshot.auth.token, second.loaded.snapshot.auth.token);
    assert_eq!(
        std::fs::read_to_string(scene.dir.path().join("openclaw.json")).unwrap(),
        local(""),
        "the file is input"
    );
}

#[test]
fn the_last_good_copy_is_used_only_if_it_says_so() {
    let good = |more: &str| format!("{{gateway: {{mode: 'local', auth: {{token: '${{TOK}}'}}, reload: {{{more}}}}}}}");
    for (more, used) in [("startFromLastGood: true", true), ("", false)] {
        let mut scene = Scene::new(&good(more));
        scene.env.set("TOK", "plain-secret");
        let loaded = load(&scene.input(), None).unwrap();
        last_good::keep(&loaded.snapshot.paths, &loaded.joined).unwrap();
        let kept = std::fs::read_to_string(scene.dir.path().join("state/config.last-good")).unwrap();
        assert!(!kept.contains("plain-secret"), "placeholders stay placeholders");
        scene.write("openclaw.json", "{ broken");
        match last_good::boot(&mut scene.input()) {
            Ok(started) => {
                assert!(used);
                assert!(matches!(started.fallback.unwrap().error, StartError::Syntax { .. }));
                assert_eq!(
                    started.loaded.snapshot.auth.token.as_ref().map(Secret::expose),
                    Some("plain-secret")
                );
            }
            Err(BootError::Config(error)) => {
                assert!(!used);
                assert_eq!(error.error.exit_code(), 78);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_view_shows_everything_but_secrets() {
    let mut scene = Scene::new(
        "{gateway: {mode: 'local', auth: {token: 'tok-abcdefgh'}}, \
         models: {providers: {p: {apiKey: '${KEY}', headers: {'X-K': {source: 'env', id: 'HDR'}}}}}}",
    );
    scene.env.set("KEY", "sk-from-env-1");
    scene.env.set("HDR", "header-secret-1");
    let snapshot = scene.load();
    let view = crate::config::view::view(&snapshot, true);
    let text = view.to_string();
    for secret in ["tok-abcdefgh", "sk-from-env-1", "header-secret-1"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let keys: Vec<&str> = view.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "path",
        "exists",
        "raw",
        "parsed",
        "sourceConfig",
        "resolved",
        "valid",
        "runtimeConfig",
        "config",
        "hash",
        "issues",
        "warnings",
        "legacyIssues",
    ];
    assert_eq!(keys, expected);
    assert_eq!(view["parsed"]["models"]["providers"]["p"]["apiKey"], "${KEY}");
    assert_eq!(
        view["config"]["models"]["providers"]["p"]["apiKey"],
        "__OPENCLAW_REDACTED__"
    );
    assert_eq!(view["config"]["gateway"]["auth"]["token"], "__OPENCLAW_REDACTED__");
    assert_eq!(view["config"]["commands"]["restart"], true);
    assert!(
        view["raw"]
            .as_str()
            .unwrap()
            .contains("{source: 'env', id: '__OPENCLAW_REDACTED__'}")
    );
    assert!(!format!("{snapshot:?} {:?}", snapshot.config).contains("tok-abcdefgh"));
    scene.write("openclaw.json", "{nope: 1}");
    let error = load(&scene.input(), None).unwrap_err();
    let broken = crate::config::view::view_broken(&snapshot, &error);
    assert_eq!(
        (&broken["valid"], &broken["config"], &broken["raw"]),
        (&json!(false), &json!({}), &Value::Null)
    );
    assert_eq!(
        broken["issues"],
        json!([{"path": "", "message": "Unrecognized key: \"nope\""}])
    );
    assert_eq!(broken["hash"], error.hash);
}

#[test]
fn plain_secrets_are_replaced_in_the_raw_text_with_its_comments() {
    let scene = Scene::new("// note\n{gateway: {mode: 'local', auth: {token: 'tok-abcdefgh'}}}");
    let view = crate::config::view::view(&scene.load(), true);
    assert_eq!(
        view["raw"],
        "// note\n{gateway: {mode: 'local', auth: {token: '__OPENCLAW_REDACTED__'}}}"
    );
}

#[test]
fn channel_credentials_are_found_by_path() {
    let mut scene = Scene::new(
        "{gateway: {mode: 'local', auth: {token: 't'}}, channels: {telegram: {botToken: {source: 'env', id: 'BOT'}}, \
         irc: {password: 'pw'}, slack: {enabled: false, token: {source: 'env', id: 'NONE'}}}}",
    );
    scene.env.set("BOT", "bot-1");
    let snapshot = scene.load();
    let found = |path: &str| {
        snapshot
            .secret(path)
            .map(|secret| secret.map(|s| s.expose().to_owned()))
    };
    assert_eq!(found("channels.telegram.botToken"), Ok(Some("bot-1".to_owned())));
    assert_eq!(found("channels.irc.password"), Ok(Some("pw".to_owned())));
    assert_eq!(found("channels.irc.nothing"), Ok(None));
    assert!(found("channels.slack.token").is_err());
    assert_eq!(
        snapshot.secrets.failures().count(),
        0,
        "a disabled channel asks for nothing"
    );
}

#[test]
fn a_snapshot_from_text_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let snapshot =
        snapshot_from_json5("{agents: {entries: {b: {default: true}}}}", dir.path(), &Env::default()).unwrap();
    assert_eq!(snapshot.default_agent().as_str(), "b");
    assert_eq!(snapshot.auth.token.as_ref().map(Secret::expose), Some("test-token"));
    let issues = snapshot_from_json5("{gateway: {port: 'x'}}", dir.path(), &Env::default()).unwrap_err();
    assert_eq!(issues[0].path, "gateway.port");
    let refused = snapshot_from_json5(
        "{gateway: {auth: {token: 'change-me-now'}}}",
        dir.path(),
        &Env::default(),
    );
    assert!(refused.unwrap_err()[0].message.contains("placeholder"));
}

#[test]
fn keys_without_effect_are_named_in_one_warning() {
    let snapshot = Scene::new(
        "{gateway: {mode: 'local', auth: {token: 't'}}, browser: {enabled: false}, tools: {exec: {host: 'gateway'}}, \
         agents: {list: [{id: 'a', tools: {allow: ['x']}}, {id: 'b', tools: {allow: ['y']}}]}, \
         channels: {telegram: {enabled: true}}, plugins: {entries: {x: {enabled: true}, 'diagnostics-otel': {}}}}",
    )
    .load();
    let shown: Vec<(&str, &str)> = snapshot
        .warnings
        .iter()
        .map(|w| (w.path.as_str(), w.message.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (
                "",
                "accepted and without effect in this gateway: agents.list[].tools, browser, tools"
            ),
            (
                "channels",
                "no such channel in this gateway, the section is ignored: channels.telegram"
            ),
            (
                "plugins",
                "script plugins do not run in this gateway: plugins.entries.x"
            ),
        ]
    );
}

#[test]
fn a_usual_file_loads_with_nothing_but_the_note_about_unused_keys() {
    let scene = Scene::new(
        r#"{
        "gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token", "token": "usual-token-1"},
            "http": {"endpoints": {"chatCompletions": {"enabled": true, "images": {"allowUrl": true}},
                "responses": {"enabled": true, "files": {"allowUrl": true}}}}},
        "discovery": {"mdns": {"mode": "off"}}, "update": {"checkOnStart": false}, "browser": {"enabled": false},
        "diagnostics": {"otel": {"enabled": true, "endpoint": "http://h:4318", "sampleRate": 1.0, "flushIntervalMs": 1000}},
        "hooks": {"enabled": true, "token": "hook-token-1", "allowedAgentIds": ["main"]},
        "models": {"mode": "merge", "providers": {"mock": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "sk-usual",
            "api": "openai-completions", "models": [{"id": "m1", "name": "m1", "reasoning": false, "input": ["text", "image"],
            "contextWindow": 128000, "maxTokens": 4096, "cost": {"input": 1, "output": 2, "cacheRead": 0.1, "cacheWrite": 0}}]}}},
        "agents": {"defaults": {"model": {"primary": "mock/m1"}, "models": {"mock/m1": {}}, "skipBootstrap": true,
            "maxConcurrent": 64, "memorySearch": {"provider": "openai", "remote": {"apiKey": "sk-search-key"}},
            "heartbeat": {"every": "0m"}, "workspace": "/w"}, "list": [{"id": "main", "default": true}, {"id": "beta"}]}
        }"#,
    );
    let snapshot = scene.load();
    assert_eq!(snapshot.warnings.len(), 1, "{:?}", snapshot.warnings);
    assert_eq!(
        snapshot.warnings[0].message,
        "accepted and without effect in this gateway: agents.defaults.heartbeat, agents.defaults.skipBootstrap, browser, \
         discovery, hooks, models.mode, update"
    );
    assert_eq!(snapshot.agents.len(), 2);
    assert_eq!(snapshot.agents[0].allowed_models, ["mock/m1"]);
    assert_eq!(snapshot.providers[0].models[0].cost, [1.0, 2.0, 0.1, 0.0]);
    assert!(
        !crate::config::view::view(&snapshot, true)
            .to_string()
            .contains("sk-search-key")
    );
}

#[test]
fn a_mounted_token_file_counts_like_the_variable_and_a_missing_one_stops_the_start() {
    let mut scene = Scene::new("{gateway: {mode: 'local', bind: 'lan'}}");
    let path = scene.dir.path().join("mounted-token");
    scene.env.set("OPENCLAW_GATEWAY_TOKEN_FILE", path.to_str().unwrap());
    let (code, text) = scene.refusal();
    assert_eq!(code, 1);
    assert!(
        text.contains("OPENCLAW_GATEWAY_TOKEN_FILE: <dir>/mounted-token does not exist"),
        "{text}"
    );
    std::fs::write(&path, "from-the-mount\n").unwrap();
    let snapshot = scene.load();
    assert!(snapshot.auth.token.as_ref().unwrap().matches("from-the-mount"));
    assert!(snapshot.watched_files.iter().any(|file| file.path == path));
}
