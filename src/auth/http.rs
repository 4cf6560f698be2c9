//! HTTP and gRPC: one decision per request, no IO.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::facts::{client_facts, is_in, plain, single};
use super::limiter::{DEFAULT, Limiter};
use super::origin::{self, Verdict};
use super::{AuthFailure, ClientFacts};
use crate::base::Secret;
use crate::config::{AuthMode, RateLimit, ResolvedAuth, TrustedProxy};
use crate::domain::{AuthMethod, Principal, Role, ScopeSet};

/// The bearer credential. Repeated `Authorization` headers count as a wrong one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = single(headers, AUTHORIZATION.as_str())?;
    let (scheme, credential) = value.split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty()).then_some(credential)
}

fn failure(reason: &'static str) -> AuthFailure {
    AuthFailure {
        reason,
        retry_after: None,
    }
}

/// The limit for a caller: what configuration says, else the default for callers from elsewhere.
fn limit_for(auth: &ResolvedAuth, facts: ClientFacts) -> Option<RateLimit> {
    let limit = auth.rate_limit.unwrap_or(DEFAULT);
    let exempt = limit.exempt_loopback && facts.client_ip.is_loopback();
    (!exempt).then_some(limit)
}

pub(super) fn authenticate(
    limiter: &Limiter,
    auth: &ResolvedAuth,
    peer: SocketAddr,
    headers: &HeaderMap,
) -> Result<Principal, AuthFailure> {
    let facts = client_facts(auth, peer, headers);
    match auth.mode {
        AuthMode::None => Ok(principal(facts, AuthMethod::None, declared_scopes(headers), None)),
        AuthMode::Token => {
            let reasons = ["token_missing_config", "token_missing", "token_mismatch"];
            shared(
                limiter,
                auth,
                facts,
                headers,
                auth.token.as_ref(),
                AuthMethod::Token,
                reasons,
            )
        }
        AuthMode::Password => {
            let reasons = ["password_missing_config", "password_missing", "password_mismatch"];
            shared(
                limiter,
                auth,
                facts,
                headers,
                auth.password.as_ref(),
                AuthMethod::Password,
                reasons,
            )
        }
        AuthMode::TrustedProxy => match proxy_user(auth, peer, headers) {
            Ok(user) => match origin::judge(auth, headers, false) {
                Verdict::Absent | Verdict::Allowed => Ok(principal(
                    facts,
                    AuthMethod::TrustedProxy,
                    declared_scopes(headers),
                    Some(user),
                )),
                Verdict::NotAllowed | Verdict::Invalid => Err(failure("trusted_proxy_origin_not_allowed")),
            },
            // A person on this machine may use the password where the proxy does not reach.
            Err(_) if facts.local_direct && auth.password.is_some() && bearer(headers).is_some() => {
                let reasons = ["password_missing_config", "password_missing", "password_mismatch"];
                shared(
                    limiter,
                    auth,
                    facts,
                    headers,
                    auth.password.as_ref(),
                    AuthMethod::Password,
                    reasons,
                )
            }
            Err(reason) => Err(failure(reason)),
        },
    }
}

fn shared(
    limiter: &Limiter,
    auth: &ResolvedAuth,
    facts: ClientFacts,
    headers: &HeaderMap,
    secret: Option<&Secret>,
    method: AuthMethod,
    [unset, missing, mismatch]: [&'static str; 3],
) -> Result<Principal, AuthFailure> {
    let secret = secret.ok_or_else(|| failure(unset))?;
    let Some(given) = bearer(headers) else {
        return Err(failure(if headers.contains_key(AUTHORIZATION) {
            mismatch
        } else {
            missing
        }));
    };
    let key = format!("shared-secret:{}", facts.client_ip);
    // A right credential passes even while its address is locked: somebody behind the same address may be guessing.
    if secret.matches(given) {
        limiter.succeed(&key);
        return Ok(principal(facts, method, ScopeSet::operator_default(), None));
    }
    let Some(limit) = limit_for(auth, facts) else {
        return Err(failure(mismatch));
    };
    if let Some(left) = limiter.locked(&key) {
        return Err(AuthFailure {
            reason: "rate_limited",
            retry_after: Some(left),
        });
    }
    limiter.fail(&key, &limit);
    Err(failure(mismatch))
}

/// The user that the proxy names, if everything about it is in order.
pub(super) fn proxy_user(auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<String, &'static str> {
    let Some(TrustedProxy {
        user_header,
        required_headers,
        allow_users,
        allow_loopback,
    }) = &auth.trusted_proxy
    else {
        return Err("trusted_proxy_config_missing");
    };
    if auth.trusted_proxies.is_empty() {
        return Err("trusted_proxy_no_proxies_configured");
    }
    if !is_in(&auth.trusted_proxies, peer.ip()) {
        return Err("trusted_proxy_untrusted_source");
    }
    if plain(peer.ip()).is_loopback() && !allow_loopback {
        return Err("trusted_proxy_loopback_source");
    }
    if required_headers.iter().any(|name| single(headers, name).is_none()) {
        return Err("trusted_proxy_missing_header");
    }
    // A second value of the user header means that somebody in front of the proxy added one.
    let user = single(headers, user_header).ok_or("trusted_proxy_user_missing")?;
    if !allow_users.is_empty() && !allow_users.iter().any(|allowed| allowed == user) {
        return Err("trusted_proxy_user_not_allowed");
    }
    Ok(user.to_owned())
}

/// `x-openclaw-scopes`: exactly the listed scopes; absent: the default ones.
fn declared_scopes(headers: &HeaderMap) -> ScopeSet {
    let mut values = headers.get_all("x-openclaw-scopes").iter().peekable();
    if values.peek().is_none() {
        return ScopeSet::operator_default();
    }
    let names: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    ScopeSet::from_names(&names)
}

fn principal(facts: ClientFacts, method: AuthMethod, scopes: ScopeSet, user: Option<String>) -> Principal {
    Principal {
        role: Role::Operator,
        scopes,
        method,
        user,
        device: None,
        client_ip: facts.client_ip,
        local_direct: facts.local_direct,
    }
}
