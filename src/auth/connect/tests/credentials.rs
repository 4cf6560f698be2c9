use std::time::Duration;

use super::*;
use crate::auth::testing::proxy_settings;
use crate::base::{Secret, net};
use crate::config::{AuthMode, RateLimit};
use crate::domain::{AuthMethod, Role, Scope};

fn password_settings() -> ResolvedAuth {
    ResolvedAuth {
        mode: AuthMode::Password,
        token: None,
        password: Some(Secret::new("pw")),
        ..settings()
    }
}

fn none_settings() -> ResolvedAuth {
    ResolvedAuth {
        mode: AuthMode::None,
        token: None,
        ..settings()
    }
}

/// Trusted proxy on loopback, as in the captured transcript.
fn local_proxy_settings() -> ResolvedAuth {
    let mut auth = proxy_settings();
    let rules = auth.trusted_proxy.as_mut().unwrap();
    rules.allow_loopback = true;
    rules.required_headers.clear();
    auth
}

/// What becomes of a call without a device: the scopes, or the refusal's code.
async fn outcome(bench: &Bench, call: &Call) -> Result<usize, String> {
    match bench.judge(call).await {
        Ok(grant) => {
            assert!(grant.device_token.is_none());
            assert_eq!(grant.hello_scopes, grant.principal.scopes.names());
            Ok(grant.hello_scopes.len())
        }
        Err(refusal) => {
            assert_eq!(refusal.close_code, 1008);
            Err(detail(&refusal, "code"))
        }
    }
}

#[tokio::test]
async fn without_a_device_the_shared_secret_lets_operators_in_and_few_keep_their_scopes() {
    let none = json!({});
    let wrong = json!({ "token": "wrong" });
    let refused = |code: &str| Err(code.to_owned());
    let page = |call: Call| call.header(OWN_PAGE);
    let cases: Vec<(&str, ResolvedAuth, Call, Result<usize, String>)> = vec![
        ("backend", settings(), call(BACKEND), Ok(5)),
        (
            "backend, odd host",
            settings(),
            call(BACKEND).header(("host", "evil.example")),
            Ok(5),
        ),
        ("backend, page", settings(), page(call(BACKEND)), Ok(0)),
        ("backend, forwarded", settings(), call(BACKEND).remote(), Ok(0)),
        ("backend, elsewhere", settings(), call(BACKEND).peer("10.0.0.9"), Ok(0)),
        ("command line", settings(), call(CLI), Ok(0)),
        ("command line, protocol 4", settings(), call(CLI).protocol(4), Ok(5)),
        (
            "command line, protocol 4, forwarded",
            settings(),
            call(CLI).protocol(4).remote(),
            Ok(0),
        ),
        (
            "command line, protocol 4, page",
            settings(),
            page(call(CLI).protocol(4)),
            Ok(0),
        ),
        ("probe, protocol 4", settings(), call(PROBE).protocol(4), Ok(0)),
        ("test", settings(), call(TEST), Ok(0)),
        (
            "wrong token",
            settings(),
            call(CLI).auth(wrong.clone()),
            refused("AUTH_TOKEN_MISMATCH"),
        ),
        (
            "nothing",
            settings(),
            call(CLI).auth(none.clone()),
            refused("DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "device token",
            settings(),
            call(CLI).auth(json!({ "deviceToken": "x" })),
            refused("DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "blank token",
            settings(),
            call(CLI).auth(json!({ "token": " " })),
            refused("DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "padded token",
            settings(),
            call(BACKEND).auth(json!({ "token": " right " })),
            Ok(5),
        ),
        (
            "password only",
            settings(),
            call(CLI).auth(json!({ "password": "right" })),
            refused("AUTH_TOKEN_MISSING"),
        ),
        (
            "both",
            settings(),
            call(BACKEND).auth(json!({ "token": "right", "password": "right" })),
            Ok(5),
        ),
        (
            "control ui",
            settings(),
            page(call(CONTROL_UI)),
            refused("CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "control ui, wrong token",
            settings(),
            page(call(CONTROL_UI).auth(wrong.clone())),
            refused("CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "control ui, no origin",
            settings(),
            call(CONTROL_UI),
            refused("CONTROL_UI_ORIGIN_NOT_ALLOWED"),
        ),
        ("node", settings(), call(NODE), refused("DEVICE_IDENTITY_REQUIRED")),
        (
            "node, wrong token",
            settings(),
            call(NODE).auth(wrong.clone()),
            refused("AUTH_TOKEN_MISMATCH"),
        ),
        (
            "no token set",
            ResolvedAuth {
                token: None,
                ..settings()
            },
            call(CLI),
            refused("AUTH_TOKEN_NOT_CONFIGURED"),
        ),
        (
            "password",
            password_settings(),
            call(BACKEND).auth(json!({ "password": "pw" })),
            Ok(5),
        ),
        (
            "wrong password",
            password_settings(),
            call(BACKEND).auth(json!({ "password": "no" })),
            refused("AUTH_PASSWORD_MISMATCH"),
        ),
        (
            "password as token",
            password_settings(),
            call(BACKEND).auth(json!({ "token": "pw" })),
            refused("AUTH_PASSWORD_MISSING"),
        ),
        (
            "mode none",
            none_settings(),
            call(BACKEND).auth(none.clone()),
            refused("DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "mode none, token",
            none_settings(),
            call(BACKEND),
            refused("DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "mode none, control ui",
            none_settings(),
            page(call(CONTROL_UI)),
            refused("CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            "worker token",
            settings(),
            call(BACKEND).auth(json!({ "token": "right", "agentRuntimeIdentityToken": "x" })),
            refused("AUTH_UNAUTHORIZED"),
        ),
        (
            "approval token is ignored",
            settings(),
            call(BACKEND).auth(json!({ "token": "right", "approvalRuntimeToken": "x" })),
            Ok(5),
        ),
        (
            "scopes limited by header",
            settings(),
            call(BACKEND).header(("x-openclaw-scopes", "operator.write")),
            Ok(2),
        ),
    ];
    for (name, auth, call, expected) in cases {
        let bench = Bench::with(auth).await;
        assert_eq!(outcome(&bench, &call).await, expected, "{name}");
    }
}

#[tokio::test]
async fn the_control_ui_without_a_device_can_be_allowed() {
    let insecure = ResolvedAuth {
        control_ui_insecure_auth: true,
        ..settings()
    };
    let bench = Bench::with(insecure.clone()).await;
    let ui = call(CONTROL_UI).header(OWN_PAGE);
    assert_eq!(outcome(&bench, &ui).await, Ok(5));
    assert_eq!(
        outcome(&bench, &ui.clone().auth(json!({ "token": "no" }))).await,
        Err("AUTH_TOKEN_MISMATCH".to_owned())
    );
    let far = Bench::with(ResolvedAuth {
        allowed_origins: vec!["*".to_owned()],
        ..insecure
    })
    .await;
    assert_eq!(
        outcome(&far, &ui.clone().remote()).await,
        Err("CONTROL_UI_DEVICE_IDENTITY_REQUIRED".to_owned())
    );

    let waived = ResolvedAuth {
        control_ui_device_auth_disabled: true,
        allowed_origins: vec!["*".to_owned()],
        ..settings()
    };
    let bench = Bench::with(waived).await;
    assert_eq!(outcome(&bench, &ui.clone().remote()).await, Ok(5));
    assert_eq!(
        outcome(&bench, &ui.clone().auth(json!({}))).await,
        Err("AUTH_TOKEN_MISSING".to_owned())
    );
    assert!(bench.judge(&ui.role("node").scopes(&[])).await.is_err());
}

#[tokio::test]
async fn a_proxys_user_gets_in_without_scopes() {
    let user = ("x-user", "ann");
    let page = ("origin", "https://gw.example");
    let none = json!({});
    let cases: Vec<(&str, Call, Result<usize, String>)> = vec![
        ("control ui", call(CONTROL_UI).header(user).header(page).remote(), Ok(0)),
        ("backend", call(BACKEND).header(user).remote(), Ok(0)),
        ("backend, local", call(BACKEND).header(user), Ok(0)),
        ("command line", call(CLI).header(user).remote(), Ok(0)),
        (
            "control ui, no user",
            call(CONTROL_UI).header(page).remote(),
            Err("CONTROL_UI_DEVICE_IDENTITY_REQUIRED".to_owned()),
        ),
        (
            "backend, no user",
            call(BACKEND).remote(),
            Err("AUTH_UNAUTHORIZED".to_owned()),
        ),
        (
            "two users",
            call(BACKEND).header(user).header(user).remote(),
            Err("AUTH_UNAUTHORIZED".to_owned()),
        ),
        (
            "untrusted",
            call(BACKEND).header(user).peer("10.0.0.9"),
            Err("AUTH_UNAUTHORIZED".to_owned()),
        ),
        (
            "bad origin",
            call(CONTROL_UI)
                .header(user)
                .header(("origin", "https://evil.example"))
                .remote(),
            Err("CONTROL_UI_ORIGIN_NOT_ALLOWED".to_owned()),
        ),
        (
            "control ui as node",
            call(CONTROL_UI)
                .role("node")
                .scopes(&[])
                .header(user)
                .header(page)
                .remote(),
            Err("CONTROL_UI_DEVICE_IDENTITY_REQUIRED".to_owned()),
        ),
    ];
    let bench = Bench::with(local_proxy_settings()).await;
    for (name, call, expected) in cases {
        assert_eq!(outcome(&bench, &call.auth(none.clone())).await, expected, "{name}");
    }
    let grant = bench.granted(&call(BACKEND).auth(none).header(user).remote()).await;
    assert_eq!(grant.principal.user.as_deref(), Some("ann"));
    assert_eq!(grant.principal.method, AuthMethod::TrustedProxy);
    assert!(grant.by_settings);
}

#[tokio::test]
async fn behind_a_proxy_a_local_caller_may_use_the_password() {
    let auth = ResolvedAuth {
        password: Some(Secret::new("pw")),
        ..local_proxy_settings()
    };
    let bench = Bench::with(auth).await;
    let local = call(BACKEND).auth(json!({ "password": "pw" }));
    assert_eq!(outcome(&bench, &local).await, Ok(5));
    assert_eq!(
        outcome(&bench, &local.clone().remote()).await,
        Err("AUTH_UNAUTHORIZED".to_owned())
    );
    let wrong = local.auth(json!({ "password": "no" }));
    assert_eq!(outcome(&bench, &wrong).await, Err("AUTH_PASSWORD_MISMATCH".to_owned()));
}

#[tokio::test]
async fn a_proxys_control_ui_with_a_device_has_authority_only_once_it_is_paired() {
    let bench = Bench::with(local_proxy_settings()).await;
    let none = json!({});
    let user = ("x-user", "ann");
    let ui = call(CONTROL_UI)
        .auth(none.clone())
        .header(user)
        .header(("origin", "https://gw.example"))
        .remote()
        .device(1);
    let grant = bench.granted(&ui).await;
    assert!(grant.hello_scopes.is_empty() && grant.device_token.is_none());
    assert_eq!(
        bench.code(&call(CLI).auth(none).header(user).remote().device(2)).await,
        "PAIRING_REQUIRED"
    );
    let quiet_proxy = call(CLI).auth(json!({})).header(user).device(3);
    assert_eq!(bench.code(&quiet_proxy).await, "PAIRING_REQUIRED");
    let refusal = bench.refused(&ui.clone().role("node").scopes(&[])).await;
    assert_eq!(detail(&refusal, "reason"), "not-paired");

    let ask = crate::auth::devices::record::Ask {
        device_id: crate::base::DeviceId::new(id(1)),
        public_key: DeviceKey::from_seed(&[1; 32]).public_key(),
        display_name: None,
        platform: None,
        device_family: None,
        client_id: "cli".to_owned(),
        client_mode: "cli".to_owned(),
        role: "operator".to_owned(),
        roles: vec!["operator".to_owned()],
        scopes: vec!["operator.read".to_owned()],
        remote_ip: None,
    };
    bench.authenticator.devices().approve_silently(&ask, NOW).await.unwrap();
    assert!(
        bench.granted(&ui).await.hello_scopes.is_empty(),
        "asks for more than was approved"
    );
    let grant = bench.granted(&ui.scopes(&["operator.read"])).await;
    assert!(grant.principal.may(Scope::Read) && grant.device_token.is_some());
}

#[tokio::test]
async fn hints_and_details_fit_the_client() {
    let bench = Bench::new().await;
    let cases = [
        (
            CLI,
            "unauthorized: gateway token mismatch (set gateway.remote.token to match gateway.auth.token)",
        ),
        (
            BACKEND,
            "unauthorized: gateway token mismatch (provide gateway auth token)",
        ),
        (
            PROBE,
            "unauthorized: gateway token mismatch (provide gateway auth token)",
        ),
    ];
    for (client, message) in cases {
        let refusal = bench.refused(&call(client).auth(json!({ "token": "wrong" }))).await;
        assert_eq!(refusal.error.message, message);
        assert_eq!(refusal.close_reason, message);
        assert_eq!(
            refusal.error.details,
            Some(json!({
                "code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch", "canRetryWithDeviceToken": false,
                "recommendedNextStep": "update_auth_credentials",
            }))
        );
    }
    let ui = call(CONTROL_UI).header(OWN_PAGE).device(1).auth(json!({}));
    assert_eq!(
        bench.refused(&ui).await.error.message,
        "unauthorized: gateway token missing (open the dashboard URL and paste the token in Control UI settings)"
    );
    let refusal = bench
        .refused(&call(CLI).auth(json!({ "token": "wrong" })).device(1))
        .await;
    assert_eq!(
        refusal.error.details,
        Some(json!({
            "code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch", "canRetryWithDeviceToken": true,
            "recommendedNextStep": "retry_with_device_token",
        }))
    );
}

#[tokio::test]
async fn an_unknown_role_is_refused_and_nodes_are_nodes() {
    let bench = Bench::new().await;
    assert_eq!(
        bench.refused(&call(CLI).role("root")).await.error.message,
        "invalid role"
    );
    let grant = bench.granted(&call(NODE).device(1)).await;
    assert_eq!(grant.principal.role, Role::Node);
    assert!(grant.hello_scopes.is_empty() && grant.device_token.is_some());
}

#[tokio::test(start_paused = true)]
async fn pages_are_limited_by_origin_and_programs_on_the_same_host_are_not() {
    let bench = Bench::new().await;
    let page = call(CONTROL_UI)
        .header(OWN_PAGE)
        .auth(json!({ "token": "bad" }))
        .device(1);
    for _ in 0..10 {
        assert_eq!(bench.code(&page).await, "AUTH_TOKEN_MISMATCH");
    }
    let refusal = bench.refused(&page).await;
    assert_eq!(
        refusal.error.message,
        "unauthorized: too many failed authentication attempts (retry later)"
    );
    assert_eq!(detail(&refusal, "recommendedNextStep"), "wait_then_retry");
    assert_eq!((refusal.error.retryable, refusal.error.retry_after_ms), (None, None));
    let newer = bench.refused(&page.clone().protocol(4)).await;
    assert_eq!(
        (newer.error.retryable, newer.error.retry_after_ms),
        (Some(true), Some(300_000))
    );
    bench.granted(&call(BACKEND)).await;
    for _ in 0..20 {
        assert_eq!(
            bench.code(&call(BACKEND).auth(json!({ "token": "bad" }))).await,
            "AUTH_TOKEN_MISMATCH"
        );
    }
    bench.granted(&page.clone().auth(json!({ "token": "right" }))).await;
    assert_eq!(bench.code(&page).await, "AUTH_TOKEN_MISMATCH", "a success forgives");
}

#[tokio::test]
async fn programs_are_limited_as_configured_and_missing_credentials_do_not_count() {
    let auth = ResolvedAuth {
        rate_limit: Some(RateLimit {
            max_attempts: 3,
            window: Duration::from_secs(60),
            lockout: Duration::from_secs(60),
            exempt_loopback: false,
        }),
        trusted_proxies: vec![net::parse_block("127.0.0.1").unwrap()],
        ..settings()
    };
    let bench = Bench::with(auth).await;
    for _ in 0..5 {
        assert_eq!(
            bench.code(&call(BACKEND).auth(json!({ "password": "x" }))).await,
            "AUTH_TOKEN_MISSING"
        );
    }
    let bad = call(BACKEND).auth(json!({ "token": "bad" }));
    for expected in [
        "AUTH_TOKEN_MISMATCH",
        "AUTH_TOKEN_MISMATCH",
        "AUTH_TOKEN_MISMATCH",
        "AUTH_RATE_LIMITED",
    ] {
        assert_eq!(bench.code(&bad).await, expected);
    }
    assert_eq!(
        bench.code(&bad.remote()).await,
        "AUTH_TOKEN_MISMATCH",
        "another client behind the proxy"
    );
}
