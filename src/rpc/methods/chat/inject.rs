//! `chat.inject`: an assistant note without a model.

use serde_json::json;
use serde_json::value::RawValue;

use crate::domain::Fault;
use crate::domain::event::{Audience, Event, EventName, Publisher as _};
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::sessions::transcript;
use crate::store::{AppendMessage, AppendedMessage};
use crate::wire::params::chat::ChatInject;

pub(super) async fn inject(ctx: RequestCtx, params: ChatInject) -> MethodResult {
    let target = Target::of(&ctx, &params.session_key, params.agent_id.as_deref())?;
    let store = &ctx.services.store;
    if store.session(target.key.as_str()).await.map_err(store_fault)?.is_none() {
        return Err(Fault::invalid("session not found").into());
    }
    let text = match params.label.as_deref().map(str::trim).filter(|label| !label.is_empty()) {
        Some(label) => format!("[{label}]\n\n{}", params.message),
        None => params.message,
    };
    let now_ms = ctx.services.clock.now_ms();
    let message = transcript::gateway_message(&text, now_ms);
    let body = message.body.clone();
    let appended = store
        .append_message(AppendMessage {
            session_key: target.key.to_string(),
            agent_id: target.agent.to_string(),
            message,
            now_ms,
        })
        .await
        .map_err(store_fault)?;
    publish(&ctx, &target, &body, &appended);
    payload(&json!({ "ok": true, "messageId": appended.id }))
}

fn publish(ctx: &RequestCtx, target: &Target, body: &str, appended: &AppendedMessage) {
    let Ok(message) = serde_json::from_str::<&RawValue>(body) else {
        return;
    };
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Chat<'a> {
        run_id: String,
        session_key: &'a crate::base::SessionKey,
        seq: u8,
        state: &'static str,
        message: &'a RawValue,
    }
    let chat = Chat {
        run_id: format!("inject-{}", appended.id),
        session_key: &target.key,
        seq: 0,
        state: "final",
        message,
    };
    send(ctx, EventName::Chat, Audience::Broadcast, &chat);

    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Stored<'a> {
        session_key: &'a crate::base::SessionKey,
        message: Box<RawValue>,
        message_id: &'a str,
        message_seq: u64,
    }
    let stored = Stored {
        session_key: &target.key,
        message: transcript::marked(body, &appended.id, appended.seq),
        message_id: &appended.id,
        message_seq: appended.seq,
    };
    let audience = Audience::SessionMessages(target.key.clone());
    send(ctx, EventName::SessionMessage, audience, &stored);
}

fn send<T: serde::Serialize>(ctx: &RequestCtx, name: EventName, audience: Audience, value: &T) {
    if !ctx.services.hub.has_audience(name) {
        return;
    }
    if let Ok(raw) = serde_json::value::to_raw_value(value) {
        ctx.services.hub.publish(Event {
            name,
            payload: raw.into(),
            audience,
            droppable: false,
        });
    }
}
