//! HTTP and gRPC requests: headers in, principal out. No IO.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::limiter::{FailureLimiter, LimitScope, Subject};
use super::shared::{self, Disproof, Presented, Proof};
use super::{AuthFailure, ClientFacts, client, limits, origin, scopes};
use crate::config::ResolvedAuth;
use crate::domain::{AuthMethod, Principal, Role, ScopeSet};

/// Authenticates a request.
pub fn authenticate(
    limiter: &FailureLimiter,
    auth: &ResolvedAuth,
    peer: SocketAddr,
    headers: &HeaderMap,
) -> Result<Principal, AuthFailure> {
    let facts = client::facts(auth, peer, headers);
    let bearer = bearer(headers);
    let subject = Subject::of(facts.client_ip);
    let proof = shared::judge(auth, peer, headers, facts.local_direct, Presented::new(bearer, bearer))
        .map_err(|disproof| refuse(limiter, auth, &facts, subject.clone(), disproof))?;
    if proof.is_secret() {
        limiter.clear(LimitScope::SharedSecret, subject);
    }
    refuse_foreign_pages(auth, headers, &proof)?;
    let scopes = match scopes::declared(headers) {
        // Only callers whose authority is not a secret may limit themselves.
        Some(names) if !proof.is_secret() => ScopeSet::from_names(&names),
        _ => ScopeSet::operator_default(),
    };
    Ok(Principal {
        role: Role::Operator,
        scopes,
        method: proof.method,
        user: proof.user,
        device: None,
        client_ip: facts.client_ip,
        local_direct: facts.local_direct,
    })
}

/// The one bearer credential. Repeated headers are ambiguous and count as none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = client::single(headers, AUTHORIZATION.as_str())?.trim_start();
    let (scheme, credential) = value.split_once(|c: char| c.is_ascii_whitespace())?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
}

/// Where a browser adds the authority by itself, a page of another site must not use it.
fn refuse_foreign_pages(auth: &ResolvedAuth, headers: &HeaderMap, proof: &Proof) -> Result<(), AuthFailure> {
    let foreign = match proof.method {
        AuthMethod::TrustedProxy => origin::is_present(headers) && origin::check(auth, headers, false).is_err(),
        AuthMethod::None => {
            headers
                .get_all("sec-fetch-site")
                .iter()
                .any(|value| value.as_bytes().eq_ignore_ascii_case(b"cross-site"))
                && origin::check(auth, headers, false).is_err()
        }
        _ => false,
    };
    if foreign {
        return Err(AuthFailure {
            reason: match proof.method {
                AuthMethod::TrustedProxy => "trusted_proxy_origin_not_allowed",
                _ => "cross_site_request",
            },
            retry_after: None,
        });
    }
    Ok(())
}

fn refuse(
    limiter: &FailureLimiter,
    auth: &ResolvedAuth,
    facts: &ClientFacts,
    subject: Subject,
    disproof: Disproof,
) -> AuthFailure {
    let limit = limits(auth);
    // What a proxy on this machine passes on comes from anywhere.
    let exempt = limit.exempt_loopback && facts.local_direct;
    let locked = if disproof.guessed && !exempt {
        limiter.fail(LimitScope::SharedSecret, subject, &limit)
    } else {
        None
    };
    AuthFailure {
        reason: if locked.is_some() {
            "rate_limited"
        } else {
            disproof.reason
        },
        retry_after: locked,
    }
}

#[cfg(test)]
mod tests;
