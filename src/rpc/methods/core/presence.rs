//! `system-presence` and `system-event`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::owned;
use crate::bus::SystemNote;
use crate::bus::presence::PresenceEntry;
use crate::domain::Fault;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::validation::NoParams;

pub(super) fn list(ctx: RequestCtx, _params: NoParams) -> MethodResult {
    Ok(owned(&ctx.services.hub.presence()))
}

/// Unknown keys are ignored, as this method has no strict schema on the wire.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventParams {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    instance_id: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    ip: Option<String>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    platform: Option<String>,
    #[serde(default)]
    device_family: Option<String>,
    #[serde(default)]
    model_identifier: Option<String>,
    #[serde(default)]
    last_input_seconds: Option<f64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

pub(super) fn event(ctx: RequestCtx, params: EventParams) -> MethodResult {
    let text = given(params.text).ok_or_else(|| Fault::invalid("text required"))?;
    ctx.services.hub.note_presence(SystemNote {
        entry: PresenceEntry {
            host: given(params.host).unwrap_or_default(),
            ip: given(params.ip),
            version: given(params.version),
            platform: given(params.platform),
            device_family: given(params.device_family),
            model_identifier: given(params.model_identifier),
            mode: given(params.mode),
            last_input_seconds: params.last_input_seconds.and_then(whole_seconds),
            time_zone: None,
            device_id: given(params.device_id),
            roles: params.roles.map(few),
            scopes: params.scopes.map(few),
            instance_id: given(params.instance_id),
            tags: params.tags.map(few),
            reason: given(params.reason).unwrap_or_default(),
            text,
            ts: 0,
        },
    });
    payload(&json!({ "ok": true }))
}

/// Longer texts would only fill the presence list that everybody gets.
const MAX_TEXT: usize = 512;

fn given(text: Option<String>) -> Option<String> {
    let text = text?;
    let trimmed = text.trim();
    let end = trimmed.floor_char_boundary(MAX_TEXT);
    trimmed.get(..end).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn few(texts: Vec<String>) -> Vec<String> {
    const MAX_TEXTS: usize = 32;
    texts
        .into_iter()
        .filter_map(|text| given(Some(text)))
        .take(MAX_TEXTS)
        .collect()
}

fn whole_seconds(seconds: f64) -> Option<u64> {
    std::time::Duration::try_from_secs_f64(seconds)
        .ok()
        .map(|duration| duration.as_secs())
}
