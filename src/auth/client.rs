//! Who is at the other end: the peer address, unwound through trusted proxies.
//!
//! Forwarding headers of a peer that is not trusted change nothing but locality: whoever sends one is not local.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::ClientFacts;
use crate::base::net;
use crate::config::ResolvedAuth;

const FORWARDING: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
];

/// What headers and peer say about the caller.
pub fn facts(auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts {
    let peer = net::unmapped(peer.ip());
    let forwarded = FORWARDING.iter().any(|name| headers.contains_key(*name));
    let client_ip = if forwarded && net::contains(&auth.trusted_proxies, peer) {
        behind_proxies(auth, headers).unwrap_or(peer)
    } else {
        peer
    };
    ClientFacts {
        client_ip,
        local_direct: peer.is_loopback() && !forwarded,
        forwarded,
    }
}

/// The nearest hop that is no proxy of ours. `None`: the headers do not say.
fn behind_proxies(auth: &ResolvedAuth, headers: &HeaderMap) -> Option<IpAddr> {
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    for line in lines.iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            // What stands left of a hop that cannot be read was not written by a proxy we know.
            let address = parse_hop(hop)?;
            if !address.is_loopback() && !net::contains(&auth.trusted_proxies, address) {
                return Some(address);
            }
        }
    }
    if !auth.allow_real_ip_fallback {
        return None;
    }
    parse_hop(single(headers, "x-real-ip")?)
}

/// The value of a header that is there exactly once.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    std::str::from_utf8(value.as_bytes()).ok()
}

/// An address with or without port and brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse::<IpAddr>()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(net::unmapped)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::auth::testing::settings;

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

    fn behind(proxies: &[&str], real_ip: bool, peer: &str, pairs: &[(&str, &str)]) -> ClientFacts {
        let mut auth = settings();
        auth.trusted_proxies = proxies.iter().map(|text| net::parse_block(text).unwrap()).collect();
        auth.allow_real_ip_fallback = real_ip;
        facts(&auth, SocketAddr::new(peer.parse().unwrap(), 4000), &headers(pairs))
    }

    #[test]
    fn the_client_address_follows_trusted_proxies_only() {
        type Case<'a> = (&'a [&'a str], bool, &'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: &[Case<'_>] = &[
            (&[], false, "198.51.100.1", &[], "198.51.100.1"),
            (
                &[],
                false,
                "198.51.100.1",
                &[("x-forwarded-for", "203.0.113.7")],
                "198.51.100.1",
            ),
            (
                &["10.0.0.0/8"],
                false,
                "10.1.1.1",
                &[("x-forwarded-for", "203.0.113.7")],
                "203.0.113.7",
            ),
            (
                &["10.0.0.0/8"],
                false,
                "::ffff:10.1.1.1",
                &[("x-forwarded-for", "203.0.113.7")],
                "203.0.113.7",
            ),
            // The client's own claim is left of what the proxy appended.
            (
                &["10.0.0.1"],
                false,
                "10.0.0.1",
                &[("x-forwarded-for", "1.2.3.4, 203.0.113.7")],
                "203.0.113.7",
            ),
            (
                &["10.0.0.0/8"],
                false,
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.7, 10.0.0.2, 127.0.0.1")],
                "203.0.113.7",
            ),
            (
                &["10.0.0.1"],
                false,
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-for", "10.0.0.1")],
                "203.0.113.7",
            ),
            (
                &["10.0.0.1"],
                false,
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.7, unknown")],
                "10.0.0.1",
            ),
            (
                &["10.0.0.1"],
                false,
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.7:5000")],
                "203.0.113.7",
            ),
            (
                &["10.0.0.1"],
                false,
                "10.0.0.1",
                &[("x-forwarded-for", "[2001:db8::1]:5000")],
                "2001:db8::1",
            ),
            (
                &["10.0.0.1"],
                false,
                "10.0.0.1",
                &[("x-real-ip", "203.0.113.7")],
                "10.0.0.1",
            ),
            (
                &["10.0.0.1"],
                true,
                "10.0.0.1",
                &[("x-real-ip", "203.0.113.7")],
                "203.0.113.7",
            ),
            (
                &["10.0.0.1"],
                true,
                "10.0.0.2",
                &[("x-real-ip", "203.0.113.7")],
                "10.0.0.2",
            ),
            (
                &["10.0.0.1"],
                true,
                "10.0.0.1",
                &[("x-real-ip", "203.0.113.7"), ("x-real-ip", "203.0.113.8")],
                "10.0.0.1",
            ),
        ];
        for (proxies, real_ip, peer, pairs, expected) in cases {
            let facts = behind(proxies, *real_ip, peer, pairs);
            assert_eq!(facts.client_ip, expected.parse::<IpAddr>().unwrap(), "{peer} {pairs:?}");
        }
    }

    #[test]
    fn only_a_loopback_peer_without_forwarding_headers_is_local() {
        assert!(behind(&[], false, "127.0.0.1", &[]).local_direct);
        assert!(behind(&[], false, "::1", &[]).local_direct);
        assert!(behind(&[], false, "::ffff:127.0.0.1", &[("x-forwarded-user", "ann")]).local_direct);
        assert!(!behind(&[], false, "10.0.0.1", &[]).local_direct);
        for name in FORWARDING {
            let facts = behind(&["127.0.0.1"], false, "127.0.0.1", &[(name, "")]);
            assert!(facts.forwarded && !facts.local_direct, "{name}");
        }
    }

    proptest! {
        /// Whatever a client claims, what the trusted proxy appended decides.
        #[test]
        fn claims_left_of_the_proxys_own_hop_do_not_count(claim in "[ -~]{0,80}", inner in 0usize..4) {
            let hops = ["10.0.0.9"; 4];
            let mut value = format!("{claim}, 203.0.113.7");
            for hop in &hops[..inner] {
                value = format!("{value}, {hop}");
            }
            let facts = behind(&["10.0.0.0/8"], true, "10.0.0.1", &[("x-forwarded-for", &value)]);
            prop_assert_eq!(facts.client_ip, "203.0.113.7".parse::<IpAddr>().unwrap());
        }

        #[test]
        fn the_result_is_never_a_proxy_that_was_walked_over(value in "[0-9a-f:.,\\[\\] ]{0,60}") {
            let facts = behind(&["10.0.0.0/8"], false, "10.0.0.1", &[("x-forwarded-for", &value)]);
            let proxy: IpAddr = "10.0.0.1".parse().unwrap();
            prop_assert!(facts.client_ip == proxy || !facts.client_ip.to_string().starts_with("10."));
        }
    }
}
