//! `usage.cost`: tokens and money per day, and how much of today's limits is spent.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::agent::{DayUsage, USAGE_COLLECTION, usage_day};
use crate::config::Snapshot;
use crate::domain::Scope;
use crate::method;
use crate::rpc::method::{Access, Method, MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::wire::params::usage::UsageCost;

/// Days that are shown unless the caller says otherwise.
const DAYS: usize = 31;
const MAX_DAYS: usize = 400;

/// Lines of the method table.
pub const METHODS: &[Method] = &[method!(
    "usage.cost",
    Access::Operator(Scope::Read),
    listed: true,
    UsageCost,
    cost
)];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    updated_at: i64,
    days: usize,
    daily: Vec<Day>,
    totals: Sums,
    spend: Spend,
}

/// What was spent today (UTC), and what may be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spend {
    date: String,
    usd: f64,
    max_usd_per_day: Option<f64>,
    agents: Vec<AgentSpend>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentSpend {
    agent_id: String,
    usd: f64,
    max_usd_per_day: Option<f64>,
}

impl Spend {
    /// Of the agents of this configuration; `today` holds what each spent.
    fn of(snapshot: &Snapshot, date: String, today: &BTreeMap<String, f64>) -> Self {
        let agents: Vec<AgentSpend> = snapshot
            .agents
            .iter()
            .map(|profile| AgentSpend {
                agent_id: profile.id.to_string(),
                usd: today.get(profile.id.as_str()).copied().unwrap_or(0.0),
                max_usd_per_day: profile.max_usd_per_day,
            })
            .collect();
        Self {
            date,
            usd: agents.iter().map(|agent| agent.usd).sum(),
            max_usd_per_day: snapshot.config.agents.spend.max_usd_per_day,
            agents,
        }
    }
}

#[derive(Serialize)]
struct Day {
    date: String,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sums {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    total_tokens: u64,
    total_cost: f64,
    input_cost: f64,
    output_cost: f64,
    cache_read_cost: f64,
    cache_write_cost: f64,
    missing_cost_entries: u64,
}

impl Sums {
    fn add(&mut self, day: &DayUsage) {
        self.input += day.input;
        self.output += day.output;
        self.cache_read += day.cache_read;
        self.cache_write += day.cache_write;
        self.total_tokens += day.input + day.output + day.cache_read + day.cache_write;
        let [input, output, cache_read, cache_write] = day.usd;
        self.total_cost += day.total_usd();
        self.input_cost += input;
        self.output_cost += output;
        self.cache_read_cost += cache_read;
        self.cache_write_cost += cache_write;
        self.missing_cost_entries += day.unpriced;
    }
}

async fn cost(ctx: RequestCtx, params: UsageCost) -> MethodResult {
    let days = params
        .days
        .map_or(DAYS, |days| usize::try_from(days).unwrap_or(MAX_DAYS));
    let days = days.clamp(1, MAX_DAYS);
    let stored = ctx.services.store.documents(USAGE_COLLECTION).await;
    let mut by_day: BTreeMap<String, Sums> = BTreeMap::new();
    let now_ms = ctx.services.clock.now_ms();
    let date_of_today = usage_day(now_ms);
    let mut today: BTreeMap<String, f64> = BTreeMap::new();
    for (key, value) in stored.map_err(store_fault)? {
        let Some((date, agent)) = key.split_once('/') else {
            continue;
        };
        if let Ok(usage) = serde_json::from_value::<DayUsage>(value) {
            if date == date_of_today {
                today.insert(agent.to_owned(), usage.total_usd());
            }
            by_day.entry(date.to_owned()).or_default().add(&usage);
        }
    }
    let skipped = by_day.len().saturating_sub(days);
    let daily: Vec<Day> = by_day
        .into_iter()
        .skip(skipped)
        .map(|(date, sums)| Day { date, sums })
        .collect();
    let mut totals = Sums::default();
    for Day { sums, .. } in &daily {
        totals.add(&DayUsage {
            input: sums.input,
            output: sums.output,
            cache_read: sums.cache_read,
            cache_write: sums.cache_write,
            runs: 0,
            unpriced: sums.missing_cost_entries,
            usd: [
                sums.input_cost,
                sums.output_cost,
                sums.cache_read_cost,
                sums.cache_write_cost,
            ],
        });
    }
    payload(&Report {
        updated_at: now_ms,
        days,
        daily,
        totals,
        spend: Spend::of(&ctx.live.snapshot, date_of_today, &today),
    })
}
