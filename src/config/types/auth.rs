//! `auth`: several credentials per provider.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretInput;

/// Several credentials per provider, and how long one that failed rests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Auth {
    /// Credentials by id, usually `provider:name`.
    pub profiles: BTreeMap<String, AuthProfile>,
    /// Ids by provider, in the order in which they are tried; those that are not named come after.
    pub order: BTreeMap<String, Vec<String>>,
    /// How long a credential rests after failures.
    pub cooldowns: Cooldowns,
}

/// One credential.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthProfile {
    /// Key of `models.providers`.
    pub provider: String,
    /// Kind of credential.
    pub mode: AuthProfileMode,
    /// The credential; absent: it is in the agent's `auth-profiles.json`.
    #[serde(default)]
    pub api_key: Option<SecretInput>,
    /// Whose it is.
    #[serde(default)]
    pub email: Option<String>,
    /// How it is shown.
    #[serde(default)]
    pub display_name: Option<String>,
}

/// Kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthProfileMode {
    /// A key.
    ApiKey,
    /// A token that is refreshed elsewhere.
    Oauth,
    /// A bearer token.
    Token,
}

/// How long a credential rests after failures.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cooldowns {
    /// First rest of an account without credit, hours; absent: 5.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub billing_backoff_hours: Option<f64>,
    /// The same for single providers.
    pub billing_backoff_hours_by_provider: BTreeMap<String, f64>,
    /// Longest rest of an account without credit, hours; absent: 24.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub billing_max_hours: Option<f64>,
    /// First rest of a credential that was withdrawn, minutes; absent: 10.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub auth_permanent_backoff_minutes: Option<f64>,
    /// Longest rest of a credential that was withdrawn, minutes; absent: 60.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub auth_permanent_max_minutes: Option<f64>,
    /// Failures older than this are forgotten, hours; absent: 24.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub failure_window_hours: Option<f64>,
    /// How many other credentials are tried on overload before the next model; absent: 1.
    pub overloaded_profile_rotations: Option<u32>,
    /// Pause before another credential is tried on overload, ms; absent: 0.
    pub overloaded_backoff_ms: Option<u64>,
    /// How many other credentials are tried on a rate limit before the next model; absent: 1.
    pub rate_limited_profile_rotations: Option<u32>,
}
