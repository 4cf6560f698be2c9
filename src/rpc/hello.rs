//! The answer to an accepted `connect`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::registry;
use crate::auth::ConnectGrant;
use crate::base::{AgentId, ConnId};
use crate::bus::hub::TICK_INTERVAL;
use crate::bus::outbox::MAX_BUFFERED_BYTES;
use crate::config::Snapshot;
use crate::domain::{Role, Scope};
use crate::services::Services;

/// Largest message after `connect` (`policy.maxPayload`).
pub const MAX_PAYLOAD: u64 = 26_214_400;

/// Events that clients may hear of, as protocol 3 lists them.
const EVENTS: [&str; 25] = [
    "connect.challenge",
    "agent",
    "chat",
    "session.message",
    "session.tool",
    "sessions.changed",
    "presence",
    "tick",
    "talk.mode",
    "shutdown",
    "health",
    "heartbeat",
    "cron",
    "node.pair.requested",
    "node.pair.resolved",
    "node.invoke.request",
    "device.pair.requested",
    "device.pair.resolved",
    "voicewake.changed",
    "voicewake.routing.changed",
    "exec.approval.requested",
    "exec.approval.resolved",
    "plugin.approval.requested",
    "plugin.approval.resolved",
    "update.available",
];

/// Each capability changes what newer clients send; only what is kept is promised.
const CAPABILITIES: [&str; 1] = ["published-model-catalog"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hello<'a> {
    r#type: &'static str,
    protocol: u8,
    server: Server<'a>,
    features: Features,
    snapshot: State<'a>,
    auth: Auth<'a>,
    policy: Policy,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    version: &'static str,
    conn_id: &'a ConnId,
}

#[derive(Serialize)]
struct Features {
    methods: &'static [&'static str],
    events: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<&'static [&'static str]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    presence: &'a RawValue,
    health: &'a RawValue,
    state_version: StateVersion,
    uptime_ms: u64,
    session_defaults: SessionDefaults<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_mode: Option<&'static str>,
}

#[derive(Serialize)]
struct StateVersion {
    presence: u64,
    health: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionDefaults<'a> {
    default_agent_id: &'a AgentId,
    main_key: &'a str,
    main_session_key: String,
    scope: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Auth<'a> {
    role: &'static str,
    scopes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at_ms: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    max_payload: u64,
    max_buffered_bytes: usize,
    tick_interval_ms: u128,
}

/// `session.mainKey`: how the main session of an agent is called.
pub fn main_key(snapshot: &Snapshot) -> &str {
    text_at(snapshot, "/session/mainKey").unwrap_or("main")
}

/// `session.scope`: whether every sender has a session of its own.
pub fn session_scope(snapshot: &Snapshot) -> &str {
    text_at(snapshot, "/session/scope").unwrap_or("per-sender")
}

fn text_at<'a>(snapshot: &'a Snapshot, pointer: &str) -> Option<&'a str> {
    snapshot
        .runtime
        .pointer(pointer)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// The name of a role on the wire.
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Operator => "operator",
        Role::Node => "node",
    }
}

/// The payload as JSON.
pub fn payload(
    services: &Services,
    conn: &ConnId,
    protocol: u8,
    grant: &ConnectGrant,
) -> Result<String, serde_json::Error> {
    let snapshot = services.snapshots.load();
    let presence = services.hub.presence();
    let health = services.health.last();
    let no_health = RawValue::from_string("{}".to_owned())?;
    let (presence_version, health_version) = services.hub.state_version();
    let default_agent = snapshot.default_agent();
    let main_key = main_key(&snapshot);
    let is_admin = grant.principal.may(Scope::Admin);
    let token = grant.device_token.as_ref();
    serde_json::to_string(&Hello {
        r#type: "hello-ok",
        protocol,
        server: Server {
            version: env!("CARGO_PKG_VERSION"),
            conn_id: conn,
        },
        features: Features {
            methods: registry::listed(),
            events: &EVENTS,
            capabilities: (protocol >= 4).then_some(&CAPABILITIES),
        },
        snapshot: State {
            presence: &presence,
            health: health.as_deref().unwrap_or(&no_health),
            state_version: StateVersion {
                presence: presence_version,
                health: health_version,
            },
            uptime_ms: services.lifecycle.uptime_ms(),
            session_defaults: SessionDefaults {
                default_agent_id: default_agent,
                main_key,
                main_session_key: format!("agent:{default_agent}:{main_key}"),
                scope: session_scope(&snapshot),
            },
            config_path: is_admin.then(|| snapshot.path.display().to_string()),
            state_dir: is_admin.then(|| snapshot.state_dir.display().to_string()),
            auth_mode: is_admin.then(|| snapshot.auth.mode.as_str()),
        },
        auth: Auth {
            role: role_name(grant.principal.role),
            scopes: &grant.hello_scopes,
            device_token: token.map(|token| token.token.as_str()),
            issued_at_ms: token.map(|token| token.issued_at_ms),
        },
        policy: Policy {
            max_payload: MAX_PAYLOAD,
            max_buffered_bytes: MAX_BUFFERED_BYTES,
            tick_interval_ms: TICK_INTERVAL.as_millis(),
        },
    })
}
