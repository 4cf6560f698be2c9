//! Session rows as lists, descriptions and events show them. Pure.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::key;
use crate::base::{AgentId, SessionKey};
use crate::config::{AgentProfile, Snapshot};
use crate::domain::model::{ModelRef, Usage};
use crate::models::Registry;
use crate::store::SessionRow;

/// Thinking levels that a session may have.
pub const THINKING_LEVELS: [&str; 5] = ["off", "minimal", "low", "medium", "high"];
/// Context window that is shown for a model nobody described, in tokens.
const UNKNOWN_CONTEXT: u64 = 200_000;
/// Settings that entries show and rows do not.
const ENTRY_ONLY: [&str; 4] = [
    "providerOverride",
    "modelOverride",
    "modelOverrideSource",
    "liveModelSwitchPending",
];

/// The model that a session's settings choose over the agent's own.
pub fn model_override(settings: &Map<String, Value>, models: &Registry) -> Option<ModelRef> {
    let model = settings.get("modelOverride")?.as_str()?;
    match settings.get("providerOverride").and_then(Value::as_str) {
        Some(provider) => Some(ModelRef {
            provider: provider.into(),
            model: model.into(),
        }),
        None => models.resolve(model),
    }
}

/// The model that an agent uses unless somebody chooses another.
pub fn agent_model(profile: Option<&AgentProfile>, models: &Registry) -> Option<ModelRef> {
    let Some(primary) = profile.and_then(|profile| profile.model.primary.as_deref()) else {
        return models.default_model();
    };
    models.resolve(primary).or_else(|| {
        let (provider, model) = primary.split_once('/')?;
        Some(ModelRef {
            provider: provider.into(),
            model: model.into(),
        })
    })
}

/// The model of a session: chosen for it, else the one that answered last, else its agent's.
pub fn session_model(row: &SessionRow, snapshot: &Snapshot, models: &Registry) -> Option<ModelRef> {
    model_override(&row.settings, models)
        .or_else(|| {
            let (provider, model) = row.model.as_ref()?;
            Some(ModelRef {
                provider: provider.as_str().into(),
                model: model.as_str().into(),
            })
        })
        .or_else(|| agent_model(snapshot.agent(&row.agent_id), models))
}

/// The thinking level of an agent's sessions unless they set another.
pub fn thinking_default(profile: Option<&AgentProfile>) -> &str {
    profile.and_then(|profile| profile.thinking.as_deref()).unwrap_or("off")
}

/// The thinking level in force for a session.
pub fn thinking_level(row: Option<&SessionRow>, profile: Option<&AgentProfile>) -> String {
    row.and_then(|row| row.settings.get("thinkingLevel"))
        .and_then(Value::as_str)
        .unwrap_or_else(|| thinking_default(profile))
        .to_owned()
}

/// `defaults` of lists: what a new session of `agent` would use.
pub fn defaults(agent: &AgentId, snapshot: &Snapshot, models: &Registry) -> Value {
    let profile = snapshot.agent(agent.as_str());
    let mut map = Map::new();
    let model = agent_model(profile, models);
    put_model(&mut map, model.as_ref());
    let window = model.as_ref().and_then(|model| models.entry(model));
    map.insert(
        "contextTokens".to_owned(),
        window.map_or(UNKNOWN_CONTEXT, |entry| entry.context_window).into(),
    );
    put_thinking(&mut map, profile);
    Value::Object(map)
}

/// A row of `sessions.list`, without what needs the run loop (`hasActiveRun`) or the transcript (titles).
pub fn wire_row(row: &SessionRow, snapshot: &Snapshot, models: &Registry) -> Value {
    Value::Object(row_map(row, snapshot, models))
}

/// [`wire_row`] as a map, for adding to it.
pub fn row_map(row: &SessionRow, snapshot: &Snapshot, models: &Registry) -> Map<String, Value> {
    let kind = key::kind(&SessionKey::new(row.key.as_str()));
    let model = session_model(row, snapshot, models);
    let entry = model.as_ref().and_then(|model| models.entry(model));
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    put("key", json!(row.key));
    put("kind", json!(kind.as_str()));
    if let Some(label) = row.settings.get("label") {
        put("label", label.clone());
        put("displayName", label.clone());
    }
    if row.started_at_ms.is_some() {
        put("chatType", json!(kind.as_str()));
    }
    put("updatedAt", json!(row.updated_at_ms));
    put("sessionId", json!(row.session_id));
    put("abortedLastRun", json!(row.aborted_last_run));
    for (name, value) in &row.settings {
        if name != "label" && !ENTRY_ONLY.contains(&name.as_str()) {
            put(name, value.clone());
        }
    }
    put_thinking(&mut map, snapshot.agent(&row.agent_id));
    put_usage(&mut map, row, entry.map(|entry| entry.cost));
    let mut put = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    if let Some(status) = &row.status {
        put("status", json!(status));
    }
    if let Some(started) = row.started_at_ms {
        put("startedAt", json!(started));
        if let Some(ended) = row.ended_at_ms {
            put("endedAt", json!(ended));
            put("runtimeMs", json!(ended.saturating_sub(started).max(0)));
        }
    }
    put("agentRuntime", agent_runtime());
    if let Some(entry) = entry {
        put("contextTokens", json!(entry.context_window));
    }
    put_model(&mut map, model.as_ref());
    map
}

/// The stored side of a session, as changes answer it.
pub fn entry(row: &SessionRow, state_db: &Path) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("sessionId".to_owned(), json!(row.session_id));
    map.insert("updatedAt".to_owned(), json!(row.updated_at_ms));
    map.insert("sessionStartedAt".to_owned(), json!(row.session_started_at_ms));
    // Transcripts are no files of their own: the place is the database and the incarnation in it.
    map.insert(
        "sessionFile".to_owned(),
        json!(format!("{}#{}", state_db.display(), row.session_id)),
    );
    map.extend(row.settings.iter().map(|(name, value)| (name.clone(), value.clone())));
    map
}

/// `resolved` of `sessions.patch`: what a session with these settings uses next.
pub fn resolved(settings: &Map<String, Value>, agent: &AgentId, snapshot: &Snapshot, models: &Registry) -> Value {
    let mut map = Map::new();
    // A change of model shows at once, whatever answered last.
    let model = model_override(settings, models).or_else(|| agent_model(snapshot.agent(agent.as_str()), models));
    put_model(&mut map, model.as_ref());
    map.insert("agentRuntime".to_owned(), agent_runtime());
    Value::Object(map)
}

fn agent_runtime() -> Value {
    json!({ "id": "openclaw", "source": "implicit" })
}

fn put_model(map: &mut Map<String, Value>, model: Option<&ModelRef>) {
    if let Some(model) = model {
        map.insert("modelProvider".to_owned(), json!(&*model.provider));
        map.insert("model".to_owned(), json!(&*model.model));
    }
}

fn put_thinking(map: &mut Map<String, Value>, profile: Option<&AgentProfile>) {
    let levels: Vec<Value> = THINKING_LEVELS
        .iter()
        .map(|level| json!({ "id": level, "label": level }))
        .collect();
    map.insert("thinkingLevels".to_owned(), Value::Array(levels));
    map.insert("thinkingOptions".to_owned(), json!(THINKING_LEVELS));
    map.insert("thinkingDefault".to_owned(), json!(thinking_default(profile)));
}

fn put_usage(map: &mut Map<String, Value>, row: &SessionRow, rates: Option<[f64; 4]>) {
    let [input, output, cache_read, cache_write] = row.usage;
    let used = Usage {
        input,
        output,
        cache_read,
        cache_write,
        reasoning: 0,
    };
    let fresh = row.last_prompt_tokens > 0;
    if used.total() > 0 {
        map.insert("inputTokens".to_owned(), json!(input));
        map.insert("outputTokens".to_owned(), json!(output));
        map.insert("cacheRead".to_owned(), json!(cache_read));
        map.insert("cacheWrite".to_owned(), json!(cache_write));
    }
    if fresh {
        map.insert("totalTokens".to_owned(), json!(row.last_prompt_tokens));
    }
    map.insert("totalTokensFresh".to_owned(), json!(fresh));
    if let Some(rates) = rates {
        map.insert("estimatedCostUsd".to_owned(), json!(cost_usd(row.usage, rates)));
    }
}

pub fn cost_usd(tokens: [u64; 4], rates: [f64; 4]) -> f64 {
    const PER: f64 = 1_000_000.0;
    // Lossless below 2^53 tokens.
    tokens
        .iter()
        .zip(rates)
        .map(|(count, rate)| *count as f64 * rate)
        .sum::<f64>()
        / PER
}

#[cfg(test)]
mod tests;
