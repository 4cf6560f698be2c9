//! Model providers with everything about them resolved.

use std::time::Duration;

use crate::base::Secret;

/// One entry of `models.providers.<id>.models`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelEntry {
    /// The provider's model id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Whether it reasons.
    pub reasoning: bool,
    /// `text`, `image`, ...
    pub input: Vec<String>,
    /// Context window in tokens.
    pub context_window: u64,
    /// Whether somebody stated the window; otherwise it is an assumption.
    pub is_window_known: bool,
    /// Largest answer in tokens.
    pub max_tokens: u64,
    /// USD per million tokens: input, output, cache read, cache write.
    pub cost: [f64; 4],
}

/// A model that is served differently from its provider's others.
#[derive(Debug, Clone)]
pub struct ModelOverride {
    /// The provider's model id.
    pub model: String,
    /// Dialect, if not the provider's.
    pub api: Option<String>,
    /// Base URL, if not the provider's.
    pub base_url: Option<String>,
    /// Headers beside the provider's; these win.
    pub headers: Vec<(String, Secret)>,
}

/// One of several credentials of a provider.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Key of `auth.profiles`.
    pub profile: String,
    /// The credential.
    pub key: Secret,
    /// Whether it goes into `Authorization: Bearer` in every dialect.
    pub is_bearer: bool,
}

/// How long accounts of a provider rest after failures, and how many are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestPolicy {
    /// First rest of an account without credit; doubles.
    pub billing: Duration,
    /// Its longest rest.
    pub billing_max: Duration,
    /// First rest of a credential that was withdrawn; doubles.
    pub withdrawn: Duration,
    /// Its longest rest.
    pub withdrawn_max: Duration,
    /// Failures older than this are forgotten.
    pub window: Duration,
    /// Other accounts tried on overload before the next model.
    pub overloaded_rotations: u32,
    /// Pause before that.
    pub overloaded_pause: Duration,
    /// Other accounts tried on a rate limit before the next model.
    pub rate_limited_rotations: u32,
}

impl Default for RestPolicy {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3_600);
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            billing: 5 * HOUR,
            billing_max: 24 * HOUR,
            withdrawn: 10 * MINUTE,
            withdrawn_max: 60 * MINUTE,
            window: 24 * HOUR,
            overloaded_rotations: 1,
            overloaded_pause: Duration::ZERO,
            rate_limited_rotations: 1,
        }
    }
}

/// A provider with its secrets resolved.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Key of `models.providers`.
    pub id: String,
    /// Base URL without trailing slash.
    pub base_url: String,
    /// Dialect (`openai-completions`, ...), as written.
    pub api: String,
    /// API key; `Err` holds the public reason why it could not be resolved (the provider is then unusable).
    pub api_key: Result<Option<Secret>, String>,
    /// Whether the key goes into `Authorization: Bearer` even where the dialect has a header of its own.
    pub key_is_bearer: bool,
    /// Extra request headers.
    pub headers: Vec<(String, Secret)>,
    /// Idle timeout between chunks; `None`: the default rule (120 s, off for private addresses).
    pub idle_timeout: Option<Duration>,
    /// Configured models.
    pub models: Vec<ModelEntry>,
    /// Models that are served differently from the others.
    pub overrides: Vec<ModelOverride>,
    /// Credentials of `auth.profiles` in the order in which they are tried, before `api_key`.
    pub accounts: Vec<AccountSettings>,
    /// How long they rest.
    pub rest: RestPolicy,
}
