//! What proves a caller without a device: the shared token or password, a trusted proxy, or nothing in mode `none`.

use std::net::SocketAddr;

use http::HeaderMap;

use super::proxy;
use crate::base::Secret;
use crate::config::{AuthMode, ResolvedAuth};
use crate::domain::AuthMethod;

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which one.
    pub method: AuthMethod,
    /// The user named by the trusted proxy.
    pub user: Option<String>,
}

impl Proof {
    /// A proof without a user.
    pub const fn by(method: AuthMethod) -> Self {
        Self { method, user: None }
    }

    /// Whether it is the shared token or password.
    pub const fn is_secret(&self) -> bool {
        matches!(self.method, AuthMethod::Token | AuthMethod::Password)
    }
}

/// A proof that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disproof {
    /// Upstream's name of the reason.
    pub reason: &'static str,
    /// Whether a wrong credential was presented, which counts as a guess.
    pub guessed: bool,
}

impl Disproof {
    const fn without_guess(reason: &'static str) -> Self {
        Self { reason, guessed: false }
    }
}

/// Credentials as presented, trimmed; blank means absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// Tried as token.
    pub token: Option<&'a str>,
    /// Tried as password.
    pub password: Option<&'a str>,
}

impl<'a> Presented<'a> {
    /// Trims both.
    pub fn new(token: Option<&'a str>, password: Option<&'a str>) -> Self {
        Self {
            token: trimmed(token),
            password: trimmed(password),
        }
    }

    /// Whether anything was presented.
    pub const fn any(&self) -> bool {
        self.token.is_some() || self.password.is_some()
    }
}

/// Trims a credential; blank means absent.
pub fn trimmed(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

/// Judges what was presented by the mode in force. `local`: the caller is direct local, and then a trusted-proxy
/// gateway also takes its password.
pub fn judge(
    auth: &ResolvedAuth,
    peer: SocketAddr,
    headers: &HeaderMap,
    local: bool,
    presented: Presented<'_>,
) -> Result<Proof, Disproof> {
    match auth.mode {
        AuthMode::None => Ok(Proof::by(AuthMethod::None)),
        AuthMode::Token => token(auth.token.as_ref(), presented.token),
        AuthMode::Password => password(auth.password.as_ref(), presented.password),
        AuthMode::TrustedProxy => match proxy::user(auth, peer, headers) {
            Ok(user) => Ok(Proof {
                method: AuthMethod::TrustedProxy,
                user: Some(user),
            }),
            Err(_) if local && auth.password.is_some() && presented.password.is_some() => {
                password(auth.password.as_ref(), presented.password)
            }
            Err(reason) => Err(Disproof::without_guess(reason)),
        },
    }
}

fn token(configured: Option<&Secret>, presented: Option<&str>) -> Result<Proof, Disproof> {
    let configured = configured.ok_or(Disproof::without_guess("token_missing_config"))?;
    let presented = presented.ok_or(Disproof::without_guess("token_missing"))?;
    compare(configured, presented, AuthMethod::Token, "token_mismatch")
}

fn password(configured: Option<&Secret>, presented: Option<&str>) -> Result<Proof, Disproof> {
    let configured = configured.ok_or(Disproof::without_guess("password_missing_config"))?;
    let presented = presented.ok_or(Disproof::without_guess("password_missing"))?;
    compare(configured, presented, AuthMethod::Password, "password_mismatch")
}

fn compare(
    configured: &Secret,
    presented: &str,
    method: AuthMethod,
    mismatch: &'static str,
) -> Result<Proof, Disproof> {
    if configured.matches(presented) {
        Ok(Proof::by(method))
    } else {
        Err(Disproof {
            reason: mismatch,
            guessed: true,
        })
    }
}
