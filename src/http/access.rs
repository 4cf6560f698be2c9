//! Who may come in: authentication, scopes, and the defence against other people's web pages.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, Response, header};

use super::{Body, fault};
use crate::auth::{AuthFailure, Authenticator, ClientFacts};
use crate::config::{AuthMode, ResolvedAuth};
use crate::domain::{Principal, Scope};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The part of the authenticator that this surface needs.
pub trait Gatekeeper: Send + Sync {
    /// What peer and headers say about the caller.
    fn facts(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts;

    /// Authenticates a request. Failures are counted.
    fn admit(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<Principal, AuthFailure>;
}

impl Gatekeeper for Authenticator {
    fn facts(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts {
        Self::client_facts(auth, peer, headers)
    }

    fn admit(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<Principal, AuthFailure> {
        self.http(auth, peer, headers)
    }
}

/// The caller, if it may do what needs `scope`; else the response that says why not. `is_known_page`: the request comes
/// from a web page that this route is open to.
pub(super) fn authorize(
    gate: &dyn Gatekeeper,
    auth: &ResolvedAuth,
    peer: SocketAddr,
    headers: &HeaderMap,
    is_known_page: bool,
    scope: Scope,
) -> Result<Principal, Box<Response<Body>>> {
    let principal = gate.admit(auth, peer, headers).map_err(|failure| {
        tracing::debug!(
            target: "auth",
            client_ip = %gate.facts(auth, peer, headers).client_ip,
            peer = %peer.ip(),
            reason = failure.reason,
            "HTTP request refused"
        );
        Box::new(fault::refused(&failure))
    })?;
    if auth.mode == AuthMode::None {
        if !is_known_host(auth, headers) {
            return Err(Box::new(fault::forbidden(
                "requests under this host name are not allowed without credentials; \
                 add its origin to gateway.controlUi.allowedOrigins",
            )));
        }
        // Without credentials the browser's own word is all that tells a page of somebody else from the user.
        if !is_known_page && is_foreign_page(auth, headers) {
            return Err(Box::new(fault::forbidden("cross-site requests are not allowed")));
        }
    }
    if principal.may(scope) {
        Ok(principal)
    } else {
        Err(Box::new(fault::missing_scope(scope)))
    }
}

/// Whether the request was sent to an address, to a name that nobody can own on the internet, or to one that
/// configuration lists. Any other name may be one that a foreign page was loaded from and that now points here, and then
/// the browser finds nothing foreign about the page.
fn is_known_host(auth: &ResolvedAuth, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        // HTTP/2 clients that name an authority are no browsers: browsers speak HTTP/2 only over TLS.
        return !headers.contains_key(header::HOST);
    };
    let Some(host) = host.to_str().ok().map(str::to_ascii_lowercase) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let listed = |allowed: &String| {
        allowed == "*"
            || allowed
                .split_once("://")
                .is_some_and(|(_, allowed)| allowed == host || allowed == name)
    };
    (!bare.is_empty() && !bare.contains('.'))
        || [".localhost", ".internal"].iter().any(|suffix| bare.ends_with(suffix))
        || bare.parse::<std::net::IpAddr>().is_ok()
        || auth.allowed_origins.iter().any(listed)
}

/// Whether a browser sent this on behalf of a page of another site.
fn is_foreign_page(auth: &ResolvedAuth, headers: &HeaderMap) -> bool {
    let allowed = |origin: &str| {
        let origin = origin.to_ascii_lowercase();
        auth.allowed_origins
            .iter()
            .any(|allowed| allowed == "*" || *allowed == origin)
    };
    let origin = headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or("null"));
    match origin {
        Some(origin) if allowed(origin) => false,
        Some(origin) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let of_origin = origin.split_once("://").map(|(_, host)| host);
            !host
                .zip(of_origin)
                .is_some_and(|(host, of_origin)| host.eq_ignore_ascii_case(of_origin))
        }
        None => headers
            .get(&FETCH_SITE)
            .is_some_and(|site| site.as_bytes() == b"cross-site"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::health::fixtures::auth;

    fn foreign(pairs: &[(HeaderName, &'static str)]) -> bool {
        let mut settings = auth(AuthMode::None);
        settings.allowed_origins.push("https://chat.example".to_owned());
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        is_foreign_page(&settings, &headers)
    }

    #[test]
    fn without_credentials_only_names_of_this_machine_and_listed_ones_are_answered() {
        let mut settings = auth(AuthMode::None);
        settings.allowed_origins.push("https://chat.example".to_owned());
        let known = |hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, HeaderValue::from_static(host));
            }
            is_known_host(&settings, &headers)
        };
        for host in [
            "127.0.0.1:18789",
            "localhost:1",
            "LOCALHOST",
            "app.localhost:5",
            "[::1]:18789",
            "gateway:18789",
            "host.docker.internal:18789",
            "192.168.1.5",
            "chat.example",
            "Chat.example:443",
        ] {
            assert!(known(&[host]), "{host}");
        }
        for host in [
            "evil.example:18789",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "",
            "internal.example",
        ] {
            assert!(!known(&[host]), "{host}");
        }
        assert!(known(&[]));
        assert!(!known(&["127.0.0.1", "evil.example"]));
    }

    #[test]
    fn pages_of_other_sites_are_recognised_and_programs_are_not_pages() {
        assert!(!foreign(&[]));
        assert!(!foreign(&[
            (header::ORIGIN, "http://127.0.0.1:1"),
            (header::HOST, "127.0.0.1:1")
        ]));
        assert!(!foreign(&[
            (header::ORIGIN, "https://Chat.example"),
            (header::HOST, "h")
        ]));
        assert!(foreign(&[
            (header::ORIGIN, "https://evil.example"),
            (header::HOST, "127.0.0.1:1")
        ]));
        assert!(foreign(&[(header::ORIGIN, "null"), (header::HOST, "127.0.0.1:1")]));
        assert!(foreign(&[(FETCH_SITE, "cross-site")]));
        assert!(!foreign(&[(FETCH_SITE, "none")]));
    }
}
