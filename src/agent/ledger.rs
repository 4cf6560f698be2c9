//! What agents use and spend, per day in UTC: kept in memory, written to the store, and held against the limits of
//! configuration before a run is accepted.
//!
//! Prices come from the models' `cost`. A run is counted when it ends, so runs that work at the same time can together
//! overshoot a limit by what they cost. Where a limit is set, a run's cost is on disk before its end is reported;
//! elsewhere it is written within a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::AgentId;
use crate::config::Snapshot;
use crate::domain::model::Usage;
use crate::domain::{Fault, FaultKind};
use crate::lifecycle::{Lifecycle, Phase};
use crate::store::{Store, StoreError};

/// Collection of the store: one document per agent and day, key `YYYY-MM-DD/<agent>`.
pub const COLLECTION: &str = "usage";
const DAY_MS: i64 = 86_400_000;
/// Days after which a document is removed.
const KEPT_DAYS: i64 = 400;
/// How long counts may wait to be written where no limit depends on them.
const WRITE_DELAY: Duration = Duration::from_secs(1);

/// What one agent used in one day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DayUsage {
    /// Prompt tokens not read from a cache.
    pub input: u64,
    /// Completion tokens.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// Runs and requests for embeddings that called a model.
    pub runs: u64,
    /// Those of models without a price.
    pub unpriced: u64,
    /// What that cost, USD: input, output, cache read, cache write.
    pub usd: [f64; 4],
}

impl DayUsage {
    /// Everything that it cost, USD.
    pub fn total_usd(&self) -> f64 {
        self.usd.iter().sum()
    }

    /// Adds a run. `prices` are USD per million tokens: input, output, cache read, cache write.
    fn add(&mut self, usage: Usage, prices: Option<[f64; 4]>) {
        self.input += usage.input;
        self.output += usage.output;
        self.cache_read += usage.cache_read;
        self.cache_write += usage.cache_write;
        self.runs += 1;
        let Some(prices) = prices.filter(|prices| prices.iter().any(|price| *price > 0.0)) else {
            self.unpriced += 1;
            return;
        };
        let tokens = [usage.input, usage.output, usage.cache_read, usage.cache_write];
        for ((sum, tokens), price) in self.usd.iter_mut().zip(tokens).zip(prices) {
            *sum += tokens as f64 * price / 1e6;
        }
    }
}

/// The ledger; a cheap clone of a shared book.
#[derive(Clone)]
pub(super) struct Ledger {
    store: Store,
    lifecycle: Lifecycle,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    /// Days since the epoch.
    day: i64,
    agents: HashMap<AgentId, DayUsage>,
    unwritten: BTreeSet<AgentId>,
    is_write_due: bool,
}

impl Book {
    /// Turns the page at midnight.
    fn at(&mut self, day: i64) {
        if day > self.day {
            self.day = day;
            self.agents.clear();
            self.unwritten.clear();
        }
    }
}

impl Ledger {
    pub(super) fn new(store: Store, lifecycle: Lifecycle) -> Self {
        Self {
            store,
            lifecycle,
            book: Arc::default(),
        }
    }

    /// Refuses a run of `agent` if a limit of today is reached.
    pub(super) async fn check(&self, snapshot: &Snapshot, agent: &AgentId, now_ms: i64) -> Result<(), Fault> {
        let own = snapshot
            .agent(agent.as_str())
            .and_then(|profile| profile.max_usd_per_day);
        let all = snapshot.config.agents.spend.max_usd_per_day;
        if let Some(limit) = own
            && self.spent(agent, now_ms).await? >= limit
        {
            return Err(reached(&format!("Agent '{agent}' has"), limit, now_ms));
        }
        if let Some(limit) = all {
            let mut sum = 0.0;
            for profile in &snapshot.agents {
                sum += self.spent(&profile.id, now_ms).await?;
            }
            if sum >= limit {
                return Err(reached("The agents have together", limit, now_ms));
            }
        }
        Ok(())
    }

    /// Counts a run that ended. `prices` are those of its model, if it has any.
    pub(super) async fn record(
        &self,
        snapshot: &Snapshot,
        agent: &AgentId,
        usage: Usage,
        prices: Option<[f64; 4]>,
        now_ms: i64,
    ) {
        if usage == Usage::default() {
            return;
        }
        if let Err(error) = self.load(agent, now_ms).await {
            tracing::warn!(target: "agent", %error, agent = %agent, "usage of a run could not be counted");
            return;
        }
        let is_limited = snapshot.config.agents.spend.max_usd_per_day.is_some()
            || snapshot
                .agent(agent.as_str())
                .is_some_and(|profile| profile.max_usd_per_day.is_some());
        let write_later = {
            let mut book = self.book();
            book.agents.entry(agent.clone()).or_default().add(usage, prices);
            book.unwritten.insert(agent.clone());
            !is_limited && !std::mem::replace(&mut book.is_write_due, true)
        };
        if is_limited {
            self.write().await;
        } else if write_later {
            let ledger = self.clone();
            self.lifecycle.tasks.spawn(async move {
                let mut phases = ledger.lifecycle.watch();
                tokio::select! {
                    () = tokio::time::sleep(WRITE_DELAY) => {}
                    _ = phases.wait_for(|phase| *phase >= Phase::Draining) => {}
                }
                ledger.write().await;
            });
        }
    }

    async fn spent(&self, agent: &AgentId, now_ms: i64) -> Result<f64, Fault> {
        self.load(agent, now_ms).await.map_err(|error| {
            Fault::unavailable(format!("What agent '{agent}' spent today cannot be read: {error}"))
                .with_code("storage_unavailable")
        })?;
        Ok(self.book().agents.get(agent).map_or(0.0, DayUsage::total_usd))
    }

    /// Makes sure that the book knows what `agent` used today.
    async fn load(&self, agent: &AgentId, now_ms: i64) -> Result<(), StoreError> {
        let day = now_ms.div_euclid(DAY_MS);
        {
            let mut book = self.book();
            book.at(day);
            if book.agents.contains_key(agent) {
                return Ok(());
            }
        }
        let stored = self.store.document(COLLECTION, &key(day, agent)).await?;
        let stored = stored
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default();
        let mut book = self.book();
        if book.day == day {
            book.agents.entry(agent.clone()).or_insert(stored);
        }
        Ok(())
    }

    async fn write(&self) {
        let changes = {
            let mut book = self.book();
            book.is_write_due = false;
            let day = book.day;
            let changed = std::mem::take(&mut book.unwritten);
            let mut changes: Vec<(String, Option<Value>)> = Vec::with_capacity(changed.len() * 2);
            for agent in changed {
                if let Some(value) = book
                    .agents
                    .get(&agent)
                    .and_then(|usage| serde_json::to_value(usage).ok())
                {
                    changes.push((key(day, &agent), Some(value)));
                    changes.push((key(day - KEPT_DAYS, &agent), None));
                }
            }
            changes
        };
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.store.put_documents(COLLECTION, changes).await {
            tracing::warn!(target: "agent", %error, "usage of today could not be written; it is kept in memory");
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(day: i64, agent: &AgentId) -> String {
    format!("{}/{agent}", date(day))
}

/// The day of a moment in UTC, `YYYY-MM-DD`: the first part of the documents' keys.
pub fn usage_day(now_ms: i64) -> String {
    date(now_ms.div_euclid(DAY_MS))
}

/// `YYYY-MM-DD` of a day since the epoch.
fn date(day: i64) -> String {
    jiff::Timestamp::from_millisecond(day.saturating_mul(DAY_MS))
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
        .to_string()
}

fn reached(who: &str, limit: f64, now_ms: i64) -> Fault {
    let left = DAY_MS - now_ms.rem_euclid(DAY_MS);
    let text = format!(
        "{who} spent the limit of {limit:.2} USD for today. Raise spend.maxUsdPerDay, or wait until midnight UTC."
    );
    Fault::new(FaultKind::RateLimited, text)
        .with_code("spend_limit_reached")
        .with_retry_after(Duration::from_millis(left.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::AuthMode;
    use crate::health::fixtures::snapshot_from;
    use crate::store::StoreOptions;

    const NOON: i64 = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS + DAY_MS / 2;

    fn ledger(dir: &tempfile::TempDir) -> Ledger {
        let store = Store::open(&dir.path().join("state.db"), StoreOptions::default()).unwrap();
        Ledger::new(store, Lifecycle::new())
    }

    fn limited() -> Arc<Snapshot> {
        let agents = json!({
            "spend": {"maxUsdPerDay": 10},
            "list": [{"id": "main", "spend": {"maxUsdPerDay": 2}}, {"id": "beta"}],
        });
        snapshot_from(json!({ "agents": agents }), AuthMode::Token)
    }

    /// A run of a million tokens at this price.
    async fn run(ledger: &Ledger, world: &Snapshot, agent: &AgentId, usd: f64) {
        let usage = Usage {
            input: 1_000_000,
            ..Usage::default()
        };
        ledger
            .record(world, agent, usage, Some([usd, 0.0, 0.0, 0.0]), NOON)
            .await;
    }

    #[tokio::test]
    async fn limits_hold_per_agent_and_together_until_midnight() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, world) = (ledger(&dir), limited());
        let (main, beta) = (AgentId::new("main"), AgentId::new("beta"));
        ledger.check(&world, &main, NOON).await.unwrap();
        run(&ledger, &world, &main, 2.0).await;
        let fault = ledger.check(&world, &main, NOON).await.unwrap_err();
        assert_eq!(
            (fault.kind, fault.code),
            (FaultKind::RateLimited, Some("spend_limit_reached"))
        );
        assert_eq!(fault.retry_after, Some(Duration::from_secs(12 * 3600)));
        ledger.check(&world, &beta, NOON).await.unwrap();
        run(&ledger, &world, &beta, 8.0).await;
        let fault = ledger.check(&world, &beta, NOON).await.unwrap_err();
        assert!(fault.message.contains("together"), "{fault}");
        ledger.check(&world, &main, NOON + DAY_MS).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_spent_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let (first, world) = (ledger(&dir), limited());
        let main = AgentId::new("main");
        run(&first, &world, &main, 1.5).await;
        first.store.close().await;
        drop(first);
        let second = ledger(&dir);
        second.check(&world, &main, NOON).await.unwrap();
        run(&second, &world, &main, 0.5).await;
        assert!(second.check(&world, &main, NOON).await.is_err());
        let stored = second.store.documents(COLLECTION).await.unwrap();
        let (key, value) = stored.first().unwrap();
        assert!(key.ends_with("/main"), "{key}");
        assert_eq!(
            (&value["runs"], &value["input"], &value["usd"]),
            (&json!(2), &json!(2_000_000), &json!([2.0, 0.0, 0.0, 0.0]))
        );
    }
}
