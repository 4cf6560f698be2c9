//! All providers of one snapshot, and how model names are understood.

use std::sync::Arc;

use crate::config::{EmbeddingSettings, ModelEntry, ProviderSettings, RestPolicy};
use crate::domain::embedding::EmbeddingProvider;
use crate::domain::model::{CallError, ModelProvider, ModelRef};

use super::anthropic_messages::{self, AnthropicMessages};
use super::cooldown::Cooldowns;
use super::demo::{self, Demo};
use super::embeddings::OpenAiEmbeddings;
use super::google_generative_ai::{self, GoogleGenerativeAi};
use super::http::HttpClients;
use super::ollama::{self, Ollama};
use super::openai_completions::{self, OpenAiCompletions};
use super::openai_responses::{self, OpenAiResponses};
use super::unusable::Unusable;

/// All providers of one snapshot, in config order. The demo is last and only there when nothing is configured.
#[derive(Debug, Default)]
pub struct Registry {
    providers: Vec<Registered>,
    http: HttpClients,
    cooldowns: Cooldowns,
}

/// One way to a provider: with its own key, or with one of several accounts.
#[derive(Debug, Clone)]
pub struct Account {
    /// Key of `auth.profiles`; `None`: the provider's own key.
    pub profile: Option<Arc<str>>,
    /// The provider with this account's credential.
    pub provider: Arc<dyn ModelProvider>,
}

#[derive(Debug, Clone)]
struct Registered {
    id: Arc<str>,
    /// At least one, in configured order.
    accounts: Arc<[Account]>,
    /// Accounts of models that are served differently, by model id.
    overrides: Arc<[(String, Arc<[Account]>)]>,
    rest: RestPolicy,
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
    pub fn build(providers: &[ProviderSettings], http: &HttpClients, cooldowns: &Cooldowns) -> Self {
        let mut registered: Vec<Registered> = providers.iter().map(|settings| register(settings, http)).collect();
        if registered.is_empty() {
            registered.push(Registered {
                id: Arc::from(demo::ID),
                accounts: Arc::from([Account {
                    profile: None,
                    provider: Arc::new(Demo),
                }]),
                overrides: Arc::from([]),
                rest: RestPolicy::default(),
                models: Arc::from([Demo::entry()]),
                is_usable: true,
            });
        }
        Self {
            providers: registered,
            http: http.clone(),
            cooldowns: cooldowns.clone(),
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
            cooldowns: self.cooldowns.clone(),
        }
    }

    /// The provider of this id (any letter case), if configured, with the first of its accounts.
    pub fn provider(&self, id: &str) -> Option<Arc<dyn ModelProvider>> {
        let account = self.find(id)?.accounts.first()?;
        Some(Arc::clone(&account.provider))
    }

    /// The accounts to try for `model`: in configured order, those that rest last, the soonest to wake first. Empty if
    /// the provider is not configured.
    pub fn accounts(&self, model: &ModelRef, now_ms: i64) -> Vec<Account> {
        let Some(registered) = self.find(&model.provider) else {
            return Vec::new();
        };
        let special = registered.overrides.iter().find(|(id, _)| **id == *model.model);
        let mut accounts = special.map_or(&registered.accounts, |(_, own)| own).to_vec();
        accounts.sort_by_key(|account| match &account.profile {
            Some(profile) => self.cooldowns.rests_until(profile, &model.model, now_ms),
            None => 0,
        });
        accounts
    }

    /// A call with this account failed.
    pub fn failed(&self, account: &Account, model: &ModelRef, error: &CallError, now_ms: i64) {
        if let (Some(profile), Some(registered)) = (&account.profile, self.find(&model.provider)) {
            self.cooldowns
                .failed(profile, &model.model, error, &registered.rest, now_ms);
        }
    }

    /// A call with this account succeeded.
    pub fn succeeded(&self, account: &Account) {
        if let Some(profile) = &account.profile {
            self.cooldowns.succeeded(profile);
        }
    }

    /// How many accounts of this provider are tried, and how they rest.
    pub fn rest_policy(&self, model: &ModelRef) -> RestPolicy {
        self.find(&model.provider)
            .map(|registered| registered.rest.clone())
            .unwrap_or_default()
    }

    /// The model's name for metrics: its id if it is listed, so that callers cannot make labels up.
    pub fn label<'a>(&self, model: &'a ModelRef) -> &'a str {
        if self.entry(model).is_some() {
            &model.model
        } else {
            UNLISTED
        }
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
    let (accounts, is_usable) = accounts_of(settings, http);
    let overrides = settings.overrides.iter().map(|special| {
        let mut own = ProviderSettings {
            api: special.api.clone().unwrap_or_else(|| settings.api.clone()),
            base_url: special.base_url.clone().unwrap_or_else(|| settings.base_url.clone()),
            ..settings.clone()
        };
        own.headers.extend(special.headers.iter().cloned());
        (special.model.clone(), accounts_of(&own, http).0)
    });
    Registered {
        overrides: overrides.collect(),
        accounts,
        rest: settings.rest.clone(),
        id,
        models: settings.models.clone().into(),
        is_usable,
    }
}

/// The ways to a provider, at least one, and whether any of them can be called.
fn accounts_of(settings: &ProviderSettings, http: &HttpClients) -> (Arc<[Account]>, bool) {
    let id: Arc<str> = Arc::from(settings.id.as_str());
    let mut accounts: Vec<Account> = settings
        .accounts
        .iter()
        .filter_map(|account| {
            let with_its_key = ProviderSettings {
                api_key: Ok(Some(account.key.clone())),
                key_is_bearer: settings.key_is_bearer || account.is_bearer,
                ..settings.clone()
            };
            Some(Account {
                profile: Some(Arc::from(account.profile.as_str())),
                provider: build(&with_its_key, http.clone()).ok()?,
            })
        })
        .collect();
    let mut is_usable = !accounts.is_empty();
    // The provider's own key comes after its accounts, and says what is missing if there is nothing else.
    if accounts.is_empty() || matches!(settings.api_key, Ok(Some(_))) {
        let own = build(settings, http.clone());
        is_usable |= own.is_ok();
        accounts.push(Account {
            profile: None,
            provider: own.unwrap_or_else(|reason| Arc::new(Unusable::new(Arc::clone(&id), reason))),
        });
    }
    (accounts.into(), is_usable)
}

/// Stands in metrics for every model that no provider lists.
const UNLISTED: &str = "unlisted";

/// Dialects that this gateway speaks.
const SUPPORTED: [&str; 5] = [
    openai_completions::API,
    openai_responses::API,
    anthropic_messages::API,
    google_generative_ai::API,
    ollama::API,
];

/// The provider of the configured dialect. The error is the public reason why it cannot be used.
fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Arc<dyn ModelProvider>, String> {
    Ok(match settings.api.as_str() {
        openai_completions::API => Arc::new(OpenAiCompletions::build(settings, http)?),
        openai_responses::API => Arc::new(OpenAiResponses::build(settings, http)?),
        anthropic_messages::API => Arc::new(AnthropicMessages::build(settings, http)?),
        google_generative_ai::API => Arc::new(GoogleGenerativeAi::build(settings, http)?),
        ollama::API => Arc::new(Ollama::build(settings, http)?),
        demo::ID => Arc::new(Demo),
        other => {
            return Err(format!(
                "provider `{}` uses api `{other}`, which this gateway does not speak; supported: {}",
                settings.id,
                SUPPORTED.join(", ")
            ));
        }
    })
}
