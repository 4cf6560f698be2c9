//! `models.list`, `agents.list`, `agent.identity.get`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::base::{AgentId, SessionKey};
use crate::config::{AgentProfile, Snapshot};
use crate::domain::Fault;
use crate::domain::model::ModelRef;
use crate::live::Live;
use crate::models::CatalogEntry;
use crate::rpc::hello::{main_key, session_scope};
use crate::rpc::method::{MethodResult, RequestCtx, payload};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum View {
    Default,
    Configured,
    ProviderConfig,
    All,
}

/// Keys of protocol 4 that only steer its caches are accepted and have no effect here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "declared so that they are accepted and checked")]
pub(super) struct ModelsParams {
    #[serde(default)]
    #[schemars(length(min = 1))]
    agent_id: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1))]
    session_key: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 256))]
    auth_profile_id: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1))]
    provider: Option<String>,
    #[serde(default)]
    include_details: Option<bool>,
    #[serde(default)]
    include_provider_capabilities: Option<bool>,
    #[serde(default)]
    include_default_models: Option<bool>,
    #[serde(default)]
    prepared_only: Option<bool>,
    #[serde(default)]
    refresh: Option<bool>,
    #[serde(default)]
    view: Option<View>,
}

pub(super) fn models(ctx: RequestCtx, params: ModelsParams) -> MethodResult {
    let live = &ctx.live;
    let named = params
        .agent_id
        .or_else(|| params.session_key.as_deref().and_then(agent_of_key));
    let agent = match named {
        Some(id) => Some(known_agent(&live.snapshot, "models.list", &id)?),
        None => live.snapshot.agents.iter().find(|agent| agent.is_default),
    };
    let view = params.view.unwrap_or(View::Default);
    let default = default_model(live, agent).map(|entry| entry.model);
    let rows: Vec<Value> = live
        .models
        .catalog()
        .iter()
        .filter(|entry| view != View::Default || is_allowed(agent, &entry.model))
        .filter(|entry| {
            params
                .provider
                .as_deref()
                .is_none_or(|wanted| *entry.model.provider == *wanted)
        })
        .map(|entry| {
            if ctx.conn.protocol >= 4 {
                row_v4(
                    live,
                    agent,
                    entry,
                    default.as_ref(),
                    params.include_details == Some(true),
                )
            } else {
                row_v3(entry)
            }
        })
        .collect();
    payload(&json!({ "models": rows }))
}

fn row_v3(entry: &CatalogEntry) -> Value {
    let facts = &entry.entry;
    json!({
        "provider": entry.model.provider,
        "id": entry.model.model,
        "name": facts.name,
        "contextWindow": facts.context_window,
        "reasoning": facts.reasoning,
        "input": facts.input,
    })
}

fn row_v4(
    live: &Live,
    agent: Option<&AgentProfile>,
    entry: &CatalogEntry,
    default: Option<&ModelRef>,
    details: bool,
) -> Value {
    let facts = &entry.entry;
    let mut row = Map::new();
    let mut put = |key: &str, value: Value| row.insert(key.to_owned(), value);
    put("id", json!(entry.model.model));
    put("name", json!(facts.name));
    put("provider", json!(entry.model.provider));
    put("contextWindow", json!(facts.context_window));
    if details {
        put("local", json!(is_local(&live.snapshot, &entry.model.provider)));
        put("input", json!(facts.input));
    }
    put("reasoning", json!(facts.reasoning));
    if default == Some(&entry.model) {
        put("tags", json!(["default"]));
    }
    put("thinkingLevels", thinking_levels(facts.reasoning));
    let thinking = agent
        .and_then(|agent| agent.thinking.as_deref())
        .filter(|_| facts.reasoning);
    put("thinkingDefault", json!(thinking.unwrap_or("off")));
    put(
        "available",
        json!(live.models.provider(&entry.model.provider).is_some()),
    );
    Value::Object(row)
}

fn thinking_levels(reasoning: bool) -> Value {
    const LEVELS: [&str; 5] = ["off", "minimal", "low", "medium", "high"];
    let count = if reasoning { LEVELS.len() } else { 1 };
    LEVELS
        .into_iter()
        .take(count)
        .map(|level| json!({ "id": level, "label": level }))
        .collect()
}

/// Whether the provider runs on this machine or in its network.
fn is_local(snapshot: &Snapshot, provider: &str) -> bool {
    let Some(url) = snapshot
        .providers
        .iter()
        .find(|settings| settings.id == provider)
        .and_then(|settings| url::Url::parse(&settings.base_url).ok())
    else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => is_near(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => is_near(IpAddr::V6(ip)),
        None => false,
    }
}

fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_allowed(agent: Option<&AgentProfile>, model: &ModelRef) -> bool {
    agent.is_none_or(|agent| {
        agent.allowed_models.is_empty() || agent.allowed_models.iter().any(|allowed| *allowed == model.to_string())
    })
}

/// The model an agent uses when nobody chooses one, with what is known about it.
pub(super) fn default_model(live: &Live, agent: Option<&AgentProfile>) -> Option<CatalogEntry> {
    let model = agent
        .and_then(|agent| agent.model.primary.as_deref())
        .and_then(|primary| live.models.resolve(primary))
        .or_else(|| live.models.default_model())?;
    let entry = live.models.entry(&model)?.clone();
    Some(CatalogEntry { model, entry })
}

/// Takes none, and says so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentsParams {}

pub(super) fn agents(ctx: RequestCtx, _params: AgentsParams) -> MethodResult {
    let snapshot = &ctx.live.snapshot;
    let rows: Vec<Value> = snapshot
        .agents
        .iter()
        .map(|agent| agent_row(&ctx.live, agent))
        .collect();
    payload(&json!({
        "defaultId": snapshot.default_agent(),
        "mainKey": main_key(snapshot),
        "scope": session_scope(snapshot),
        "agents": rows,
    }))
}

fn agent_row(live: &Live, agent: &AgentProfile) -> Value {
    let mut row = Map::new();
    row.insert("id".to_owned(), json!(agent.id));
    if let Some(name) = &agent.name {
        row.insert("name".to_owned(), json!(name));
    }
    let identity: Map<String, Value> = [
        ("name", &agent.identity_name),
        ("theme", &agent.identity_theme),
        ("emoji", &agent.identity_emoji),
        ("avatar", &agent.identity_avatar),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))))
    .collect();
    if !identity.is_empty() {
        row.insert("identity".to_owned(), Value::Object(identity));
    }
    row.insert("workspace".to_owned(), json!(agent.workspace.display().to_string()));
    row.insert(
        "agentRuntime".to_owned(),
        json!({ "id": "openclaw", "source": "implicit" }),
    );
    let primary = agent
        .model
        .primary
        .clone()
        .or_else(|| live.models.default_model().map(|model| model.to_string()));
    if let Some(primary) = primary {
        let mut model = json!({ "primary": primary });
        if let Some(model) = model.as_object_mut().filter(|_| !agent.model.fallbacks.is_empty()) {
            model.insert("fallbacks".to_owned(), json!(agent.model.fallbacks));
        }
        row.insert("model".to_owned(), model);
    }
    Value::Object(row)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IdentityParams {
    #[serde(default)]
    #[schemars(length(min = 1))]
    agent_id: Option<String>,
    #[serde(default)]
    session_key: Option<String>,
}

pub(super) fn identity(ctx: RequestCtx, params: IdentityParams) -> MethodResult {
    let snapshot = &ctx.live.snapshot;
    let id = params
        .agent_id
        .or_else(|| params.session_key.as_deref().and_then(agent_of_key))
        .unwrap_or_else(|| snapshot.default_agent().as_str().to_owned());
    let agent = known_agent(snapshot, "agent.identity.get", &id)?;
    let name = agent
        .identity_name
        .as_deref()
        .or(agent.name.as_deref())
        .unwrap_or("Assistant");
    let initial = || name.chars().next().map(|letter| letter.to_uppercase().to_string());
    let avatar = agent
        .identity_avatar
        .clone()
        .or_else(|| agent.identity_emoji.clone())
        .or_else(initial)
        .unwrap_or_default();
    let mut answer = json!({ "agentId": agent.id, "name": name, "avatar": avatar });
    if let Some(answer) = answer.as_object_mut() {
        if let Some(emoji) = &agent.identity_emoji {
            answer.insert("emoji".to_owned(), json!(emoji));
        }
        let status = match agent.identity_avatar.as_deref() {
            None => "none",
            Some(avatar) if avatar.starts_with("data:") => "data",
            Some(avatar) if avatar.starts_with("http://") || avatar.starts_with("https://") => "remote",
            Some(_) => "local",
        };
        answer.insert("avatarStatus".to_owned(), json!(status));
        if status == "none" {
            answer.insert("avatarReason".to_owned(), json!("missing"));
        }
    }
    payload(&answer)
}

fn agent_of_key(key: &str) -> Option<String> {
    SessionKey::new(key.to_lowercase())
        .agent()
        .map(|agent: AgentId| agent.as_str().to_owned())
}

fn known_agent<'a>(snapshot: &'a Snapshot, method: &str, id: &str) -> Result<&'a AgentProfile, Fault> {
    snapshot
        .agent(&id.to_lowercase())
        .ok_or_else(|| Fault::invalid(format!("invalid {method} params: unknown agent id \"{id}\"")))
}
