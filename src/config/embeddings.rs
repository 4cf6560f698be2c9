//! Where an agent's embeddings come from: `memorySearch` of the agent, then of the defaults, then `models.providers`.

use super::agents::agent_id;
use super::snapshot::Snapshot;
use super::types::agents::MemorySearch;
use crate::base::{AgentId, Secret};

const OPENAI: &str = "openai";
const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENAI_MODEL: &str = "text-embedding-3-small";
const REMEDY: &str = "set agents.defaults.memorySearch.provider and .model to a provider of models.providers that serves \
                      /embeddings, or .remote.baseUrl and .remote.apiKey";

/// An embedding model with its secrets resolved.
#[derive(Debug, Clone)]
pub struct EmbeddingSettings {
    /// Key of `models.providers`, or `openai`.
    pub provider: String,
    /// Base URL without trailing slash.
    pub base_url: String,
    /// API key; `Err` holds the public reason why the provider cannot be used.
    pub api_key: Result<Option<Secret>, String>,
    /// Extra request headers.
    pub headers: Vec<(String, Secret)>,
    /// The provider's model id; empty if none is configured.
    pub model: String,
    /// Length of the vectors where the request names none.
    pub dimensions: Option<u64>,
}

impl Snapshot {
    /// Where the embeddings of `agent` come from. What is missing is told when they are asked for.
    pub fn embedding(&self, agent: &AgentId) -> EmbeddingSettings {
        let agents = &self.config.agents;
        let default = &agents.defaults.memory_search;
        let none = MemorySearch::default();
        let own = agents
            .list
            .iter()
            .find(|listed| agent_id(&listed.id).as_ref() == Some(agent))
            .map_or(&none, |listed| &listed.entry.memory_search);
        let text = |pick: fn(&MemorySearch) -> Option<&String>| {
            let text = pick(own).or_else(|| pick(default))?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let provider = match text(|memory| memory.provider.as_ref()) {
            Some(name) if name != "auto" => name,
            Some(_) => self
                .providers
                .first()
                .map_or(OPENAI, |first| first.id.as_str())
                .to_owned(),
            None => OPENAI.to_owned(),
        };
        let known = self.providers.iter().find(|known| known.id == provider);
        let remote = text(|memory| memory.remote.base_url.as_ref());
        let is_openai = provider == OPENAI && remote.is_none();
        let base_url = remote
            .clone()
            .or_else(|| known.map(|known| known.base_url.clone()))
            .or_else(|| is_openai.then(|| OPENAI_URL.to_owned()))
            .unwrap_or_default();
        let mut headers = Vec::new();
        let mut api_key = match own.remote.api_key.as_ref().or(default.remote.api_key.as_ref()) {
            Some(input) => self.secrets.get(input),
            // A key goes nowhere but to the address it is configured with.
            None if remote.is_some() => Ok(None),
            None => match known {
                Some(known) => {
                    headers.clone_from(&known.headers);
                    known.api_key.clone()
                }
                None => match self.env.get("OPENAI_API_KEY").filter(|_| is_openai) {
                    Some(key) => Ok(Some(Secret::new(key))),
                    None => Err(format!("it is not configured; {REMEDY}")),
                },
            },
        };
        let maps = [&default.remote.headers, &own.remote.headers];
        for (name, input) in maps.into_iter().flatten() {
            match self.secrets.get(input) {
                Ok(Some(value)) => {
                    headers.retain(|(known, _): &(String, Secret)| !known.eq_ignore_ascii_case(name));
                    headers.push((name.clone(), value));
                }
                Ok(None) => {}
                Err(reason) => api_key = Err(reason),
            }
        }
        let model = text(|memory| memory.model.as_ref()).or_else(|| is_openai.then(|| OPENAI_MODEL.to_owned()));
        if model.is_none() && api_key.is_ok() {
            api_key = Err(format!("no model is configured; {REMEDY}"));
        }
        EmbeddingSettings {
            provider,
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key,
            headers,
            model: model.unwrap_or_default(),
            dimensions: own.output_dimensionality.or(default.output_dimensionality),
        }
    }
}
