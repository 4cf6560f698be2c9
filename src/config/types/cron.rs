//! `cron`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretInput;
use super::session::AmountOrFalse;

/// Scheduled jobs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cron {
    /// Whether jobs run.
    pub enabled: bool,
    /// Jobs at the same time.
    #[schemars(range(min = 1))]
    pub max_concurrent_runs: Option<u32>,
    /// Repetition of failed jobs.
    pub retry: CronRetry,
    /// URL that gets the result of jobs that ask for it.
    pub webhook: Option<String>,
    /// Bearer token for that URL.
    pub webhook_token: Option<SecretInput>,
    /// How long sessions of jobs are kept, `24h`; `false`: for ever.
    pub session_retention: Option<AmountOrFalse>,
}

impl Default for Cron {
    fn default() -> Self {
        Self {
            enabled: true,
            max_concurrent_runs: None,
            retry: CronRetry::default(),
            webhook: None,
            webhook_token: None,
            session_retention: None,
        }
    }
}

/// Repetition of failed jobs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CronRetry {
    /// Most repetitions; absent: 3.
    #[schemars(range(min = 0, max = 10))]
    pub max_attempts: Option<u32>,
    /// Pauses, ms; absent: 30 s, 1 min, 5 min.
    pub backoff_ms: Option<Vec<u64>>,
    /// What is repeated; absent: all of these.
    pub retry_on: Option<Vec<RetryOn>>,
}

/// Failure that is worth a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// Too many requests.
    RateLimit,
    /// The provider has no capacity.
    Overloaded,
    /// No connection.
    Network,
    /// No answer in time.
    Timeout,
    /// The provider failed.
    ServerError,
}
