//! Which agent answers, in which conversation, with which model.

use http::HeaderMap;
use uuid::Uuid;

use crate::base::{AgentId, SessionKey};
use crate::config::{AgentProfile, EmbeddingSettings, Snapshot};
use crate::domain::model::ModelRef;
use crate::domain::run::Conversation;
use crate::domain::{Fault, FaultKind, Part, Principal, Scope};
use crate::http::models::unknown;
use crate::live::Live;
use crate::models::client::{InputPart, Turn};

/// Longest text that may name a conversation, bytes.
const MAX_NAME: usize = 512;

/// Where a turn goes.
#[derive(Debug)]
pub(in crate::http) struct Target {
    pub agent: AgentId,
    pub conversation: Conversation,
    pub model: Option<ModelRef>,
}

/// How an endpoint names conversations that clients do not name by key.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Keys {
    /// Before `user`: `openai-user`, `openresponses-user`.
    pub user: &'static str,
    /// Before the random name of a conversation that is forgotten: `openai`, `openresponses`.
    pub single: &'static str,
}

/// The agent that a request names.
enum Named<'a> {
    /// None in particular.
    Default,
    /// This one.
    Agent(&'a str),
}

impl Target {
    /// Reads `model`, `user` and the headers.
    pub(in crate::http) fn of(
        live: &Live,
        headers: &HeaderMap,
        principal: &Principal,
        turn: &Turn,
        keys: Keys,
    ) -> Result<Self, Fault> {
        let session_key = header(headers, "x-openclaw-session-key")?
            .map(|key| checked(key, "x-openclaw-session-key"))
            .transpose()?;
        let profile = profile(&live.snapshot, headers, &turn.model, session_key.as_deref())?;
        let conversation = conversation(&profile.id, session_key.as_deref(), headers, turn, keys)?;
        if conversation.key().agent().is_some_and(|owner| owner != profile.id) {
            let text = format!("The session key belongs to another agent than '{}'.", profile.id);
            return Err(Fault::invalid(text).with_param("x-openclaw-session-key"));
        }
        let model = header(headers, "x-openclaw-model")?
            .map(|name| backend_model(live, profile, principal, name))
            .transpose()?;
        Ok(Self {
            agent: profile.id.clone(),
            conversation,
            model,
        })
    }
}

/// The agent that a request for embeddings names, and its embedding model.
pub(in crate::http) fn embedding_target(
    live: &Live,
    headers: &HeaderMap,
    principal: &Principal,
    model: &str,
) -> Result<(AgentId, EmbeddingSettings), Fault> {
    let profile = profile(&live.snapshot, headers, model, None)?;
    let agent = profile.id.clone();
    let mut settings = live.snapshot.embedding(&agent);
    let Some(name) = header(headers, "x-openclaw-model")? else {
        return Ok((agent, settings));
    };
    if !principal.may(Scope::Admin) {
        return Err(Fault::missing_scope(Scope::Admin.as_str()));
    }
    let wrong = |text: &str| Fault::invalid(text).with_param("x-openclaw-model");
    let model = match name.split_once('/') {
        None => name,
        Some(("", _) | (_, "")) => return Err(wrong("Unsupported embedding model reference.")),
        Some((provider, model)) if provider.eq_ignore_ascii_case(&settings.provider) => model,
        Some(_) => {
            let text = "This agent does not allow that embedding provider on `/v1/embeddings`.";
            return Err(wrong(text).with_code("model_not_allowed"));
        }
    };
    model.clone_into(&mut settings.model);
    Ok((agent, settings))
}

/// A header's text, if it says anything. What is no text is refused: ignored, the request would go somewhere else.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fault> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Fault::invalid(format!("{name}: the header is not UTF-8 text")).with_param(name))?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

/// The agent of a request: by header, by `model`, by the owner of the session key, or the default one.
fn profile<'a>(
    snapshot: &'a Snapshot,
    headers: &HeaderMap,
    model: &str,
    session_key: Option<&str>,
) -> Result<&'a AgentProfile, Fault> {
    let model_name = model.to_ascii_lowercase();
    let header_name = header(headers, "x-openclaw-agent-id")?
        .or(header(headers, "x-openclaw-agent")?)
        .map(str::to_ascii_lowercase);
    // `model` must name an agent even if the header overrides which.
    let by_model = named(&model_name).ok_or_else(|| foreign_model(model))?;
    match header_name.as_deref().map_or(by_model, Named::Agent) {
        Named::Agent(id) => snapshot.agent(id).ok_or_else(|| unknown(&format!("openclaw/{id}"))),
        Named::Default => by_key(snapshot, session_key).unwrap_or_else(|| default_profile(snapshot)),
    }
}

/// The agent named by `model`: `openclaw`, `openclaw/<id>`, `openclaw:<id>`, `agent:<id>`.
fn named(model: &str) -> Option<Named<'_>> {
    if matches!(model, "openclaw" | "openclaw/default" | "openclaw:default") {
        return Some(Named::Default);
    }
    ["openclaw/", "openclaw:", "agent:"]
        .into_iter()
        .find_map(|prefix| model.strip_prefix(prefix))
        .filter(|id| is_agent_id(id))
        .map(Named::Agent)
}

fn is_agent_id(id: &str) -> bool {
    const MAX: usize = 64;
    let mut bytes = id.bytes();
    id.len() <= MAX
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

fn foreign_model(model: &str) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!("Model '{model}' not found. Use `openclaw` or `openclaw/<agentId>` as `model`."),
    )
    .with_code("model_not_found")
    .with_param("model")
}

fn default_profile(snapshot: &Snapshot) -> Result<&AgentProfile, Fault> {
    let id = snapshot.default_agent();
    snapshot
        .agent(id.as_str())
        .ok_or_else(|| unknown(&format!("openclaw/{id}")))
}

/// Nobody named an agent, but the session key does.
fn by_key<'a>(snapshot: &'a Snapshot, key: Option<&str>) -> Option<Result<&'a AgentProfile, Fault>> {
    let owner = SessionKey::new(key?).agent()?;
    snapshot.agent(owner.as_str()).map(Ok)
}

/// A stable name makes the conversation durable; without one it is forgotten with the response. A session key in the
/// header is a wish to keep it whatever else the request says.
fn conversation(
    agent: &AgentId,
    session_key: Option<&str>,
    headers: &HeaderMap,
    turn: &Turn,
    keys: Keys,
) -> Result<Conversation, Fault> {
    if let Some(key) = session_key {
        let key = if key.starts_with("agent:") {
            key.to_owned()
        } else {
            format!("agent:{agent}:{key}")
        };
        return Ok(Conversation::Durable(SessionKey::new(key)));
    }
    if !turn.may_keep {
        return Ok(forgotten(agent, keys));
    }
    let chat = header(headers, "x-openwebui-chat-id")?;
    let name = match (chat, &turn.user) {
        (Some(_), _) if is_task_of_open_webui(turn) => return Ok(forgotten(agent, keys)),
        (Some(chat), _) => format!("openai-chat:{}", checked(chat, "x-openwebui-chat-id")?),
        (None, Some(user)) => format!("{}:{}", keys.user, checked(user, "user")?),
        (None, None) => return Ok(forgotten(agent, keys)),
    };
    Ok(Conversation::Durable(SessionKey::new(format!("agent:{agent}:{name}"))))
}

fn forgotten(agent: &AgentId, keys: Keys) -> Conversation {
    let key = format!("agent:{agent}:{}:{}", keys.single, Uuid::new_v4());
    Conversation::Ephemeral(SessionKey::new(key))
}

/// Open WebUI asks for titles, tags, follow-ups and search queries under the id of the chat that they are about. Such a
/// request brings what it needs in its one message, and is no turn of the chat.
fn is_task_of_open_webui(turn: &Turn) -> bool {
    let opens_as_task = |part: &InputPart| match part {
        InputPart::Ready(Part::Text(text)) => text.trim_start().starts_with("### Task:"),
        _ => false,
    };
    !turn.stream && turn.dialogue.history.is_empty() && turn.dialogue.input.first().is_some_and(opens_as_task)
}

/// A name as part of a key: lower case, bounded, without control characters.
fn checked(name: &str, field: &str) -> Result<String, Fault> {
    let name = name.trim();
    if name.len() > MAX_NAME {
        return Err(Fault::invalid(format!("{field}: longer than {MAX_NAME} bytes")).with_param(field));
    }
    if name.chars().any(char::is_control) {
        return Err(Fault::invalid(format!("{field}: contains control characters")).with_param(field));
    }
    Ok(name.to_lowercase())
}

/// The model of `x-openclaw-model`. Whoever pays for models decides which are used, so this takes admin.
fn backend_model(live: &Live, profile: &AgentProfile, principal: &Principal, name: &str) -> Result<ModelRef, Fault> {
    if !principal.may(Scope::Admin) {
        return Err(Fault::missing_scope(Scope::Admin.as_str()));
    }
    let invalid = || Fault::invalid("Invalid `x-openclaw-model`.").with_param("x-openclaw-model");
    if name.starts_with('/') || name.ends_with('/') {
        return Err(invalid());
    }
    let not_allowed = |shown: &str| {
        Fault::invalid(format!("Model '{shown}' is not allowed for agent '{}'.", profile.id))
            .with_code("model_not_allowed")
            .with_param("x-openclaw-model")
    };
    let model = live.models.resolve(name).ok_or_else(|| not_allowed(name))?;
    let shown = model.to_string();
    let is_allowed = profile.allowed_models.is_empty()
        || profile
            .allowed_models
            .iter()
            .chain(&profile.model.primary)
            .chain(&profile.model.fallbacks)
            .any(|allowed| *allowed == shown);
    if is_allowed {
        Ok(model)
    } else {
        Err(not_allowed(&shown))
    }
}
