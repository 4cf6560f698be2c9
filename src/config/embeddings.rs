//! Where an agent's embeddings come from: `memorySearch` of the agent, then of the defaults, then `models.providers`.

use super::agents::agent_id;
use super::snapshot::{ProviderSettings, Snapshot};
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

/// Whether providers of this dialect also serve OpenAI's `/embeddings`.
fn speaks_embeddings(api: &str) -> bool {
    api.starts_with("openai-") || api == "ollama"
}

/// Where a provider serves OpenAI's paths. Ollama does it below its own ones.
fn openai_base(provider: &ProviderSettings) -> String {
    let base = provider.base_url.trim_end_matches('/');
    match provider.api.as_str() {
        "ollama" if !base.ends_with("/v1") => format!("{base}/v1"),
        _ => base.to_owned(),
    }
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
            .or_else(|| known.map(openai_base))
            .or_else(|| is_openai.then(|| OPENAI_URL.to_owned()))
            .unwrap_or_default();
        let mut headers = Vec::new();
        let mut api_key = match own.remote.api_key.as_ref().or(default.remote.api_key.as_ref()) {
            Some(input) => self.secrets.get(input),
            // A key goes nowhere but to the address it is configured with.
            None if remote.is_some() => Ok(None),
            None => match known {
                Some(known) if !speaks_embeddings(&known.api) => Err(format!(
                    "its api `{}` has no embeddings that this gateway can ask for; {REMEDY}",
                    known.api
                )),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Env, snapshot_from_json5};

    fn settings(memory: Value, providers: Value, env: &[(&str, &str)]) -> EmbeddingSettings {
        let source = json!({
            "agents": {"defaults": {"memorySearch": memory}, "list": [{"id": "main"}]},
            "models": {"providers": providers},
        });
        let env: Env = env.iter().copied().collect();
        let snapshot = snapshot_from_json5(&source.to_string(), Path::new("/nonexistent"), &env).unwrap();
        snapshot.embedding(&AgentId::new("main"))
    }

    fn provider(api: &str, base: &str) -> Value {
        json!({"api": api, "baseUrl": base, "apiKey": "sk-provider", "models": [{"id": "m", "name": "m"}]})
    }

    fn key(settings: &EmbeddingSettings) -> Option<&str> {
        settings.api_key.as_ref().unwrap().as_ref().map(Secret::expose)
    }

    #[test]
    fn a_configured_provider_lends_its_address_and_key() {
        let providers = json!({"p": provider("openai-completions", "http://p/v1/")});
        let found = settings(json!({"provider": "p", "model": "e"}), providers.clone(), &[]);
        assert_eq!(
            (found.base_url.as_str(), key(&found)),
            ("http://p/v1", Some("sk-provider"))
        );
        let auto = settings(json!({"provider": "auto", "model": "e"}), providers.clone(), &[]);
        assert_eq!(auto.provider, "p");
        let elsewhere = json!({"provider": "p", "model": "e", "remote": {"baseUrl": "http://q/v1"}});
        let found = settings(elsewhere, providers, &[]);
        assert_eq!((found.base_url.as_str(), key(&found)), ("http://q/v1", None));
    }

    #[test]
    fn openai_needs_only_a_key() {
        let found = settings(json!({}), json!({}), &[("OPENAI_API_KEY", "sk-env")]);
        assert_eq!((found.base_url.as_str(), key(&found)), (OPENAI_URL, Some("sk-env")));
        assert_eq!(found.model, OPENAI_MODEL);
        assert!(
            settings(json!({}), json!({}), &[])
                .api_key
                .unwrap_err()
                .contains("memorySearch")
        );
    }

    #[test]
    fn dialects_without_embeddings_say_so() {
        let memory = json!({"provider": "p", "model": "e"});
        let ollama = json!({"p": provider("ollama", "http://127.0.0.1:11434")});
        assert_eq!(
            settings(memory.clone(), ollama, &[]).base_url,
            "http://127.0.0.1:11434/v1"
        );
        let other = json!({"p": provider("anthropic-messages", "http://a")});
        assert!(
            settings(memory, other, &[])
                .api_key
                .unwrap_err()
                .contains("anthropic-messages")
        );
        let no_model = json!({"p": provider("openai-completions", "http://p/v1")});
        let found = settings(json!({"provider": "p"}), no_model, &[]);
        assert!(found.api_key.unwrap_err().contains("no model"));
    }
}
