//! Defaults that `config.get` shows, as upstream materialises them. Everything else is defaulted where it is used.

use serde_json::{Map, Value, json};

use super::bind::Listen;
use super::types::gateway::Gateway;

/// Tokens of a model that states no window.
pub const CONTEXT_WINDOW: u64 = 200_000;
/// Runs at work at the same time. Upstream's 4 guards a single-threaded loop; here a waiting run costs almost nothing.
pub const MAX_CONCURRENT: u32 = 256;
/// Largest answer of a model that states none.
pub const MAX_TOKENS: u64 = 8_192;

/// The tree with defaults.
pub fn apply(source: &Value) -> Value {
    let mut tree = source.clone();
    let Some(root) = tree.as_object_mut() else { return tree };
    join_agents(root);
    fill(root, &["messages"], "ackReactionScope", json!("group-mentions"));
    fill(root, &["agents", "defaults"], "maxConcurrent", json!(MAX_CONCURRENT));
    fill(root, &["agents", "defaults", "subagents"], "maxConcurrent", json!(8));
    if source.pointer("/agents/defaults").is_some_and(Value::is_object) {
        fill(root, &["agents", "defaults", "compaction"], "mode", json!("safeguard"));
    }
    if root.get("logging").is_some_and(Value::is_object) {
        fill(root, &["logging"], "redactSensitive", json!("tools"));
    }
    if let Some(session) = root.get_mut("session").and_then(Value::as_object_mut) {
        session.insert("mainKey".to_owned(), json!("main"));
    }
    for (key, value) in [
        ("native", json!("auto")),
        ("nativeSkills", json!("auto")),
        ("restart", json!(true)),
        ("ownerDisplay", json!("raw")),
    ] {
        fill(root, &["commands"], key, value);
    }
    providers(root);
    tree
}

/// What the listener adds: seeded origins, in memory only.
pub fn seed_origins(runtime: &mut Value, gateway: &Gateway, listen: &Listen) {
    if let (Some(origins), Some(root)) = (super::auth::seeds(gateway, listen), runtime.as_object_mut())
        && let Some(ui) = section(root, &["gateway", "controlUi"])
    {
        ui.insert("allowedOrigins".to_owned(), json!(origins));
    }
}

/// `agents.entries` becomes part of `agents.list`, which is what everybody reads.
fn join_agents(root: &mut Map<String, Value>) {
    let Some(agents) = root.get_mut("agents").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(Value::Object(entries)) = agents.remove("entries") else {
        return;
    };
    let list = agents.entry("list").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    for (id, entry) in entries {
        let Value::Object(entry) = entry else { continue };
        let mut agent = Map::new();
        agent.insert("id".to_owned(), Value::String(id));
        agent.extend(entry);
        list.push(Value::Object(agent));
    }
}

fn providers(root: &mut Map<String, Value>) {
    let Some(providers) = root.get_mut("models").and_then(|models| models.get_mut("providers")) else {
        return;
    };
    let Some(providers) = providers.as_object_mut() else {
        return;
    };
    for provider in providers.values_mut().filter_map(Value::as_object_mut) {
        let api = provider.get("api").cloned();
        let window = provider.get("contextWindow").and_then(Value::as_u64);
        let most = provider.get("maxTokens").and_then(Value::as_u64);
        let models = provider.get_mut("models").and_then(Value::as_array_mut);
        for model in models.into_iter().flatten().filter_map(Value::as_object_mut) {
            self::model(model, api.as_ref(), window, most);
        }
    }
}

fn model(model: &mut Map<String, Value>, api: Option<&Value>, window: Option<u64>, most: Option<u64>) {
    model.entry("reasoning").or_insert(json!(false));
    model.entry("input").or_insert(json!(["text"]));
    let cost = model.entry("cost").or_insert_with(|| json!({}));
    if let Some(cost) = cost.as_object_mut() {
        for key in ["input", "output", "cacheRead", "cacheWrite"] {
            cost.entry(key).or_insert(json!(0));
        }
    }
    let window = model
        .get("contextWindow")
        .and_then(Value::as_u64)
        .or(window)
        .unwrap_or(CONTEXT_WINDOW);
    let most = model
        .get("maxTokens")
        .and_then(Value::as_u64)
        .or(most)
        .unwrap_or(MAX_TOKENS)
        .min(window);
    model.insert("contextWindow".to_owned(), json!(window));
    model.insert("maxTokens".to_owned(), json!(most));
    if let Some(api) = api {
        model.entry("api").or_insert_with(|| api.clone());
    }
}

fn fill(root: &mut Map<String, Value>, path: &[&str], key: &str, value: Value) {
    if let Some(section) = section(root, path) {
        section.entry(key).or_insert(value);
    }
}

/// The object at `path`, made if absent.
fn section<'a>(root: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(root, |node, key| {
        node.entry(*key).or_insert_with(|| json!({})).as_object_mut()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_that_upstream_shows() {
        let source = json!({
            "agents": {"defaults": {"workspace": "/w"}, "entries": {"b": {"name": "B"}}},
            "logging": {},
            "models": {"providers": {"p": {"api": "ollama", "models": [{"id": "m", "contextWindow": 1000, "cost": {"input": 1}}]}}},
        });
        let runtime = apply(&source);
        assert_eq!(runtime["messages"], json!({"ackReactionScope": "group-mentions"}));
        assert_eq!(
            runtime["commands"],
            json!({"native": "auto", "nativeSkills": "auto", "restart": true, "ownerDisplay": "raw"})
        );
        assert_eq!(runtime["agents"]["defaults"]["maxConcurrent"], 256);
        assert_eq!(runtime["agents"]["defaults"]["subagents"], json!({"maxConcurrent": 8}));
        assert_eq!(runtime["agents"]["list"], json!([{"id": "b", "name": "B"}]));
        assert_eq!(runtime["logging"], json!({"redactSensitive": "tools"}));
        let model = &runtime["models"]["providers"]["p"]["models"][0];
        assert_eq!(model["maxTokens"], 1000);
        assert_eq!(model["api"], "ollama");
        assert_eq!(
            model["cost"],
            json!({"input": 1, "output": 0, "cacheRead": 0, "cacheWrite": 0})
        );
        assert!(apply(&json!({})).get("logging").is_none());
    }
}
