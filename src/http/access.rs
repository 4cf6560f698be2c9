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
        tracing::debug!(target: "auth", peer = %peer.ip(), reason = failure.reason, "HTTP request refused");
        Box::new(fault::refused(&failure))
    })?;
    // Without credentials the browser's own word is all that tells a page of somebody else from the user.
    if auth.mode == AuthMode::None && !is_known_page && is_foreign_page(auth, headers) {
        return Err(Box::new(fault::forbidden("cross-site requests are not allowed")));
    }
    if principal.may(scope) {
        Ok(principal)
    } else {
        Err(Box::new(fault::missing_scope(scope)))
    }
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
