//! `config.*`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Grown;

/// `config.set`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigSet {
    /// The whole configuration, JSON5.
    #[schemars(length(min = 1))]
    pub raw: String,
    /// Hash of the file that the caller saw.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub base_hash: Option<String>,
}

/// `config.apply`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigApply {
    /// The whole configuration, JSON5.
    #[schemars(length(min = 1))]
    pub raw: String,
    /// Hash of the file that the caller saw.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub base_hash: Option<String>,
    /// The session that asks.
    #[serde(default)]
    pub session_key: Option<String>,
    /// Where that session's answers go.
    #[serde(default)]
    pub delivery_context: Option<DeliveryContext>,
    /// Why.
    #[serde(default)]
    pub note: Option<String>,
    /// Wait before a restart, ms. Nothing restarts here.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub restart_delay_ms: Option<u64>,
}

/// `config.patch`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigPatch {
    /// The merge patch, JSON5.
    #[schemars(length(min = 1))]
    pub raw: String,
    /// Hash of the file that the caller saw.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub base_hash: Option<String>,
    /// The session that asks.
    #[serde(default)]
    pub session_key: Option<String>,
    /// Where that session's answers go.
    #[serde(default)]
    pub delivery_context: Option<DeliveryContext>,
    /// Why.
    #[serde(default)]
    pub note: Option<String>,
    /// Wait before a restart, ms. Nothing restarts here.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub restart_delay_ms: Option<u64>,
    /// Arrays that are replaced although their elements have ids.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub replace_paths: Option<Vec<String>>,
}

impl Grown for ConfigPatch {
    const LATER: &'static [&'static str] = &["replacePaths"];
    const IGNORED: &'static [&'static str] = &[];
}

/// Where the answers of a session go.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryContext {
    /// Channel id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Peer in that channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Account of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
}

/// Channels name threads by text or number.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ThreadId {
    /// Text.
    Text(String),
    /// Number.
    Number(f64),
}

/// `config.schema.lookup`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaLookup {
    /// Dotted path.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
}

/// Nothing, and nothing else is tolerated.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Grown for Nothing {
    const LATER: &'static [&'static str] = &[];
    const IGNORED: &'static [&'static str] = &[];
}
