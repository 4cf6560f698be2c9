//! What is remembered of a device, and how a record changes when an ask is approved. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::auth::scopes;
use crate::base::{DeviceId, Secret};
use crate::domain::Role;
use crate::wire::device::normal_metadata;

/// More scopes than anybody asks for in earnest.
const MAX_ABSORBED_SCOPES: usize = 64;

/// What a device says about itself and asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// The device.
    pub device_id: DeviceId,
    /// Its public key, base64url.
    pub public_key: String,
    /// `client.displayName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `client.platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// `client.deviceFamily`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// `client.mode`.
    pub client_mode: String,
    /// The role of the latest ask.
    pub role: String,
    /// All roles that approval grants.
    pub roles: Vec<String>,
    /// All scopes that approval grants.
    pub scopes: Vec<String>,
    /// Where it connected from, if not from this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
}

impl Ask {
    /// Whether approving `self` would also grant `other`.
    pub fn includes(&self, other: &Self) -> bool {
        other.roles.iter().all(|role| self.roles.contains(role))
            && other.scopes.iter().all(|scope| self.scopes.contains(scope))
            && self.public_key == other.public_key
            && same_metadata(self.platform.as_deref(), other.platform.as_deref())
            && same_metadata(self.device_family.as_deref(), other.device_family.as_deref())
    }

    /// Adds what an earlier, still open ask of the device wanted, unless that grows without end.
    pub fn absorb(&mut self, earlier: &Self) {
        let scopes = scopes::union(&earlier.scopes, &self.scopes);
        if scopes.len() <= MAX_ABSORBED_SCOPES {
            self.roles = scopes::union(&earlier.roles, &self.roles);
            self.scopes = scopes;
        }
    }
}

/// An ask that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingRequest {
    /// Names it in `device.pair.approve` and `reject`.
    pub request_id: String,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
    /// Always false: what is approved silently never waits.
    pub silent: bool,
    /// Whether the device was paired before.
    pub is_repair: bool,
    /// When it was made, ms.
    pub ts: i64,
}

/// Token of a device for one role.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceToken {
    token: String,
    /// What it grants, sorted.
    pub scopes: Vec<String>,
    /// First issue, ms.
    pub created_at_ms: i64,
    /// Latest issue, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<i64>,
    /// When it was revoked, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<i64>,
    /// When it last let the device in, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<i64>,
}

impl DeviceToken {
    /// A token that replaces `old`, if there is one.
    pub fn issue(old: Option<&Self>, scopes: Vec<String>, now_ms: i64) -> Self {
        Self {
            token: random_token(),
            scopes,
            created_at_ms: old.map_or(now_ms, |old| old.created_at_ms),
            rotated_at_ms: old.map(|_| now_ms),
            revoked_at_ms: None,
            last_used_at_ms: old.and_then(|old| old.last_used_at_ms),
        }
    }

    /// The token itself, for its device only.
    pub fn expose(&self) -> &str {
        &self.token
    }

    /// Whether it is in force.
    pub const fn is_valid(&self) -> bool {
        self.revoked_at_ms.is_none()
    }

    /// Whether `candidate` is this token, in constant time.
    pub fn matches(&self, candidate: &str) -> bool {
        self.is_valid() && Secret::new(self.token.as_str()).matches(candidate)
    }

    /// When the present token was issued, ms.
    pub fn issued_at_ms(&self) -> i64 {
        self.rotated_at_ms.unwrap_or(self.created_at_ms)
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceToken")
            .field("scopes", &self.scopes)
            .field("revoked_at_ms", &self.revoked_at_ms)
            .finish_non_exhaustive()
    }
}

/// 43 characters base64url.
fn random_token() -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A device that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    /// What was approved; roles and scopes are those of all approvals together.
    #[serde(flatten)]
    pub ask: Ask,
    /// First approval, ms.
    pub created_at_ms: i64,
    /// Latest approval, ms.
    pub approved_at_ms: i64,
    /// Whether no person ever approved it.
    #[serde(default)]
    pub silent: bool,
    /// Tokens by role.
    pub tokens: BTreeMap<String, DeviceToken>,
}

impl PairedDevice {
    /// The record after `ask` is approved.
    ///
    /// Scopes of a role whose token was revoked are not carried over: a new approval grants what it names, not what was
    /// taken away.
    pub fn approve(existing: Option<&Self>, ask: &Ask, silent: bool, now_ms: i64) -> Self {
        let mut merged = ask.clone();
        let mut tokens = BTreeMap::new();
        if let Some(known) = existing {
            merged.roles = scopes::union(&known.ask.roles, &ask.roles);
            merged.scopes = scopes::union(&known.effective_scopes(), &ask.scopes);
            merged.display_name = merged.display_name.or_else(|| known.ask.display_name.clone());
            merged.platform = merged.platform.or_else(|| known.ask.platform.clone());
            merged.device_family = merged.device_family.or_else(|| known.ask.device_family.clone());
            merged.remote_ip = merged.remote_ip.or_else(|| known.ask.remote_ip.clone());
            tokens.clone_from(&known.tokens);
        }
        for role in ask.roles.iter().filter_map(|name| Role::parse(name)) {
            let scopes = scopes::of_token(role, &merged.scopes);
            let old = tokens.get(role.as_str());
            if !old.is_some_and(|token| token.is_valid() && token.scopes == scopes) {
                let token = DeviceToken::issue(old, scopes, now_ms);
                tokens.insert(role.as_str().to_owned(), token);
            }
        }
        Self {
            ask: merged,
            created_at_ms: existing.map_or(now_ms, |known| known.created_at_ms),
            approved_at_ms: now_ms,
            silent: silent && existing.is_none_or(|known| known.silent),
            tokens,
        }
    }

    /// Approved scopes of the roles that are in force.
    fn effective_scopes(&self) -> Vec<String> {
        self.ask
            .scopes
            .iter()
            .filter(|scope| self.token(scopes::role_of(scope)).is_some())
            .cloned()
            .collect()
    }

    /// The token in force for `role`; none means that the role is not effective.
    pub fn token(&self, role: Role) -> Option<&DeviceToken> {
        self.tokens.get(role.as_str()).filter(|token| token.is_valid())
    }

    /// Whether platform and family are those that were approved. What was never said is not compared.
    pub fn has_metadata_of(&self, ask: &Ask) -> bool {
        let pinned = |known: Option<&str>, said: Option<&str>| {
            known.is_none_or(|known| known.trim().is_empty()) || same_metadata(known, said)
        };
        pinned(self.ask.platform.as_deref(), ask.platform.as_deref())
            && pinned(self.ask.device_family.as_deref(), ask.device_family.as_deref())
    }

    /// When it was last seen or approved, ms.
    pub fn last_active_ms(&self) -> i64 {
        self.tokens
            .values()
            .filter_map(|token| token.last_used_at_ms)
            .fold(self.approved_at_ms, i64::max)
    }
}

fn same_metadata(one: Option<&str>, other: Option<&str>) -> bool {
    canonical(one) == canonical(other)
}

/// Clients of different releases name the same system differently.
fn canonical(value: Option<&str>) -> String {
    let value = normal_metadata(value.unwrap_or_default());
    match value.as_str() {
        "darwin" => "macos".to_owned(),
        "win32" => "windows".to_owned(),
        _ => value,
    }
}
