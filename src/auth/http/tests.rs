use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::*;
use crate::auth::testing::{proxy_settings, settings};
use crate::base::Secret;
use crate::config::{AuthMode, RateLimit};
use crate::domain::Scope;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn ask(auth: &ResolvedAuth, peer: &str, pairs: &[(&str, &str)]) -> Result<Principal, AuthFailure> {
    ask_limited(&FailureLimiter::default(), auth, peer, pairs)
}

fn ask_limited(
    limiter: &FailureLimiter,
    auth: &ResolvedAuth,
    peer: &str,
    pairs: &[(&str, &str)],
) -> Result<Principal, AuthFailure> {
    authenticate(
        limiter,
        auth,
        SocketAddr::new(peer.parse().unwrap(), 9),
        &headers(pairs),
    )
}

fn reason(outcome: Result<Principal, AuthFailure>) -> &'static str {
    outcome.unwrap_err().reason
}

#[test]
fn only_a_bearer_credential_counts() {
    let auth = settings();
    let good = ["Bearer right", "bearer   right ", "BEARER right"];
    for value in good {
        let principal = ask(&auth, "203.0.113.1", &[("authorization", value)]).unwrap();
        assert_eq!(principal.method, AuthMethod::Token);
        assert!(principal.may(Scope::Admin));
    }
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "token_missing"),
        (&[("authorization", "Bearer ")], "token_missing"),
        (&[("authorization", "Bearerright")], "token_missing"),
        (&[("authorization", "Basic right")], "token_missing"),
        (&[("x-api-key", "right")], "token_missing"),
        (
            &[("authorization", "Bearer right"), ("authorization", "Bearer right")],
            "token_missing",
        ),
        (&[("authorization", "Bearer right right")], "token_mismatch"),
        (&[("authorization", "Bearer right,right")], "token_mismatch"),
        (&[("authorization", "Bearer RIGHT")], "token_mismatch"),
        (&[("authorization", "Bearer righ")], "token_mismatch"),
    ];
    for (pairs, expected) in cases {
        assert_eq!(reason(ask(&auth, "203.0.113.1", pairs)), *expected, "{pairs:?}");
    }
}

#[test]
fn the_bearer_is_the_password_in_password_mode() {
    let mut auth = settings();
    auth.mode = AuthMode::Password;
    auth.password = Some(Secret::new("pass word"));
    let principal = ask(&auth, "203.0.113.1", &[("authorization", "Bearer pass word")]).unwrap();
    assert_eq!(principal.method, AuthMethod::Password);
    assert_eq!(
        reason(ask(&auth, "203.0.113.1", &[("authorization", "Bearer right")])),
        "password_mismatch"
    );
}

#[test]
fn a_mode_without_its_secret_lets_nobody_in() {
    let mut auth = settings();
    auth.token = None;
    let outcome = ask(&auth, "127.0.0.1", &[("authorization", "Bearer right")]);
    assert_eq!(reason(outcome), "token_missing_config");
}

#[test]
fn a_secret_holder_cannot_be_narrowed_but_others_narrow_themselves() {
    let narrow = ("x-openclaw-scopes", "operator.write, custom");
    let principal = ask(&settings(), "203.0.113.1", &[("authorization", "Bearer right"), narrow]).unwrap();
    assert!(principal.may(Scope::Admin));

    let mut auth = settings();
    auth.mode = AuthMode::None;
    let principal = ask(&auth, "127.0.0.1", &[narrow]).unwrap();
    assert!(principal.may(Scope::Read) && principal.may(Scope::Write) && !principal.may(Scope::Admin));
    assert_eq!(principal.scopes.names(), ["operator.write", "custom"]);
    let principal = ask(&auth, "127.0.0.1", &[("x-openclaw-scopes", "")]).unwrap();
    assert!(principal.scopes.is_empty());
    assert!(ask(&auth, "127.0.0.1", &[]).unwrap().may(Scope::Admin));
}

#[test]
fn without_authentication_a_page_of_another_site_is_refused() {
    let mut auth = settings();
    auth.mode = AuthMode::None;
    let page: &[(&str, &str)] = &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    assert_eq!(reason(ask(&auth, "127.0.0.1", page)), "cross_site_request");
    auth.allowed_origins = vec!["https://evil.example".to_owned()];
    assert!(ask(&auth, "127.0.0.1", page).is_ok());
    auth.allowed_origins.clear();
    assert!(ask(&auth, "127.0.0.1", &[("origin", "https://evil.example")]).is_ok());
}

#[test]
fn a_trusted_proxy_names_the_user_and_pages_must_be_allowed() {
    let auth = proxy_settings();
    let named: [(&str, &str); 2] = [("x-user", "ann"), ("x-proof", "1")];
    let principal = ask(&auth, "10.0.0.1", &named).unwrap();
    assert_eq!(principal.user.as_deref(), Some("ann"));
    assert!(principal.may(Scope::Admin));
    for (origin, passes) in [
        ("https://gw.example", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let pairs = [named[0], named[1], ("origin", origin)];
        assert_eq!(ask(&auth, "10.0.0.1", &pairs).is_ok(), passes, "{origin}");
    }
    // The exception for pages of this machine is for WebSocket callers only.
    let pairs = [named[0], named[1], ("origin", "http://localhost:1")];
    assert_eq!(
        reason(ask(&auth, "10.0.0.1", &pairs)),
        "trusted_proxy_origin_not_allowed"
    );
}

#[test]
fn a_local_caller_of_a_proxied_gateway_may_use_the_password() {
    let mut auth = proxy_settings();
    auth.password = Some(Secret::new("pw"));
    let bearer = ("authorization", "Bearer pw");
    let principal = ask(&auth, "127.0.0.1", &[bearer, ("x-user", "ann")]).unwrap();
    assert_eq!(principal.method, AuthMethod::Password);
    assert!(ask(&auth, "127.0.0.1", &[bearer, ("x-forwarded-for", "1.2.3.4")]).is_err());
    assert!(ask(&auth, "203.0.113.1", &[bearer]).is_err());
    assert_eq!(
        reason(ask(&auth, "127.0.0.1", &[("authorization", "Bearer no")])),
        "password_mismatch"
    );
    assert_eq!(reason(ask(&auth, "127.0.0.1", &[])), "trusted_proxy_loopback_source");
}

#[test]
fn guessing_is_limited_by_default_and_the_right_token_always_passes() {
    let limiter = FailureLimiter::default();
    let auth = settings();
    let wrong = [("authorization", "Bearer wrong")];
    for _ in 0..10 {
        assert_eq!(
            reason(ask_limited(&limiter, &auth, "203.0.113.1", &wrong)),
            "token_mismatch"
        );
    }
    let locked = ask_limited(&limiter, &auth, "203.0.113.1", &wrong).unwrap_err();
    assert_eq!(locked.reason, "rate_limited");
    assert!(locked.retry_after.is_some_and(|after| after > Duration::from_secs(290)));
    let missing = ask_limited(&limiter, &auth, "203.0.113.1", &[]).unwrap_err();
    assert_eq!((missing.reason, missing.retry_after), ("token_missing", None));
    // An untrusted claim to be somebody else changes nothing.
    let claim = [wrong[0], ("x-forwarded-for", "198.51.100.1")];
    assert_eq!(
        reason(ask_limited(&limiter, &auth, "203.0.113.1", &claim)),
        "rate_limited"
    );
    assert!(ask_limited(&limiter, &auth, "203.0.113.1", &[("authorization", "Bearer right")]).is_ok());
    assert_eq!(
        reason(ask_limited(&limiter, &auth, "203.0.113.1", &wrong)),
        "token_mismatch"
    );
}

#[test]
fn loopback_is_exempt_unless_configured_otherwise() {
    let wrong = [("authorization", "Bearer wrong")];
    let limiter = FailureLimiter::default();
    let mut auth = settings();
    for _ in 0..30 {
        assert_eq!(
            reason(ask_limited(&limiter, &auth, "127.0.0.1", &wrong)),
            "token_mismatch"
        );
    }
    let passed_on = [("authorization", "Bearer wrong"), ("x-forwarded-for", "203.0.113.9")];
    let guesses: Vec<&str> = (0..30)
        .map(|_| reason(ask_limited(&limiter, &auth, "127.0.0.1", &passed_on)))
        .collect();
    assert!(
        guesses.contains(&"rate_limited"),
        "a proxy on this machine that nobody configured lends its exemption to everybody"
    );
    let limiter = FailureLimiter::default();
    auth.rate_limit = Some(RateLimit {
        max_attempts: 2,
        window: Duration::from_secs(60),
        lockout: Duration::from_secs(60),
        exempt_loopback: false,
    });
    for expected in ["token_mismatch", "token_mismatch", "rate_limited"] {
        assert_eq!(reason(ask_limited(&limiter, &auth, "127.0.0.1", &wrong)), expected);
    }
}
