//! Credentials of a provider in the order in which they are tried.
//!
//! The id, kind and order come from `auth`; the credential itself from there too, or from `auth-profiles.json`, which
//! upstream keeps in the folder of an agent. That file is read, never written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::secrets::SecretTable;
use super::snapshot::{AccountSettings, Issue, RestPolicy};
use super::types::auth::{Auth, AuthProfileMode, Cooldowns};
use crate::base::Secret;

/// A file of credentials is small; anything larger is something else.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Credentials of upstream's file by profile id.
#[derive(Debug, Default)]
pub struct StoredProfiles(BTreeMap<String, Stored>);

#[derive(Debug)]
struct Stored {
    provider: String,
    is_bearer: bool,
    key: Result<Secret, String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    profiles: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access: Option<String>,
}

impl StoredProfiles {
    /// Reads the file of one agent. A file that is not there holds nothing; one that cannot be read is a warning.
    /// `seen` gets the file with the digest of its content, for the watcher.
    pub fn read(
        state_dir: &Path,
        agent: &str,
        seen: &mut Vec<(PathBuf, Option<[u8; 32]>)>,
        warnings: &mut Vec<Issue>,
    ) -> Self {
        let path = state_dir
            .join("agents")
            .join(agent)
            .join("agent")
            .join("auth-profiles.json");
        let bytes = match fs::metadata(&path) {
            Ok(facts) if facts.len() <= MAX_FILE_BYTES => fs::read(&path).map_err(|error| error.to_string()),
            Ok(_) => Err(format!("it is larger than {MAX_FILE_BYTES} bytes")),
            Err(_) => return Self::default(),
        };
        let digest = bytes.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        seen.push((path.clone(), digest));
        let file: Result<File, String> = bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|_| "it is not what upstream writes".to_owned()));
        match file {
            Ok(file) => Self(
                file.profiles
                    .into_iter()
                    .map(|(id, entry)| (id, entry.into()))
                    .collect(),
            ),
            Err(reason) => {
                warnings.push(Issue::warning(
                    "auth.profiles",
                    format!("{} cannot be used: {reason}", path.display()),
                ));
                Self::default()
            }
        }
    }
}

impl From<Entry> for Stored {
    fn from(entry: Entry) -> Self {
        let (key, is_bearer) = match entry.kind.as_str() {
            "oauth" => (entry.access, true),
            "token" => (entry.token, true),
            _ => (entry.key, false),
        };
        Self {
            provider: entry.provider,
            is_bearer,
            key: key
                .filter(|key| !key.trim().is_empty())
                .map(|key| Secret::new(key.trim()))
                .ok_or_else(|| {
                    "auth-profiles.json holds no plain credential for it; set auth.profiles.<id>.apiKey".to_owned()
                }),
        }
    }
}

/// The accounts of `provider`: those that `auth.order` names, then the others by id.
pub fn accounts(
    provider: &str,
    auth: &Auth,
    stored: &StoredProfiles,
    secrets: &SecretTable,
    warnings: &mut Vec<Issue>,
) -> Vec<AccountSettings> {
    let mut ids: Vec<&str> = Vec::new();
    let named = auth.order.iter().filter(|(id, _)| id.eq_ignore_ascii_case(provider));
    let named = named.flat_map(|(_, ids)| ids).map(String::as_str);
    let configured = auth
        .profiles
        .iter()
        .filter(|(_, profile)| profile.provider.eq_ignore_ascii_case(provider));
    let kept = stored
        .0
        .iter()
        .filter(|(_, entry)| entry.provider.eq_ignore_ascii_case(provider));
    for id in named
        .chain(configured.map(|(id, _)| id.as_str()))
        .chain(kept.map(|(id, _)| id.as_str()))
    {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.into_iter()
        .filter_map(|id| account(id, auth, stored, secrets, warnings))
        .collect()
}

/// An account whose credential is not there is left out, with a warning: the others still work.
fn account(
    id: &str,
    auth: &Auth,
    stored: &StoredProfiles,
    secrets: &SecretTable,
    warnings: &mut Vec<Issue>,
) -> Option<AccountSettings> {
    let profile = auth.profiles.get(id);
    let own = match profile.and_then(|profile| profile.api_key.as_ref()) {
        Some(input) => secrets.get(input),
        None => Ok(None),
    };
    let key = match (own, stored.0.get(id)) {
        (Ok(Some(key)), _) => Ok(key),
        (Err(reason), _) => Err(reason),
        (Ok(None), Some(entry)) => entry.key.clone(),
        (Ok(None), None) => Err("there is no credential for it; set auth.profiles.<id>.apiKey".to_owned()),
    };
    match key {
        Ok(key) => Some(AccountSettings {
            profile: id.to_owned(),
            key,
            is_bearer: match profile {
                Some(profile) => profile.mode != AuthProfileMode::ApiKey,
                None => stored.0.get(id).is_some_and(|entry| entry.is_bearer),
            },
        }),
        Err(reason) => {
            warnings.push(Issue::warning(
                format!("auth.profiles.{id}"),
                format!("{reason} The profile is not used."),
            ));
            None
        }
    }
}

/// How long the accounts of `provider` rest.
pub fn rest_policy(provider: &str, cooldowns: &Cooldowns) -> RestPolicy {
    const HOUR: f64 = 3_600.0;
    const MINUTE: f64 = 60.0;
    let time = |value: Option<f64>, default: f64, unit: f64| {
        Duration::try_from_secs_f64(value.unwrap_or(default) * unit).unwrap_or(Duration::from_secs_f64(default * unit))
    };
    let own = cooldowns
        .billing_backoff_hours_by_provider
        .iter()
        .find(|(id, _)| id.eq_ignore_ascii_case(provider))
        .map(|(_, hours)| *hours);
    RestPolicy {
        billing: time(own.or(cooldowns.billing_backoff_hours), 5.0, HOUR),
        billing_max: time(cooldowns.billing_max_hours, 24.0, HOUR),
        withdrawn: time(cooldowns.auth_permanent_backoff_minutes, 10.0, MINUTE),
        withdrawn_max: time(cooldowns.auth_permanent_max_minutes, 60.0, MINUTE),
        window: time(cooldowns.failure_window_hours, 24.0, HOUR),
        overloaded_rotations: cooldowns.overloaded_profile_rotations.unwrap_or(1),
        overloaded_pause: Duration::from_millis(cooldowns.overloaded_backoff_ms.unwrap_or(0)),
        rate_limited_rotations: cooldowns.rate_limited_profile_rotations.unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn auth(value: serde_json::Value) -> Auth {
        serde_json::from_value(value).unwrap()
    }

    fn stored(dir: &Path, content: &str) -> (StoredProfiles, Vec<Issue>) {
        let folder = dir.join("agents/main/agent");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("auth-profiles.json"), content).unwrap();
        let (mut seen, mut warnings) = (Vec::new(), Vec::new());
        let profiles = StoredProfiles::read(dir, "main", &mut seen, &mut warnings);
        assert_eq!(seen.len(), 1);
        (profiles, warnings)
    }

    #[test]
    fn accounts_come_in_the_configured_order_with_credentials_from_both_places() {
        let dir = tempfile::tempdir().unwrap();
        let (stored, warnings) = stored(
            dir.path(),
            &json!({"version": 1, "profiles": {
                "p:a": {"type": "api_key", "provider": "p", "key": "key-a"},
                "p:c": {"type": "oauth", "provider": "p", "access": "tok-c", "refresh": "r", "expires": 1},
                "q:x": {"type": "api_key", "provider": "q", "key": "key-x"},
                "p:ref": {"type": "api_key", "provider": "p", "keyRef": {"source": "env", "id": "X"}},
            }})
            .to_string(),
        );
        assert_eq!(warnings, []);
        let auth = auth(json!({
            "profiles": {
                "p:a": {"provider": "p", "mode": "api_key"},
                "p:b": {"provider": "P", "mode": "token", "apiKey": "key-b"},
                "p:gone": {"provider": "p", "mode": "api_key"},
            },
            "order": {"p": ["p:b", "p:gone"]},
        }));
        let mut warnings = Vec::new();
        let accounts = accounts("p", &auth, &stored, &SecretTable::default(), &mut warnings);
        let shown: Vec<(&str, &str, bool)> = accounts
            .iter()
            .map(|account| (account.profile.as_str(), account.key.expose(), account.is_bearer))
            .collect();
        assert_eq!(
            shown,
            [("p:b", "key-b", true), ("p:a", "key-a", false), ("p:c", "tok-c", true)]
        );
        let paths: Vec<&str> = warnings.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["auth.profiles.p:gone", "auth.profiles.p:ref"]);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_a_warning_and_a_missing_one_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        let mut warnings = Vec::new();
        StoredProfiles::read(dir.path(), "main", &mut seen, &mut warnings);
        assert_eq!((seen.len(), warnings.len()), (0, 0));
        let (_, warnings) = stored(dir.path(), "[1");
        assert_eq!(warnings.len(), 1);
        assert!(!warnings[0].message.contains("[1"));
    }

    #[test]
    fn rests_are_configured_per_provider_or_as_upstream_has_them() {
        let cooldowns: Cooldowns = serde_json::from_value(
            json!({"billingBackoffHoursByProvider": {"P": 0.5}, "rateLimitedProfileRotations": 3}),
        )
        .unwrap();
        let policy = rest_policy("p", &cooldowns);
        assert_eq!(policy.billing, Duration::from_secs(1_800));
        assert_eq!(policy.rate_limited_rotations, 3);
        assert_eq!(rest_policy("q", &cooldowns).billing, Duration::from_secs(5 * 3_600));
    }
}
