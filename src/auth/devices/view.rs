//! Records as clients see them: no secrets.

use serde::Serialize;
use serde_json::json;

use super::record::{Ask, PairedDevice, PendingRequest};
use crate::domain::event::{Audience, Event, EventName};

/// A paired device without its tokens' secrets.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSummary {
    #[serde(flatten)]
    ask: Ask,
    created_at_ms: i64,
    approved_at_ms: i64,
    tokens: Vec<TokenSummary>,
}

/// A token without its secret.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenSummary {
    role: String,
    scopes: Vec<String>,
    created_at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at_ms: Option<i64>,
}

impl From<&PairedDevice> for DeviceSummary {
    fn from(device: &PairedDevice) -> Self {
        let tokens = device
            .tokens
            .iter()
            .map(|(role, token)| TokenSummary {
                role: role.clone(),
                scopes: token.scopes.clone(),
                created_at_ms: token.created_at_ms,
                rotated_at_ms: token.rotated_at_ms,
                revoked_at_ms: token.revoked_at_ms,
                last_used_at_ms: token.last_used_at_ms,
            })
            .collect();
        Self {
            ask: device.ask.clone(),
            created_at_ms: device.created_at_ms,
            approved_at_ms: device.approved_at_ms,
            tokens,
        }
    }
}

/// Payload of `device.pair.list`, newest first.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceList {
    /// Requests that wait.
    pub pending: Vec<PendingRequest>,
    /// Devices that are let in.
    pub paired: Vec<DeviceSummary>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Granted.
    Approved,
    /// Declined.
    Rejected,
}

/// `device.pair.requested`.
pub fn requested(request: &PendingRequest) -> Option<Event> {
    event(EventName::DevicePairRequested, request)
}

/// `device.pair.resolved`.
pub fn resolved(request_id: &str, device_id: &str, decision: Decision, now_ms: i64) -> Option<Event> {
    let decision = match decision {
        Decision::Approved => "approved",
        Decision::Rejected => "rejected",
    };
    event(
        EventName::DevicePairResolved,
        &json!({ "requestId": request_id, "deviceId": device_id, "decision": decision, "ts": now_ms }),
    )
}

/// Strings and numbers always serialise; should that ever fail, the event is lost and nothing else.
fn event(name: EventName, payload: &impl Serialize) -> Option<Event> {
    let payload = serde_json::value::to_raw_value(payload).ok()?;
    Some(Event {
        name,
        payload: payload.into(),
        audience: Audience::Broadcast,
        droppable: true,
    })
}
