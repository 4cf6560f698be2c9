//! `channels` and `bindings`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Opaque;
use super::session::DmScope;

/// Channels that this build can run. Sections of others are accepted and named in a warning.
pub const BUILT_IN: &[&str] = &["webchat"];

/// Chat channels by id. Each channel validates its own section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Channels {
    /// What every channel has unless its own section says otherwise.
    pub defaults: Opaque,
    /// Model by channel and conversation.
    pub model_by_channel: BTreeMap<String, BTreeMap<String, String>>,
    /// Sections by channel id.
    #[serde(flatten)]
    pub by_id: BTreeMap<String, Opaque>,
}

/// A route from channel conversations to an agent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The agent.
    #[schemars(length(min = 1))]
    pub agent_id: String,
    /// Note for the reader.
    #[serde(default)]
    pub comment: Option<String>,
    /// All given keys must match.
    #[serde(rename = "match")]
    pub when: BindingMatch,
    /// Session settings of matched conversations.
    #[serde(default)]
    pub session: BindingSession,
}

/// Condition of a binding.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingMatch {
    /// Channel id.
    pub channel: String,
    /// Account; absent: the default account; `*`: any.
    #[serde(default)]
    pub account_id: Option<String>,
    /// Person or group.
    #[serde(default)]
    pub peer: Option<Peer>,
    /// Discord server.
    #[serde(default)]
    pub guild_id: Option<String>,
    /// Slack workspace.
    #[serde(default)]
    pub team_id: Option<String>,
    /// Discord roles, any of them.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A person or group on a channel.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// What it is.
    pub kind: super::session::ChatType,
    /// Its id on the channel; `*`: any.
    pub id: String,
}

/// Session settings of matched conversations.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BindingSession {
    /// How direct messages are split.
    pub dm_scope: Option<DmScope>,
}
