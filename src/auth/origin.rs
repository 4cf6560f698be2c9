//! Whether a page from this origin may talk to the gateway.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use url::Url;

use super::client::single;
use crate::base::net;
use crate::config::ResolvedAuth;

/// Why an origin is refused, in the protocol's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginRefusal {
    /// `null`, unreadable, repeated or absent.
    MissingOrInvalid,
    /// Understood and not allowed.
    NotAllowed,
}

impl OriginRefusal {
    /// `details.reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingOrInvalid => "origin missing or invalid",
            Self::NotAllowed => "origin not allowed",
        }
    }
}

/// Whether the request says that it comes from a page.
pub fn is_present(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

/// Judges the `Origin` header. `local`: the caller is direct local, and then pages from this machine pass.
pub fn check(auth: &ResolvedAuth, headers: &HeaderMap, local: bool) -> Result<(), OriginRefusal> {
    let text = single(headers, ORIGIN.as_str())
        .ok_or(OriginRefusal::MissingOrInvalid)?
        .trim();
    let url = Url::parse(text).map_err(|_| OriginRefusal::MissingOrInvalid)?;
    let host = url.host_str().ok_or(OriginRefusal::MissingOrInvalid)?;
    let serialised = url.origin().ascii_serialization().to_ascii_lowercase();
    let sent = text.to_ascii_lowercase();
    let listed = auth
        .allowed_origins
        .iter()
        .any(|allowed| allowed == "*" || *allowed == serialised || *allowed == sent);
    let same_host = auth.host_header_origin_fallback
        && single(headers, HOST.as_str())
            .is_some_and(|value| authority(&url, host) == value.trim().to_ascii_lowercase());
    if listed || same_host || (local && is_loopback_host(host)) {
        Ok(())
    } else {
        Err(OriginRefusal::NotAllowed)
    }
}

/// Whether both `Host` and `Origin` name this machine.
pub fn are_loopback(headers: &HeaderMap) -> bool {
    let origin = single(headers, ORIGIN.as_str())
        .and_then(|text| Url::parse(text.trim()).ok())
        .and_then(|url| url.host_str().map(is_loopback_host));
    let host = single(headers, HOST.as_str())
        .and_then(|text| Url::parse(&format!("http://{}", text.trim())).ok())
        .and_then(|url| url.host_str().map(is_loopback_host));
    origin == Some(true) && host == Some(true)
}

fn authority(url: &Url, host: &str) -> String {
    let host = host.to_ascii_lowercase();
    url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| net::unmapped(address).is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testing::settings;

    fn judged(allowed: &[&str], fallback: bool, local: bool, origin: &str, host: &str) -> Result<(), OriginRefusal> {
        let mut auth = settings();
        auth.allowed_origins = allowed.iter().map(|text| (*text).to_owned()).collect();
        auth.host_header_origin_fallback = fallback;
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers.insert(HOST, host.parse().unwrap());
        check(&auth, &headers, local)
    }

    #[test]
    fn origins_pass_by_list_by_host_or_from_this_machine() {
        use OriginRefusal::{MissingOrInvalid, NotAllowed};
        type Case<'a> = (&'a [&'a str], bool, bool, &'a str, &'a str, Result<(), OriginRefusal>);
        let gw: &[&str] = &["https://gw.example"];
        let cases: &[Case<'_>] = &[
            (gw, false, false, "https://gw.example", "x", Ok(())),
            (gw, false, false, "https://GW.example", "x", Ok(())),
            (gw, false, false, "https://gw.example:443", "x", Ok(())),
            (gw, false, false, "http://gw.example", "x", Err(NotAllowed)),
            (gw, false, false, "https://gw.example.evil", "x", Err(NotAllowed)),
            (
                gw,
                false,
                false,
                "https://gw.example@evil.example",
                "x",
                Err(NotAllowed),
            ),
            (&["*"], false, false, "https://any.example", "x", Ok(())),
            (&["tauri://localhost"], false, false, "tauri://localhost", "x", Ok(())),
            (&["*"], false, false, "null", "x", Err(MissingOrInvalid)),
            (&["*"], false, false, "nonsense", "x", Err(MissingOrInvalid)),
            (&[], true, false, "https://gw.example:8443", "GW.example:8443", Ok(())),
            (
                &[],
                true,
                false,
                "https://gw.example:8443",
                "gw.example",
                Err(NotAllowed),
            ),
            (&[], false, false, "https://gw.example", "gw.example", Err(NotAllowed)),
            (&[], false, true, "http://127.0.0.1:9", "x", Ok(())),
            (&[], false, true, "http://[::1]:9", "x", Ok(())),
            (&[], false, true, "http://localhost:1234", "evil.example", Ok(())),
            (&[], false, false, "http://localhost:1234", "x", Err(NotAllowed)),
            (&[], false, true, "http://127.0.0.1.evil.example", "x", Err(NotAllowed)),
        ];
        for (allowed, fallback, local, origin, host, expected) in cases {
            assert_eq!(
                judged(allowed, *fallback, *local, origin, host),
                *expected,
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn two_origins_are_no_origin() {
        let mut auth = settings();
        auth.allowed_origins = vec!["*".to_owned()];
        let mut headers = HeaderMap::new();
        assert_eq!(check(&auth, &headers, true), Err(OriginRefusal::MissingOrInvalid));
        headers.append(ORIGIN, "https://a.example".parse().unwrap());
        headers.append(ORIGIN, "https://b.example".parse().unwrap());
        assert_eq!(check(&auth, &headers, true), Err(OriginRefusal::MissingOrInvalid));
    }
}
