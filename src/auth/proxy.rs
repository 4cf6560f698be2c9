//! Identity by a trusted proxy: the peer is one of ours and names the user in a header.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::client::single;
use crate::base::net;
use crate::config::ResolvedAuth;

/// The user that a trusted proxy names, or upstream's name of why nobody is identified.
pub fn user(auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<String, &'static str> {
    let rules = auth.trusted_proxy.as_ref().ok_or("trusted_proxy_config_missing")?;
    if auth.trusted_proxies.is_empty() {
        return Err("trusted_proxy_no_proxies_configured");
    }
    let peer: IpAddr = net::unmapped(peer.ip());
    if !net::contains(&auth.trusted_proxies, peer) {
        return Err("trusted_proxy_untrusted_source");
    }
    if peer.is_loopback() && !rules.allow_loopback {
        return Err("trusted_proxy_loopback_source");
    }
    let blank = |name: &String| {
        !headers
            .get(name.as_str())
            .is_some_and(|value| value.as_bytes().iter().any(|byte| !byte.is_ascii_whitespace()))
    };
    if rules.required_headers.iter().any(blank) {
        return Err("trusted_proxy_missing_header");
    }
    // A proxy that adds its header beside the client's own leaves it open who is meant.
    if headers.get_all(rules.user_header.as_str()).iter().nth(1).is_some() {
        return Err("trusted_proxy_user_ambiguous");
    }
    let user = single(headers, &rules.user_header)
        .map(str::trim)
        .filter(|user| !user.is_empty())
        .ok_or("trusted_proxy_user_missing")?;
    if !rules.allow_users.is_empty() && !rules.allow_users.iter().any(|allowed| allowed == user) {
        return Err("trusted_proxy_user_not_allowed");
    }
    Ok(user.to_owned())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::auth::testing::proxy_settings;

    #[test]
    fn every_step_can_refuse() {
        let good: &[(&'static str, &'static str)] = &[("x-user", " ann "), ("x-proof", "1")];
        type Case<'a> = (
            &'a str,
            &'a [(&'static str, &'static str)],
            Result<&'a str, &'static str>,
        );
        let cases: &[Case<'_>] = &[
            ("10.0.0.1", good, Ok("ann")),
            ("::ffff:10.0.0.1", good, Ok("ann")),
            ("10.0.0.2", good, Err("trusted_proxy_untrusted_source")),
            ("127.0.0.1", good, Err("trusted_proxy_loopback_source")),
            (
                "10.0.0.1",
                &[("x-user", "ann"), ("x-proof", " ")],
                Err("trusted_proxy_missing_header"),
            ),
            ("10.0.0.1", &[("x-user", "ann")], Err("trusted_proxy_missing_header")),
            ("10.0.0.1", &[("x-proof", "1")], Err("trusted_proxy_user_missing")),
            (
                "10.0.0.1",
                &[("x-user", " "), ("x-proof", "1")],
                Err("trusted_proxy_user_missing"),
            ),
            (
                "10.0.0.1",
                &[("x-user", "Ann"), ("x-proof", "1")],
                Err("trusted_proxy_user_not_allowed"),
            ),
            (
                "10.0.0.1",
                &[("x-user", "ann"), ("x-user", "ann"), ("x-proof", "1")],
                Err("trusted_proxy_user_ambiguous"),
            ),
        ];
        let auth = proxy_settings();
        for (peer, pairs, expected) in cases {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let outcome = user(&auth, SocketAddr::new(peer.parse().unwrap(), 1), &headers);
            assert_eq!(outcome, expected.map(str::to_owned), "{peer} {pairs:?}");
        }
    }

    #[test]
    fn without_proxies_nobody_is_identified() {
        let mut auth = proxy_settings();
        auth.trusted_proxies.clear();
        let peer = "10.0.0.1:1".parse().unwrap();
        assert_eq!(
            user(&auth, peer, &HeaderMap::new()),
            Err("trusted_proxy_no_proxies_configured")
        );
    }
}
