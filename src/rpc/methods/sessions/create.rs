//! `sessions.create`: a session with settings, and its first message if there is one.

use serde_json::{Map, Value, json};

use super::changed::{entry, publish};
use super::patch::{check_choices, check_label, model_settings};
use crate::base::RunId;
use crate::domain::Fault;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::chat::send::{Outgoing, acknowledgement, submit};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::sessions::key;
use crate::store::PatchSession;
use crate::wire::params::sessions::SessionsCreate;

pub(super) async fn create(ctx: RequestCtx, params: SessionsCreate) -> MethodResult {
    let target = target(&ctx, &params)?;
    let settings = settings(&ctx, &target, &params).await?;
    let row = ctx
        .services
        .store
        .patch_session(PatchSession {
            key: target.key.to_string(),
            agent_id: target.agent.to_string(),
            patch: settings,
            now_ms: ctx.services.clock.now_ms(),
        })
        .await
        .map_err(store_fault)?;
    publish(&ctx, &target.key, "create", Some(&row));
    let mut answer = json!({
        "ok": true,
        "key": target.key,
        "sessionId": row.session_id,
        "entry": entry(&ctx, &row),
        "runStarted": false,
    });
    let message = params.message.or(params.task).unwrap_or_default();
    let attachments = params.attachments.unwrap_or_default();
    if !message.trim().is_empty() || !attachments.is_empty() {
        let run_id = params.idempotency_key.map_or_else(RunId::random, RunId::new);
        let outgoing = Outgoing {
            key_as_sent: target.key.to_string(),
            target,
            message,
            attachments,
            thinking: None,
            timeout_ms: params.timeout_ms,
            run_id: run_id.clone(),
        };
        let accepted = acknowledgement(&run_id, submit(&ctx, outgoing).await?)?;
        if let (Some(map), Value::Object(accepted)) = (answer.as_object_mut(), accepted) {
            map.extend(accepted);
            map.insert("runStarted".to_owned(), true.into());
            map.insert("messageSeq".to_owned(), json!(row.message_count + 1));
        }
    }
    payload(&answer)
}

fn target(ctx: &RequestCtx, params: &SessionsCreate) -> Result<Target, Fault> {
    let agent = match params.agent_id.as_deref() {
        Some(named) => {
            let agent = key::agent_id(named);
            if ctx.live.snapshot.agent(agent.as_str()).is_none() {
                return Err(Fault::invalid(format!("unknown agent id \"{named}\"")));
            }
            agent
        }
        None => ctx.live.snapshot.default_agent().clone(),
    };
    let target = match params.key.as_deref() {
        Some(text) => Target::of(ctx, text, Some(agent.as_str()))?,
        None => Target {
            key: key::dashboard_fresh(&agent),
            agent: agent.clone(),
        },
    };
    if params.agent_id.is_some() && target.agent != agent {
        return Err(Fault::invalid(format!(
            "sessions.create key agent ({}) does not match agentId ({agent})",
            target.agent
        )));
    }
    target.check_agent(ctx)?;
    Ok(target)
}

async fn settings(ctx: &RequestCtx, target: &Target, params: &SessionsCreate) -> Result<Map<String, Value>, Fault> {
    let mut settings = Map::new();
    let named = [
        ("label", &params.label),
        ("thinkingLevel", &params.thinking_level),
        ("category", &params.category),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            settings.insert(name.to_owned(), json!(value));
        }
    }
    check_choices(&settings)?;
    if let Some(label) = &params.label {
        check_label(ctx, &target.key, label).await?;
    }
    if let Some(model) = &params.model {
        let profile = ctx.live.snapshot.agent(target.agent.as_str());
        settings.extend(model_settings(Some(model), profile, &ctx.live.models)?);
    }
    if let Some(parent) = &params.parent_session_key {
        let parent = Target::of(ctx, parent, None)?;
        let found = ctx
            .services
            .store
            .session(parent.key.as_str())
            .await
            .map_err(store_fault)?;
        if found.is_none() {
            return Err(Fault::invalid(format!("unknown parent session: {}", parent.key)));
        }
        settings.insert("parentSessionKey".to_owned(), json!(parent.key));
    }
    Ok(settings)
}
