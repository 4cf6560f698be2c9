//! What peer and headers say about a caller: address, locality. Pure.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use ipnet::IpNet;

use super::ClientFacts;
use crate::config::ResolvedAuth;

/// Headers that say "somebody forwarded this"; their value does not matter.
const FORWARDING: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
];

/// An IPv4 address that came in IPv6 clothes is an IPv4 address.
pub(super) fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

pub(super) fn is_in(blocks: &[IpNet], ip: IpAddr) -> bool {
    let ip = plain(ip);
    blocks.iter().any(|block| block.contains(&ip))
}

/// A header that may occur once; more than one is as bad as none.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

pub(super) fn client_facts(auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts {
    let peer_ip = plain(peer.ip());
    let forwarded = FORWARDING.iter().any(|name| headers.contains_key(*name));
    ClientFacts {
        client_ip: client_ip(auth, peer_ip, headers),
        local_direct: peer_ip.is_loopback() && !forwarded,
        forwarded,
    }
}

/// The nearest address that is not one of our proxies, read from the right; only a trusted peer is believed.
fn client_ip(auth: &ResolvedAuth, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !is_in(&auth.trusted_proxies, peer) {
        return peer;
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for hop in hops.iter().rev() {
        let Some(ip) = parse_hop(hop) else { break };
        if !ip.is_loopback() && !is_in(&auth.trusted_proxies, ip) {
            return ip;
        }
    }
    if auth.allow_real_ip_fallback
        && let Some(ip) = single(headers, "x-real-ip").and_then(parse_hop)
    {
        return ip;
    }
    peer
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]:80`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let ip = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(plain(ip))
}

/// Host part of an `Origin` or `Host` value, without port, lower case.
pub(super) fn host_of(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

pub(super) fn is_loopback_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| plain(ip).is_loopback())
}

fn is_private_host(host: &str) -> bool {
    is_loopback_host(host)
        || host.parse::<IpAddr>().is_ok_and(|ip| match plain(ip) {
            IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        })
}

/// Where a WebSocket client sits, as far as pairing cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locality {
    /// Loopback peer, nothing forwarded.
    DirectLocal,
    /// The local command line or another local program with the shared secret.
    SecretLocal,
    /// The Control UI in a browser next to a containerised gateway.
    BrowserLocal,
    /// Everything else.
    Remote,
}

/// Locality of a client; `secret_ok`: it presented the right shared secret.
pub(super) fn locality(
    facts: ClientFacts,
    peer: SocketAddr,
    headers: &HeaderMap,
    control_ui: bool,
    secret_ok: bool,
) -> Locality {
    if facts.local_direct {
        return Locality::DirectLocal;
    }
    if facts.forwarded || !secret_ok {
        return Locality::Remote;
    }
    let host = single(headers, HOST.as_str()).and_then(host_of);
    let origin = single(headers, ORIGIN.as_str()).and_then(host_of);
    let peer_ip = plain(peer.ip());
    let host_is = |test: fn(&str) -> bool| host.as_deref().is_some_and(test);
    if control_ui
        && origin.as_deref().is_some_and(is_loopback_host)
        && host_is(is_loopback_host)
        && is_private_host(&peer_ip.to_string())
    {
        return Locality::BrowserLocal;
    }
    if !headers.contains_key(ORIGIN) && peer_ip.is_loopback() && host_is(is_private_host) {
        return Locality::SecretLocal;
    }
    Locality::Remote
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_out_of_origins_and_host_headers() {
        for (text, host) in [
            ("http://127.0.0.1:18789", "127.0.0.1"),
            ("https://GW.example", "gw.example"),
            ("[::1]:80", "::1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(host_of(text).as_deref(), Some(host), "{text}");
        }
        assert!(!is_loopback_host("127.0.0.1.evil.example"));
    }

    #[test]
    fn hops_parse_with_and_without_port() {
        for text in ["203.0.113.7", "203.0.113.7:99", "::ffff:203.0.113.7"] {
            assert_eq!(parse_hop(text), Some("203.0.113.7".parse().unwrap()), "{text}");
        }
        assert_eq!(parse_hop("unknown"), None);
    }
}
