//! `gateway.{reload,management,shutdown,readiness,limits}`. All but part of `reload` are ours.

use schemars::JsonSchema;
use serde::Deserialize;

/// How changes of the file are applied.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Reload {
    /// Absent: `hybrid`.
    pub mode: Option<ReloadMode>,
    /// Quiet time after a change, ms; absent: 80.
    pub debounce_ms: Option<u64>,
    /// Longest wait for running work before it is replaced, ms; 0: no limit; absent: 300000.
    pub deferral_timeout_ms: Option<u64>,
    /// Whether the kept copy of the last good file is used when the file is broken at start.
    pub start_from_last_good: bool,
}

/// How changes of the file are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReloadMode {
    /// Not at all.
    Off,
    /// Everything, listener included.
    Restart,
    /// What needs no new listener; other changes are ignored.
    Hot,
    /// Everything, the listener only if its settings changed.
    Hybrid,
}

/// Second listener for probes and metrics, without credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Management {
    /// Whether there is one; absent: only if `OPENCLAW_MANAGEMENT_PORT` is set, as in the image.
    pub enabled: Option<bool>,
    /// Address; absent: all.
    pub bind: Option<String>,
    /// Port; absent: `OPENCLAW_MANAGEMENT_PORT`, else 9464.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// Behaviour at the end of the process.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Shutdown {
    /// Time for runs in flight, ms; absent: 25000.
    pub grace_ms: Option<u64>,
}

/// What readiness depends on.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Readiness {
    /// Channels that must be up.
    pub required_channels: Vec<String>,
}

/// Protection of the listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Most connections at the same time.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Largest request head, bytes.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// Longest silence on an idle HTTP connection, ms.
    #[schemars(range(min = 1))]
    pub idle_timeout_ms: u64,
    /// Longest wait for a request head, ms.
    #[schemars(range(min = 1))]
    pub header_timeout_ms: u64,
    /// Longest wait for the next part of a body, ms.
    #[schemars(range(min = 1))]
    pub body_timeout_ms: u64,
    /// Most agent requests over HTTP at the same time.
    #[schemars(range(min = 1))]
    pub max_in_flight: u32,
    /// Most of them from one caller; absent: no limit of its own.
    #[schemars(range(min = 1))]
    pub max_in_flight_per_caller: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_header_bytes: 65_536,
            idle_timeout_ms: 75_000,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            max_in_flight: 512,
            max_in_flight_per_caller: None,
        }
    }
}
