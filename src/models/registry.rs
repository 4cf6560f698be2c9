//! All providers of one snapshot, and how model names are understood.

use std::sync::Arc;

use crate::config::{EmbeddingSettings, ModelEntry, ProviderSettings};
use crate::domain::embedding::EmbeddingProvider;
use crate::domain::model::{CallError, ModelProvider, ModelRef};

use super::demo::{self, Demo};
use super::embeddings::OpenAiEmbeddings;
use super::http::HttpClients;
use super::openai_completions::{self, OpenAiCompletions};
use super::unusable::Unusable;

/// All providers of one snapshot, in config order. The demo is last and only there when nothing is configured.
#[derive(Debug, Default)]
pub struct Registry {
    providers: Vec<Registered>,
    http: HttpClients,
}

#[derive(Debug, Clone)]
struct Registered {
    id: Arc<str>,
    provider: Arc<dyn ModelProvider>,
    models: Arc<[ModelEntry]>,
    is_usable: bool,
}

/// A model as lists show it.
#[derive(Debug, Clone)]
pub struct CatalogEntry {
    /// `provider/model`.
    pub model: ModelRef,
    /// Facts about it.
    pub entry: ModelEntry,
}

impl Registry {
    /// Builds providers from settings; nothing is contacted. A provider that cannot work is present all the same, and
    /// its calls answer with the reason.
    pub fn build(providers: &[ProviderSettings], http: &HttpClients) -> Self {
        let mut registered: Vec<Registered> = providers.iter().map(|settings| register(settings, http)).collect();
        if registered.is_empty() {
            registered.push(Registered {
                id: Arc::from(demo::ID),
                provider: Arc::new(Demo),
                models: Arc::from([Demo::entry()]),
                is_usable: true,
            });
        }
        Self {
            providers: registered,
            http: http.clone(),
        }
    }

    /// Whether discovery makes sense: no provider is configured.
    pub fn is_demo_only(&self) -> bool {
        self.providers.iter().all(|registered| &*registered.id == demo::ID)
    }

    /// The same registry with a discovered provider in front, unless one of that id is configured.
    #[must_use]
    pub fn with_discovered(&self, settings: &ProviderSettings, http: &HttpClients) -> Self {
        let mut providers = self.providers.clone();
        if self.find(&settings.id).is_none() {
            providers.insert(0, register(settings, http));
        }
        Self {
            providers,
            http: http.clone(),
        }
    }

    /// The provider of this id (any letter case), if configured.
    pub fn provider(&self, id: &str) -> Option<Arc<dyn ModelProvider>> {
        self.find(id).map(|registered| Arc::clone(&registered.provider))
    }

    /// What answers with embeddings; the error says why nothing does.
    pub fn embedder(&self, settings: &EmbeddingSettings) -> Result<Arc<dyn EmbeddingProvider>, CallError> {
        Ok(Arc::new(OpenAiEmbeddings::build(settings, self.http.clone())?))
    }

    /// Facts about `model`; providers may serve models that are not listed, so absence is no error.
    pub fn entry(&self, model: &ModelRef) -> Option<&ModelEntry> {
        self.find(&model.provider)?
            .models
            .iter()
            .find(|entry| entry.id == *model.model)
    }

    /// Every listed model, in config order.
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        self.providers
            .iter()
            .flat_map(|registered| {
                registered.models.iter().map(|entry| CatalogEntry {
                    model: registered.model(&entry.id),
                    entry: entry.clone(),
                })
            })
            .collect()
    }

    /// The model to use when an agent names none: the first listed model of a provider that can be called, else the
    /// first listed one, whose call then says what is missing.
    pub fn default_model(&self) -> Option<ModelRef> {
        let first = |wanted: fn(&Registered) -> bool| {
            self.providers
                .iter()
                .filter(|registered| wanted(registered))
                .find_map(|registered| registered.models.first().map(|entry| registered.model(&entry.id)))
        };
        first(|registered| registered.is_usable).or_else(|| first(|_| true))
    }

    /// Parses `provider/model` (the model need not be listed), or a bare id that a provider lists.
    pub fn resolve(&self, text: &str) -> Option<ModelRef> {
        let text = text.trim();
        if let Some((provider, model)) = text.split_once('/')
            && let Some(registered) = self.find(provider.trim())
        {
            let model = model.trim();
            return (!model.is_empty()).then(|| registered.model(model));
        }
        self.providers
            .iter()
            .find(|registered| registered.models.iter().any(|entry| entry.id == text))
            .map(|registered| registered.model(text))
    }

    fn find(&self, id: &str) -> Option<&Registered> {
        self.providers
            .iter()
            .find(|registered| &*registered.id == id)
            .or_else(|| {
                self.providers
                    .iter()
                    .find(|registered| registered.id.eq_ignore_ascii_case(id))
            })
    }
}

impl Registered {
    fn model(&self, id: &str) -> ModelRef {
        ModelRef {
            provider: Arc::clone(&self.id),
            model: Arc::from(id),
        }
    }
}

fn register(settings: &ProviderSettings, http: &HttpClients) -> Registered {
    let id: Arc<str> = Arc::from(settings.id.as_str());
    let made: Result<Arc<dyn ModelProvider>, String> = match settings.api.as_str() {
        openai_completions::API => OpenAiCompletions::build(settings, http.clone()).map(|made| Arc::new(made) as _),
        demo::ID => Ok(Arc::new(Demo) as _),
        other => Err(format!(
            "provider `{id}` uses api `{other}`, which this gateway does not speak; supported: {}",
            openai_completions::API
        )),
    };
    let is_usable = made.is_ok();
    Registered {
        provider: made.unwrap_or_else(|reason| Arc::new(Unusable::new(Arc::clone(&id), reason))),
        id,
        models: settings.models.clone().into(),
        is_usable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::domain::model::{CallErrorClass, ModelCall, ToolChoice};

    fn entry(id: &str) -> ModelEntry {
        ModelEntry {
            id: id.to_owned(),
            ..Demo::entry()
        }
    }

    fn settings(id: &str, api: &str, models: &[&str]) -> ProviderSettings {
        ProviderSettings {
            id: id.to_owned(),
            base_url: "http://127.0.0.1:1/v1".to_owned(),
            api: api.to_owned(),
            api_key: Ok(Some(Secret::new("sk-test-1"))),
            headers: Vec::new(),
            idle_timeout: None,
            models: models.iter().map(|id| entry(id)).collect(),
        }
    }

    fn registry(settings: &[ProviderSettings]) -> Registry {
        Registry::build(settings, &HttpClients::new())
    }

    fn shown(model: Option<ModelRef>) -> String {
        model.map_or_else(|| "none".to_owned(), |model| model.to_string())
    }

    async fn refusal(registry: &Registry, provider: &str) -> CallError {
        let call = ModelCall {
            model: "m".into(),
            system: None,
            messages: Vec::new(),
            tools: Arc::from([]),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            sampling: Arc::default(),
            stream: false,
            traceparent: None,
        };
        let Err(error) = registry.provider(provider).unwrap().call(&call).await else {
            panic!("the call should be refused");
        };
        error
    }

    #[test]
    fn names_are_understood_in_every_form() {
        let registry = registry(&[
            settings("Mock", "openai-completions", &["m1", "meta/llama"]),
            settings("other", "openai-completions", &["m1", "x"]),
        ]);
        for (text, expected) in [
            ("Mock/m1", "Mock/m1"),
            ("mock/m1", "Mock/m1"),
            ("MOCK/unlisted", "Mock/unlisted"),
            ("mock/meta/llama", "Mock/meta/llama"),
            ("m1", "Mock/m1"),
            ("x", "other/x"),
            ("meta/llama", "Mock/meta/llama"),
            ("mock/", "none"),
            ("nobody/m1", "none"),
            ("unlisted", "none"),
            ("", "none"),
        ] {
            assert_eq!(shown(registry.resolve(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_demo_stands_in_only_when_nothing_is_configured() {
        let empty = registry(&[]);
        assert_eq!(shown(empty.default_model()), "demo/demo");
        assert!(empty.is_demo_only());
        let configured = registry(&[settings("mock", "openai-completions", &["m1"])]);
        assert!(configured.provider("demo").is_none());
        assert_eq!(shown(configured.default_model()), "mock/m1");
    }

    #[test]
    fn a_discovered_provider_comes_before_the_demo() {
        let http = HttpClients::new();
        let found = registry(&[]).with_discovered(&settings("ollama", "openai-completions", &["llama"]), &http);
        assert_eq!(shown(found.default_model()), "ollama/llama");
        assert!(found.provider("demo").is_some());
    }

    #[test]
    fn the_default_skips_providers_that_cannot_be_called() {
        let registry = registry(&[
            settings("a", "anthropic-messages", &["claude"]),
            settings("b", "openai-completions", &["m"]),
        ]);
        assert_eq!(shown(registry.default_model()), "b/m");
        assert_eq!(registry.catalog().len(), 2);
    }

    #[tokio::test]
    async fn unknown_dialects_and_missing_keys_say_so_on_every_call() {
        let mut keyless = settings("k", "openai-completions", &["m"]);
        keyless.api_key = Err("environment variable OPENAI_API_KEY is not set".to_owned());
        let registry = registry(&[settings("a", "anthropic-messages", &["claude"]), keyless]);
        let dialect = refusal(&registry, "a").await;
        assert_eq!(dialect.class, CallErrorClass::NotConfigured);
        assert!(dialect.message.contains("anthropic-messages") && dialect.message.contains("openai-completions"));
        let key = refusal(&registry, "k").await;
        assert_eq!(key.class, CallErrorClass::NotConfigured);
        assert!(key.message.contains("OPENAI_API_KEY"), "{}", key.message);
    }
}
