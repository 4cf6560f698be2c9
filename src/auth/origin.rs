//! Which web pages may talk to the gateway. Pure.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use super::facts::{host_of, is_loopback_host, single};
use crate::config::ResolvedAuth;

/// The judgement about an `Origin` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not sent by a page.
    Absent,
    /// The page may.
    Allowed,
    /// The page may not.
    NotAllowed,
    /// `null`, repeated or unreadable.
    Invalid,
}

/// Judges the request's origin. `loopback_ok`: a page on this machine may, because the caller is local.
pub(super) fn judge(auth: &ResolvedAuth, headers: &HeaderMap, loopback_ok: bool) -> Verdict {
    if !headers.contains_key(ORIGIN) {
        return Verdict::Absent;
    }
    let Some(origin) = single(headers, ORIGIN.as_str()).map(str::to_ascii_lowercase) else {
        return Verdict::Invalid;
    };
    let is_web = origin.starts_with("http://") || origin.starts_with("https://");
    let Some(host) = host_of(&origin).filter(|_| is_web) else {
        return Verdict::Invalid;
    };
    let listed = auth
        .allowed_origins
        .iter()
        .any(|allowed| allowed == "*" || *allowed == origin);
    let same_host = || {
        auth.host_header_origin_fallback
            && single(headers, HOST.as_str())
                .is_some_and(|own| Some(own.to_ascii_lowercase().as_str()) == authority(&origin))
    };
    if listed || same_host() || (loopback_ok && is_loopback_host(&host)) {
        Verdict::Allowed
    } else {
        Verdict::NotAllowed
    }
}

fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, rest)| rest)
}
