//! Accounts of providers that rest after failures, over all generations of the registry.
//!
//! An account rests when its own provider refused it: credential, credit, rate limit, overload. Times are wall clock, so
//! that a rest outlives the process. Nobody is refused because of a rest: it only decides who is asked first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use crate::config::RestPolicy;
use crate::domain::model::{CallError, CallErrorClass};

/// Rests after the first, second and every further failure in a row.
const STEPS: [Duration; 3] = [
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Most accounts that are remembered; configurations have a handful.
const MAX_ACCOUNTS: usize = 1_024;

/// Words of a provider that took a credential back for good.
const WITHDRAWN: [&str; 4] = ["revoked", "deactivated", "deleted", "disabled"];

/// Which accounts rest. A cheap clone of a shared handle.
#[derive(Debug, Clone, Default)]
pub struct Cooldowns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    accounts: Mutex<BTreeMap<String, Record>>,
    changed: Notify,
}

/// What is remembered of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    error_count: u32,
    last_failure_at: i64,
    /// End of the rest, ms.
    until: i64,
    reason: String,
    /// The model that a rate limit was about; the others may still be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

impl Record {
    fn rests(&self, model: &str, now_ms: i64) -> bool {
        self.until > now_ms && self.model.as_deref().is_none_or(|limited| limited == model)
    }
}

/// Whether another account of the same provider could fare better.
pub fn is_about_the_account(class: CallErrorClass) -> bool {
    matches!(
        class,
        CallErrorClass::Auth | CallErrorClass::Billing | CallErrorClass::RateLimit | CallErrorClass::Overloaded
    )
}

impl Cooldowns {
    /// When the rest of this account ends, ms; 0 if it does not rest.
    pub fn rests_until(&self, profile: &str, model: &str, now_ms: i64) -> i64 {
        self.with(|accounts| {
            accounts
                .get(profile)
                .filter(|record| record.rests(model, now_ms))
                .map_or(0, |record| record.until)
        })
    }

    /// A call failed. The account rests if the failure is about it; a rest that runs is not made longer.
    pub fn failed(&self, profile: &str, model: &str, error: &CallError, policy: &RestPolicy, now_ms: i64) {
        if !is_about_the_account(error.class) {
            return;
        }
        let is_new = self.with(|accounts| {
            if !accounts.contains_key(profile) && accounts.len() >= MAX_ACCOUNTS {
                return false;
            }
            let record = accounts.entry(profile.to_owned()).or_default();
            if record.rests(model, now_ms) {
                return false;
            }
            if now_ms.saturating_sub(record.last_failure_at) > millis(policy.window) {
                record.error_count = 0;
            }
            record.error_count = record.error_count.saturating_add(1);
            record.last_failure_at = now_ms;
            record.until = now_ms.saturating_add(millis(rest(error, record.error_count, policy)));
            record.reason = error.class.as_str().to_owned();
            record.model = (error.class == CallErrorClass::RateLimit).then(|| model.to_owned());
            true
        });
        if is_new {
            tracing::warn!(target: "models", profile, model, reason = error.class.as_str(), "an account of a provider rests");
            self.0.changed.notify_one();
        }
    }

    /// A call succeeded: earlier failures are forgotten.
    pub fn succeeded(&self, profile: &str) {
        if self.with(|accounts| accounts.remove(profile)).is_some() {
            self.0.changed.notify_one();
        }
    }

    /// Waits until something changed since the last wait.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Everything that is remembered, by profile id.
    pub fn records(&self) -> Vec<(String, Value)> {
        self.with(|accounts| {
            accounts
                .iter()
                .filter_map(|(profile, record)| Some((profile.clone(), serde_json::to_value(record).ok()?)))
                .collect()
        })
    }

    /// Takes up what an earlier process remembered. What makes no sense is left out.
    pub fn restore(&self, records: Vec<(String, Value)>) {
        self.with(|accounts| {
            for (profile, record) in records.into_iter().take(MAX_ACCOUNTS) {
                if let Ok(record) = serde_json::from_value(record) {
                    accounts.insert(profile, record);
                }
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Record>) -> T) -> T {
        work(&mut self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn rest(error: &CallError, failures: u32, policy: &RestPolicy) -> Duration {
    let doubled = |base: Duration, most: Duration| {
        let doublings = failures.saturating_sub(1).min(16);
        base.saturating_mul(1 << doublings).min(most)
    };
    match error.class {
        CallErrorClass::Billing => doubled(policy.billing, policy.billing_max),
        CallErrorClass::Auth if is_withdrawn(&error.message) => doubled(policy.withdrawn, policy.withdrawn_max),
        _ => {
            let [first, second, further] = STEPS;
            let step = match failures {
                0 | 1 => first,
                2 => second,
                _ => further,
            };
            // A provider that names a longer pause is believed, within reason.
            step.max(error.retry_after.unwrap_or_default().min(policy.billing_max))
        }
    }
}

fn is_withdrawn(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    WITHDRAWN.iter().any(|word| message.contains(word))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::failure::call_error;

    fn error(class: CallErrorClass) -> CallError {
        call_error(class, "no")
    }

    fn rest_of(cooldowns: &Cooldowns, error: &CallError, now_ms: i64) -> i64 {
        cooldowns.failed("p:a", "m", error, &RestPolicy::default(), now_ms);
        cooldowns.rests_until("p:a", "m", now_ms) - now_ms
    }

    #[test]
    fn rests_grow_with_failures_and_a_running_one_is_not_extended() {
        let cooldowns = Cooldowns::default();
        let error = error(CallErrorClass::Auth);
        assert_eq!(rest_of(&cooldowns, &error, 1_000), 30_000);
        assert_eq!(rest_of(&cooldowns, &error, 11_000), 20_000);
        assert_eq!(rest_of(&cooldowns, &error, 40_000), 60_000);
        assert_eq!(rest_of(&cooldowns, &error, 200_000), 300_000);
        assert_eq!(rest_of(&cooldowns, &error, 900_000), 300_000);
        let next_week = 7 * 24 * 3_600_000;
        assert_eq!(rest_of(&cooldowns, &error, next_week), 30_000);
        cooldowns.succeeded("p:a");
        assert_eq!(cooldowns.rests_until("p:a", "m", next_week + 1), 0);
    }

    #[test]
    fn credit_and_withdrawn_credentials_rest_longer_and_others_failures_not_at_all() {
        assert_eq!(
            rest_of(&Cooldowns::default(), &error(CallErrorClass::Billing), 0),
            5 * 3_600_000
        );
        let revoked = call_error(CallErrorClass::Auth, "This key was Revoked");
        assert_eq!(rest_of(&Cooldowns::default(), &revoked, 0), 600_000);
        for class in [
            CallErrorClass::Server,
            CallErrorClass::Network,
            CallErrorClass::BadRequest,
        ] {
            assert_eq!(rest_of(&Cooldowns::default(), &error(class), 0), 0);
        }
    }

    #[test]
    fn a_rate_limit_is_about_one_model_and_its_pause_is_believed() {
        let cooldowns = Cooldowns::default();
        let mut limited = error(CallErrorClass::RateLimit);
        limited.retry_after = Some(Duration::from_secs(120));
        assert_eq!(rest_of(&cooldowns, &limited, 0), 120_000);
        assert_eq!(cooldowns.rests_until("p:a", "other", 0), 0);
    }

    #[test]
    fn what_one_process_remembers_the_next_one_takes_up() {
        let first = Cooldowns::default();
        rest_of(&first, &error(CallErrorClass::Billing), 5);
        let second = Cooldowns::default();
        second.restore(first.records());
        second.restore(vec![("x".into(), Value::from(3))]);
        assert_eq!(second.records(), first.records());
        assert!(second.rests_until("p:a", "m", 6) > 6);
    }
}
