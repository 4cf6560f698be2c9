//! `sessions.patch`: settings of one session.

use serde_json::{Map, Value, json};

use super::changed::{check_incarnation, entry, publish, state_db};
use crate::base::SessionKey;
use crate::config::AgentProfile;
use crate::domain::model::ModelRef;
use crate::domain::{Fault, Scope};
use crate::models::Registry;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::{Target, is_admin};
use crate::sessions::rows;
use crate::store::{PatchSession, SessionQuery};
use crate::wire::params::sessions::SessionsPatch;

/// What a caller without admin may change.
const WRITER_SETTINGS: [&str; 9] = [
    "label",
    "model",
    "thinkingLevel",
    "archived",
    "pinned",
    "unread",
    "icon",
    "color",
    "category",
];
/// Settings with a closed list of values.
const CHOICES: [(&str, &[&str]); 8] = [
    ("thinkingLevel", &rows::THINKING_LEVELS),
    ("verboseLevel", &["on", "off", "full"]),
    ("reasoningLevel", &["on", "off", "stream"]),
    ("traceLevel", &["on", "off", "raw"]),
    ("elevatedLevel", &["on", "off", "ask", "full"]),
    ("execHost", &["auto", "sandbox", "gateway", "node"]),
    ("execSecurity", &["deny", "allowlist", "full"]),
    ("execAsk", &["off", "on-miss", "always"]),
];

pub(super) async fn patch(ctx: RequestCtx, params: SessionsPatch) -> MethodResult {
    let target = Target::of(&ctx, &params.key, params.agent_id.as_deref())?;
    target.check_agent(&ctx)?;
    let mut settings = sent_settings(&params);
    if !is_admin(&ctx) && !settings.keys().all(|name| WRITER_SETTINGS.contains(&name.as_str())) {
        return Err(Fault::missing_scope(Scope::Admin.as_str()).into());
    }
    check_choices(&settings)?;
    let profile = ctx.live.snapshot.agent(target.agent.as_str());
    if let Some(model) = &params.model {
        settings.remove("model");
        settings.extend(model_settings(model.as_deref(), profile, &ctx.live.models)?);
    }
    if let Some(Some(label)) = &params.label {
        check_label(&ctx, &target.key, label).await?;
    }
    let store = &ctx.services.store;
    let before = store.session(target.key.as_str()).await.map_err(store_fault)?;
    check_incarnation(before.as_ref(), params.expected_session_id.as_deref())?;
    if before.is_none() && says_nothing(&settings) {
        // Clients mark what they show as read, also sessions that do not exist yet; that makes no session.
        return answer(&ctx, &target, Map::new(), &settings);
    }
    let row = store
        .patch_session(PatchSession {
            key: target.key.to_string(),
            agent_id: target.agent.to_string(),
            patch: settings,
            now_ms: ctx.services.clock.now_ms(),
        })
        .await
        .map_err(store_fault)?;
    publish(&ctx, &target.key, "patch", Some(&row));
    answer(&ctx, &target, entry(&ctx, &row), &row.settings)
}

fn answer(ctx: &RequestCtx, target: &Target, entry: Map<String, Value>, settings: &Map<String, Value>) -> MethodResult {
    payload(&json!({
        "ok": true,
        "path": state_db(ctx).display().to_string(),
        "key": target.key,
        "entry": entry,
        "resolved": rows::resolved(settings, &target.agent, &ctx.live.snapshot, &ctx.live.models),
    }))
}

/// Whether a session that does not exist has these settings already.
fn says_nothing(settings: &Map<String, Value>) -> bool {
    settings
        .values()
        .all(|value| value.is_null() || *value == Value::Bool(false))
}

fn sent_settings(params: &SessionsPatch) -> Map<String, Value> {
    match serde_json::to_value(params) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    }
}

/// Refuses values that no session may have.
pub(super) fn check_choices(settings: &Map<String, Value>) -> Result<(), Fault> {
    for (name, values) in CHOICES {
        let sent = settings.get(name).and_then(Value::as_str);
        if sent.is_some_and(|sent| !values.contains(&sent)) {
            return Err(Fault::invalid(format!("invalid {name} (use {})", values.join("|"))));
        }
    }
    Ok(())
}

/// Refuses a label that another session has.
pub(super) async fn check_label(ctx: &RequestCtx, key: &SessionKey, label: &str) -> Result<(), Fault> {
    let query = SessionQuery {
        label: Some(label.to_owned()),
        limit: 2,
        ..SessionQuery::default()
    };
    let page = ctx.services.store.sessions(query).await.map_err(store_fault)?;
    if page.rows.iter().any(|row| row.key != key.as_str()) {
        return Err(Fault::invalid(format!("label already in use: {label}")));
    }
    Ok(())
}

/// Settings that choose a model, or clear the choice: `None`, or the model that the agent uses anyway.
pub(super) fn model_settings(
    text: Option<&str>,
    profile: Option<&AgentProfile>,
    models: &Registry,
) -> Result<Map<String, Value>, Fault> {
    let chosen = match text.map(str::trim) {
        None => None,
        Some(text) => Some(resolve(text, profile, models)?),
    };
    let chosen = chosen.filter(|chosen| rows::agent_model(profile, models).as_ref() != Some(chosen));
    let (provider, model, source) = match &chosen {
        Some(chosen) => (json!(&*chosen.provider), json!(&*chosen.model), json!("user")),
        None => (Value::Null, Value::Null, Value::Null),
    };
    let members = [
        ("providerOverride", provider),
        ("modelOverride", model),
        ("modelOverrideSource", source),
    ];
    Ok(members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// A listed model, or any model of a known provider.
fn resolve(text: &str, profile: Option<&AgentProfile>, models: &Registry) -> Result<ModelRef, Fault> {
    let found = models.resolve(text).or_else(|| {
        let (provider, model) = text.split_once('/')?;
        models.provider(provider).map(|_| ModelRef {
            provider: provider.into(),
            model: model.into(),
        })
    });
    let Some(found) = found else {
        return Err(Fault::invalid(format!("invalid model: {text}")));
    };
    let allowed = profile.map(|profile| &profile.allowed_models);
    let full = found.to_string();
    if allowed.is_some_and(|allowed| !allowed.is_empty() && !allowed.contains(&full)) {
        return Err(Fault::invalid(format!("model not allowed: {full}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_level_is_refused_with_the_levels_there_are() {
        let settings = |value: &str| Map::from_iter([("thinkingLevel".to_owned(), json!(value))]);
        assert_eq!(
            check_choices(&settings("bogus")).unwrap_err().message,
            "invalid thinkingLevel (use off|minimal|low|medium|high)"
        );
        assert!(check_choices(&settings("low")).is_ok());
        let cleared = Map::from_iter([("thinkingLevel".to_owned(), Value::Null)]);
        assert!(check_choices(&cleared).is_ok());
    }

    #[test]
    fn clearing_the_model_clears_every_part_of_the_override() {
        let cleared = model_settings(None, None, &Registry::default()).unwrap();
        assert_eq!(
            Value::Object(cleared),
            json!({"providerOverride": null, "modelOverride": null, "modelOverrideSource": null})
        );
        let error = model_settings(Some("nosuch/x"), None, &Registry::default()).unwrap_err();
        assert_eq!(error.message, "invalid model: nosuch/x");
    }
}
