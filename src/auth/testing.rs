//! Settings for the tests of this module.

use crate::base::{Secret, net};
use crate::config::{AuthMode, ResolvedAuth, TrustedProxy};

/// Token mode with the token `right`.
pub fn settings() -> ResolvedAuth {
    ResolvedAuth {
        mode: AuthMode::Token,
        token: Some(Secret::new("right")),
        password: None,
        trusted_proxy: None,
        trusted_proxies: Vec::new(),
        allow_real_ip_fallback: false,
        rate_limit: None,
        node_auto_approve: Vec::new(),
        allowed_origins: Vec::new(),
        host_header_origin_fallback: false,
        control_ui_insecure_auth: false,
        control_ui_device_auth_disabled: false,
        shared_generation: "1".to_owned(),
    }
}

/// Trusted-proxy mode: proxy 10.0.0.1 (and loopback, not allowed) names `ann` in `x-user`, `x-proof` is required.
pub fn proxy_settings() -> ResolvedAuth {
    ResolvedAuth {
        mode: AuthMode::TrustedProxy,
        token: None,
        trusted_proxy: Some(TrustedProxy {
            user_header: "x-user".to_owned(),
            required_headers: vec!["x-proof".to_owned()],
            allow_users: vec!["ann".to_owned()],
            allow_loopback: false,
        }),
        trusted_proxies: ["10.0.0.1", "127.0.0.1"]
            .iter()
            .map(|text| net::parse_block(text).unwrap())
            .collect(),
        allowed_origins: vec!["https://gw.example".to_owned()],
        ..settings()
    }
}
