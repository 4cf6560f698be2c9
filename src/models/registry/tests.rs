//! Names, defaults and the demo.

use super::*;
use crate::base::Secret;
use crate::config::{AccountSettings, ModelOverride};
use crate::domain::model::{CallErrorClass, ModelCall, ToolChoice};
use crate::models::failure::call_error;

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
        key_is_bearer: false,
        headers: Vec::new(),
        idle_timeout: None,
        overrides: Vec::new(),
        accounts: Vec::new(),
        rest: RestPolicy::default(),
        models: models.iter().map(|id| entry(id)).collect(),
    }
}

fn registry(settings: &[ProviderSettings]) -> Registry {
    Registry::build(settings, &HttpClients::new(), &Cooldowns::default())
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
        trace: None,
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
        settings("a", "bedrock-converse-stream", &["claude"]),
        settings("b", "openai-completions", &["m"]),
    ]);
    assert_eq!(shown(registry.default_model()), "b/m");
    assert_eq!(registry.catalog().len(), 2);
}

#[tokio::test]
async fn unknown_dialects_and_missing_keys_say_so_on_every_call() {
    let mut keyless = settings("k", "openai-completions", &["m"]);
    keyless.api_key = Err("environment variable OPENAI_API_KEY is not set".to_owned());
    let registry = registry(&[settings("a", "bedrock-converse-stream", &["claude"]), keyless]);
    let dialect = refusal(&registry, "a").await;
    assert_eq!(dialect.class, CallErrorClass::NotConfigured);
    assert!(dialect.message.contains("bedrock-converse-stream") && dialect.message.contains("openai-completions"));
    let key = refusal(&registry, "k").await;
    assert_eq!(key.class, CallErrorClass::NotConfigured);
    assert!(key.message.contains("OPENAI_API_KEY"), "{}", key.message);
}

#[tokio::test]
async fn accounts_that_rest_are_asked_last_and_the_own_key_stays_in_its_place() {
    let mut provider = settings("p", "openai-completions", &["m"]);
    provider.accounts = ["p:a", "p:b"]
        .map(|profile| AccountSettings {
            profile: profile.to_owned(),
            key: Secret::new(format!("key-of-{profile}")),
            is_bearer: false,
        })
        .into();
    let registry = registry(&[provider]);
    let model = registry.resolve("p/m").unwrap();
    let order = |now_ms| -> Vec<String> {
        let accounts = registry.accounts(&model, now_ms);
        let names = accounts
            .iter()
            .map(|account| account.profile.as_deref().unwrap_or("own"));
        names.map(str::to_owned).collect()
    };
    assert_eq!(order(0), ["p:a", "p:b", "own"]);
    let error = call_error(CallErrorClass::RateLimit, "slow down");
    registry.failed(&registry.accounts(&model, 0)[0], &model, &error, 0);
    assert_eq!(order(1), ["p:b", "own", "p:a"]);
    assert_eq!(order(30_001), ["p:a", "p:b", "own"]);
    assert!(
        registry
            .accounts(
                &ModelRef {
                    provider: "x".into(),
                    ..model.clone()
                },
                0
            )
            .is_empty()
    );
}

#[test]
fn a_model_may_be_served_in_another_dialect_than_its_provider() {
    let mut provider = settings("p", "openai-completions", &["m", "claude"]);
    provider.overrides = vec![ModelOverride {
        model: "claude".to_owned(),
        api: Some("anthropic-messages".to_owned()),
        base_url: None,
        headers: Vec::new(),
    }];
    let registry = registry(&[provider]);
    let api = |name| registry.accounts(&registry.resolve(name).unwrap(), 0)[0].provider.api();
    assert_eq!(
        (api("p/m"), api("p/claude")),
        ("openai-completions", "anthropic-messages")
    );
}

#[test]
fn metrics_name_listed_models_only() {
    let registry = registry(&[settings("p", "openai-completions", &["m"])]);
    assert_eq!(registry.label(&registry.resolve("p/m").unwrap()), "m");
    assert_eq!(registry.label(&registry.resolve("p/made-up").unwrap()), "unlisted");
}
