//! Methods about paired devices and their tokens.
//!
//! Who may do what is decided by the book of devices; here connections are closed and events are sent.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::auth::devices::Closing;
use crate::auth::devices::view::{self, Decision};
use crate::domain::event::Publisher;
use crate::domain::{Fault, Scope};
use crate::method;
use crate::rpc::method::{Access, Method, MethodResult, RequestCtx, payload};

const PAIRING: Access = Access::Operator(Scope::Pairing);

/// Lines of the table.
pub const METHODS: &[Method] = &[
    method!("device.pair.list", PAIRING, listed: true, ListParams, sync list),
    method!("device.pair.approve", PAIRING, listed: true, RequestParams, approve),
    method!("device.pair.reject", PAIRING, listed: true, RequestParams, reject),
    method!("device.pair.remove", PAIRING, listed: true, RemoveParams, remove),
    method!("device.token.rotate", PAIRING, listed: true, RotateParams, rotate),
    method!("device.token.revoke", PAIRING, listed: true, RevokeParams, revoke),
];

/// `device.pair.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {}

/// `device.pair.approve`, `device.pair.reject`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestParams {
    #[schemars(length(min = 1))]
    request_id: String,
}

/// `device.pair.remove`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveParams {
    #[schemars(length(min = 1))]
    device_id: String,
}

/// `device.token.rotate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateParams {
    #[schemars(length(min = 1))]
    device_id: String,
    #[schemars(length(min = 1))]
    role: String,
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    scopes: Option<Vec<String>>,
}

/// `device.token.revoke`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeParams {
    #[schemars(length(min = 1))]
    device_id: String,
    #[schemars(length(min = 1))]
    role: String,
}

/// Devices and requests that the caller may see.
pub fn list(ctx: RequestCtx, _params: ListParams) -> MethodResult {
    let now = ctx.services.clock.now_ms();
    payload(&ctx.services.auth.devices().list(&ctx.principal, now))
}

/// Lets a device in.
pub async fn approve(ctx: RequestCtx, params: RequestParams) -> MethodResult {
    let now = ctx.services.clock.now_ms();
    let devices = ctx.services.auth.devices();
    let approved = devices
        .approve(&ctx.principal, &params.request_id, now)
        .await
        .map_err(Fault::from)?;
    let device = approved.device_id.as_str();
    tracing::info!(target: "auth", device, request = approved.request_id, "device approved");
    announce(&ctx, &approved.request_id, device, Decision::Approved, now);
    payload(&json!({ "requestId": approved.request_id, "device": approved.device }))
}

/// Declines a request.
pub async fn reject(ctx: RequestCtx, params: RequestParams) -> MethodResult {
    let now = ctx.services.clock.now_ms();
    let devices = ctx.services.auth.devices();
    let rejected = devices
        .reject(&ctx.principal, &params.request_id, now)
        .await
        .map_err(Fault::from)?;
    let device = rejected.device_id.as_str();
    tracing::info!(target: "auth", device, request = rejected.request_id, "device rejected");
    announce(&ctx, &rejected.request_id, device, Decision::Rejected, now);
    payload(&json!({ "requestId": rejected.request_id, "deviceId": device }))
}

/// Forgets a device.
pub async fn remove(ctx: RequestCtx, params: RemoveParams) -> MethodResult {
    let devices = ctx.services.auth.devices();
    let closing = devices
        .remove(&ctx.principal, &params.device_id)
        .await
        .map_err(Fault::from)?;
    tracing::info!(target: "auth", device = params.device_id, "device removed");
    finish(&ctx, &closing, &json!({ "deviceId": params.device_id }))
}

/// Replaces a device's token.
pub async fn rotate(ctx: RequestCtx, params: RotateParams) -> MethodResult {
    let now = ctx.services.clock.now_ms();
    let devices = ctx.services.auth.devices();
    let scopes = params.scopes.as_deref();
    let rotated = devices
        .rotate(&ctx.principal, &params.device_id, &params.role, scopes, now)
        .await
        .map_err(Fault::from)?;
    tracing::info!(target: "auth", device = params.device_id, role = params.role, "device token rotated");
    let mut answer = json!({
        "deviceId": params.device_id,
        "role": params.role,
        "scopes": rotated.scopes,
        "rotatedAtMs": rotated.rotated_at_ms,
    });
    if let (Some(token), Some(fields)) = (rotated.token, answer.as_object_mut()) {
        fields.insert("token".to_owned(), token.into());
    }
    finish(&ctx, &rotated.closing, &answer)
}

/// Withdraws a device's token.
pub async fn revoke(ctx: RequestCtx, params: RevokeParams) -> MethodResult {
    let now = ctx.services.clock.now_ms();
    let devices = ctx.services.auth.devices();
    let revoked = devices
        .revoke(&ctx.principal, &params.device_id, &params.role, now)
        .await
        .map_err(Fault::from)?;
    tracing::info!(target: "auth", device = params.device_id, role = params.role, "device token revoked");
    let answer = json!({
        "deviceId": params.device_id,
        "role": params.role,
        "revokedAtMs": revoked.revoked_at_ms,
    });
    finish(&ctx, &revoked.closing, &answer)
}

fn announce(ctx: &RequestCtx, request: &str, device: &str, decision: Decision, now_ms: i64) {
    if let Some(event) = view::resolved(request, device, decision, now_ms) {
        ctx.services.hub.publish(event);
    }
}

/// Closes the connections that rest on what was taken away. The caller's own may be among them: it gets its answer
/// first, and what follows the close is not sent.
fn finish(ctx: &RequestCtx, closing: &Closing, answer: &serde_json::Value) -> MethodResult {
    let answer = payload(answer)?;
    if closing.includes(&ctx.principal) {
        ctx.interim.respond(answer.clone());
    }
    ctx.services
        .hub
        .close_where(|client| closing.includes(client.principal), 4001, "device removed");
    Ok(answer)
}
