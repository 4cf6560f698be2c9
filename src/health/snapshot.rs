//! The `health` payload: built from the store and the configuration, cached as serialised JSON, refreshed every minute
//! and shortly after connections arrive.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lag::{LagReport, LagSampler};
use crate::base::Clock;
use crate::bus::Hub;
use crate::config::{AgentProfile, Snapshot, SnapshotHandle};
use crate::domain::channel::{ChannelAccountStatus, Channels};
use crate::domain::event::{Audience, Event, EventName, Publisher};
use crate::store::{SessionQuery, Store};

/// How often the snapshot is renewed without being asked.
const PERIOD: Duration = Duration::from_secs(60);
/// A cached payload older than this is not served; somewhat more than the period, so that a late refresh shows nowhere.
const MAX_AGE: Duration = Duration::from_secs(90);
/// Requests for a refresh are gathered for this long.
const GATHER: Duration = Duration::from_millis(250);
/// Least time between two refreshes that were asked for: many connects make one broadcast.
const SPACING: Duration = Duration::from_secs(1);
/// Newest sessions listed.
const RECENT: u32 = 5;

/// Where the payload comes from.
#[derive(Clone)]
pub struct HealthSources {
    /// Configuration.
    pub snapshots: SnapshotHandle,
    /// Sessions.
    pub store: Store,
    /// Channels.
    pub channels: Arc<dyn Channels>,
    /// Where `health` events go.
    pub hub: Hub,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Scheduler lag.
    pub lag: LagSampler,
}

#[derive(Debug)]
struct Taken {
    payload: Arc<RawValue>,
    at: Instant,
}

struct Inner {
    sources: HealthSources,
    current: ArcSwapOption<Taken>,
    wanted: Notify,
    /// Held while a snapshot is taken, so that callers who ask at once share one.
    taking: Mutex<()>,
}

/// The cached snapshot; cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

impl Health {
    /// Nothing is read before the first refresh.
    pub fn new(sources: HealthSources) -> Self {
        Self(Arc::new(Inner {
            sources,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            taking: Mutex::new(()),
        }))
    }

    /// Scheduler lag now.
    pub fn lag(&self) -> LagReport {
        self.0.sources.lag.report()
    }

    /// The last payload, however old.
    pub fn last(&self) -> Option<Arc<RawValue>> {
        self.0.current.load().as_ref().map(|taken| Arc::clone(&taken.payload))
    }

    /// The last payload if it is recent.
    pub fn cached(&self) -> Option<Arc<RawValue>> {
        let current = self.0.current.load();
        let taken = current.as_ref()?;
        (taken.at.elapsed() < MAX_AGE).then(|| Arc::clone(&taken.payload))
    }

    /// Asks for a refresh and broadcast soon; requests that come close together make one.
    pub fn request_refresh(&self) {
        self.0.wanted.notify_one();
    }

    /// Takes a snapshot now, caches and broadcasts it.
    pub async fn refresh(&self) -> Arc<RawValue> {
        let asked = Instant::now();
        let _taking = self.0.taking.lock().await;
        if let Some(taken) = self.0.current.load().as_ref().filter(|taken| taken.at >= asked) {
            return Arc::clone(&taken.payload);
        }
        let payload = self.0.take().await;
        self.0.current.store(Some(Arc::new(Taken {
            payload: Arc::clone(&payload),
            at: Instant::now(),
        })));
        self.0.sources.hub.publish(Event {
            name: EventName::Health,
            payload: Arc::clone(&payload),
            audience: Audience::Broadcast,
            droppable: true,
        });
        payload
    }

    /// Refreshes every minute and when asked, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut last = self.refresh_timed().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.0.wanted.notified() => {
                    let due = (Instant::now() + GATHER).max(last + SPACING);
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                () = tokio::time::sleep_until(last + PERIOD) => {}
            }
            last = self.refresh_timed().await;
        }
    }

    async fn refresh_timed(&self) -> Instant {
        self.refresh().await;
        Instant::now()
    }
}

impl Inner {
    async fn take(&self) -> Arc<RawValue> {
        let started = Instant::now();
        let snapshot = self.sources.snapshots.load();
        let now_ms = self.sources.clock.now_ms();
        let path = store_path(&snapshot);
        let mut ok = true;
        let mut agents = Vec::with_capacity(snapshot.agents.len());
        for agent in &snapshot.agents {
            let sessions = self.sessions(Some(agent), &path, now_ms).await;
            ok &= sessions.is_some();
            agents.push(json!({
                "agentId": agent.id,
                "isDefault": agent.is_default,
                "heartbeat": heartbeat(&snapshot),
                "sessions": sessions.unwrap_or_else(|| no_sessions(&path)),
            }));
        }
        let sessions = self.sessions(None, &path, now_ms).await;
        ok &= sessions.is_some();
        let channels = self.sources.channels.status();
        let payload = json!({
            "ok": ok,
            "ts": now_ms,
            "durationMs": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "eventLoop": self.sources.lag.report(),
            "plugins": { "loaded": [], "errors": [] },
            "channels": channel_map(&channels),
            "channelOrder": channel_order(&channels),
            "channelLabels": channel_labels(&channels),
            "heartbeatSeconds": 0,
            "defaultAgentId": snapshot.default_agent(),
            "agents": agents,
            "sessions": sessions.unwrap_or_else(|| no_sessions(&path)),
        });
        let raw = serde_json::value::to_raw_value(&payload).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Arc::from(raw)
    }

    /// Count and newest sessions; `None` if storage does not answer.
    async fn sessions(&self, agent: Option<&AgentProfile>, path: &str, now_ms: i64) -> Option<Value> {
        let query = SessionQuery {
            agent_id: agent.map(|agent| agent.id.as_str().to_owned()),
            limit: RECENT,
            ..SessionQuery::default()
        };
        match self.sources.store.sessions(query).await {
            Ok(page) => {
                let recent: Vec<Value> = page
                    .rows
                    .iter()
                    .map(|row| {
                        json!({
                            "key": row.key,
                            "updatedAt": row.updated_at_ms,
                            "age": (now_ms - row.updated_at_ms).max(0),
                        })
                    })
                    .collect();
                Some(json!({ "path": path, "count": page.total, "recent": recent }))
            }
            Err(error) => {
                tracing::warn!(target: "health", %error, "sessions cannot be read");
                None
            }
        }
    }
}

fn no_sessions(path: &str) -> Value {
    json!({ "path": path, "count": 0, "recent": [] })
}

/// Where sessions are kept, for display.
pub fn store_path(snapshot: &Snapshot) -> String {
    snapshot.state_dir.join("state.db").display().to_string()
}

/// An agent's heartbeat settings. Nothing schedules heartbeats in this process, so they are reported as disabled, with
/// what a manual one would use.
fn heartbeat(snapshot: &Snapshot) -> Value {
    let settings = snapshot.runtime.pointer("/agents/defaults/heartbeat");
    let text = |key: &str, fallback: &str| {
        settings
            .and_then(|settings| settings.get(key))
            .and_then(Value::as_str)
            .unwrap_or(fallback)
            .to_owned()
    };
    json!({
        "enabled": false,
        "every": "disabled",
        "everyMs": null,
        "prompt": text("prompt", "Look into HEARTBEAT.md in the workspace and do what is due. Answer HEARTBEAT_OK if nothing is."),
        "target": text("target", "none"),
        "ackMaxChars": settings
            .and_then(|settings| settings.get("ackMaxChars"))
            .and_then(Value::as_u64)
            .unwrap_or(300),
    })
}

/// Channel ids in display order, each once.
pub fn channel_order(accounts: &[ChannelAccountStatus]) -> Vec<&str> {
    let mut order: Vec<&str> = Vec::new();
    for account in accounts {
        if !order.contains(&account.channel.as_str()) {
            order.push(&account.channel);
        }
    }
    order
}

/// Display names by channel id.
pub fn channel_labels(accounts: &[ChannelAccountStatus]) -> Map<String, Value> {
    channel_order(accounts)
        .into_iter()
        .map(|id| (id.to_owned(), Value::String(label(id))))
        .collect()
}

fn label(id: &str) -> String {
    let mut letters = id.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn channel_map(accounts: &[ChannelAccountStatus]) -> Map<String, Value> {
    channel_order(accounts)
        .into_iter()
        .map(|id| {
            let of_channel: Vec<&ChannelAccountStatus> =
                accounts.iter().filter(|account| account.channel == id).collect();
            let mut state = json!({
                "configured": of_channel.iter().any(|account| account.configured),
                "running": of_channel.iter().any(|account| account.running),
                "connected": of_channel.iter().any(|account| account.connected),
            });
            if let (Some(map), Some(error)) = (
                state.as_object_mut(),
                of_channel.iter().find_map(|account| account.last_error.clone()),
            ) {
                map.insert("lastError".to_owned(), Value::String(error));
            }
            (id.to_owned(), state)
        })
        .collect()
}
