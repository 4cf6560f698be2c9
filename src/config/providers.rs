//! Model providers, flattened, with their secrets.

use std::time::Duration;

use serde_json::Value;

use super::accounts::{StoredProfiles, accounts, rest_policy};
use super::defaults::{CONTEXT_WINDOW, MAX_TOKENS};
use super::secrets::SecretTable;
use super::snapshot::{Issue, ModelEntry, ModelOverride, ProviderSettings, RestPolicy};
use super::types::auth::Auth;
use super::types::models::{Api, Modality, Model, Models, Provider, ProviderAuth};

/// Providers in the order of the file. A credential that does not resolve makes only its provider unusable, with a warning.
pub fn flatten(
    models: &Models,
    auth: &Auth,
    stored: &StoredProfiles,
    runtime: &Value,
    secrets: &SecretTable,
    warnings: &mut Vec<Issue>,
) -> Vec<ProviderSettings> {
    let order = runtime.pointer("/models/providers").and_then(Value::as_object);
    let names = order.into_iter().flat_map(|map| map.keys());
    names
        .filter_map(|id| {
            models.providers.get(id).map(|provider| ProviderSettings {
                accounts: accounts(id, auth, stored, secrets, warnings),
                rest: rest_policy(id, &auth.cooldowns),
                ..settings(id, provider, secrets, warnings)
            })
        })
        .collect()
}

fn settings(id: &str, provider: &Provider, secrets: &SecretTable, warnings: &mut Vec<Issue>) -> ProviderSettings {
    let base = format!("models.providers.{id}");
    let mut api_key = provider.api_key.as_ref().map_or(Ok(None), |input| secrets.get(input));
    if let Err(reason) = &api_key {
        warnings.push(Issue::warning(
            format!("{base}.apiKey"),
            format!("{reason} Provider \"{id}\" cannot be used until it is there."),
        ));
    }
    let mut headers = Vec::new();
    for (section, map) in [
        ("headers", &provider.headers),
        ("request.headers", &provider.request.headers),
    ] {
        for (name, input) in map {
            match secrets.get(input) {
                Ok(Some(value)) => {
                    headers.retain(|(known, _): &(String, _)| !known.eq_ignore_ascii_case(name));
                    headers.push((name.clone(), value));
                }
                Ok(None) => {}
                Err(reason) => {
                    warnings.push(Issue::warning(
                        format!("{base}.{section}.{name}"),
                        format!("{reason} Provider \"{id}\" cannot be used until it is there."),
                    ));
                    if api_key.is_ok() {
                        api_key = Err(reason);
                    }
                }
            }
        }
    }
    ProviderSettings {
        id: id.to_owned(),
        base_url: provider
            .base_url
            .as_deref()
            .unwrap_or_default()
            .trim()
            .trim_end_matches('/')
            .to_owned(),
        api: provider.api.unwrap_or(Api::OpenaiCompletions).as_str().to_owned(),
        api_key,
        key_is_bearer: provider
            .auth_header
            .unwrap_or(matches!(provider.auth, Some(ProviderAuth::Oauth | ProviderAuth::Token))),
        headers,
        idle_timeout: provider.timeout_seconds.map(Duration::from_secs),
        models: provider.models.iter().map(|model| entry(model, provider)).collect(),
        overrides: overrides(&base, provider, secrets, warnings),
        accounts: Vec::new(),
        rest: RestPolicy::default(),
    }
}

/// A header that does not resolve is left out, with a warning: the model then answers what it answers without it.
fn overrides(base: &str, provider: &Provider, secrets: &SecretTable, warnings: &mut Vec<Issue>) -> Vec<ModelOverride> {
    let is_special = |model: &&Model| model.api.is_some() || model.base_url.is_some() || !model.headers.is_empty();
    provider
        .models
        .iter()
        .filter(is_special)
        .map(|model| {
            let mut headers = Vec::new();
            for (name, input) in &model.headers {
                match secrets.get(input) {
                    Ok(value) => headers.extend(value.map(|value| (name.clone(), value))),
                    Err(reason) => warnings.push(Issue::warning(format!("{base}.models"), reason)),
                }
            }
            ModelOverride {
                model: model.id.clone(),
                api: model.api.map(|api| api.as_str().to_owned()),
                base_url: model
                    .base_url
                    .as_deref()
                    .map(|url| url.trim().trim_end_matches('/').to_owned()),
                headers,
            }
        })
        .collect()
}

fn entry(model: &Model, provider: &Provider) -> ModelEntry {
    let stated_window = model.context_window.or(provider.context_window);
    let context_window = stated_window.unwrap_or(CONTEXT_WINDOW);
    let max_tokens = model
        .max_tokens
        .or(provider.max_tokens)
        .unwrap_or(MAX_TOKENS)
        .min(context_window);
    let input = model.input.as_deref().unwrap_or(&[Modality::Text]);
    ModelEntry {
        id: model.id.clone(),
        name: model
            .name
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| model.id.clone()),
        reasoning: model.reasoning,
        input: input.iter().map(|kind| kind.as_str().to_owned()).collect(),
        context_window,
        is_window_known: stated_window.is_some(),
        max_tokens,
        cost: [
            model.cost.input,
            model.cost.output,
            model.cost.cache_read,
            model.cost.cache_write,
        ],
    }
}
