//! `messages`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Inbound and outbound message handling.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Messages {
    /// Put before inbound text.
    pub message_prefix: Option<String>,
    /// Put before answers.
    pub response_prefix: Option<String>,
    /// Groups.
    pub group_chat: super::agents::GroupChat,
    /// What happens to messages that arrive during a run.
    pub queue: Queue,
    /// Joining of quick successive messages.
    pub inbound: Inbound,
    /// Reaction that acknowledges a message.
    pub ack_reaction: Option<String>,
    /// Which messages get that reaction.
    pub ack_reaction_scope: AckScope,
    /// Whether the reaction goes away with the answer.
    pub remove_ack_after_reply: bool,
}

/// What happens to messages that arrive during a run.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Queue {
    /// How they are handled; absent: `collect`.
    pub mode: Option<QueueMode>,
    /// The same by channel.
    pub by_channel: BTreeMap<String, QueueMode>,
    /// Quiet time before a follow-up turn, ms; absent: 1000.
    pub debounce_ms: Option<u64>,
    /// The same by channel.
    pub debounce_ms_by_channel: BTreeMap<String, u64>,
    /// Most waiting messages; absent: 20.
    #[schemars(range(min = 1))]
    pub cap: Option<u32>,
    /// What is dropped beyond that; absent: `summarize`.
    pub drop: Option<QueueDrop>,
}

/// How messages during a run are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueMode {
    /// Into the running turn.
    Steer,
    /// A turn each, afterwards.
    Followup,
    /// One turn for all, afterwards.
    Collect,
    /// Into the running turn and again afterwards.
    SteerBacklog,
    /// Other spelling of the former.
    #[serde(rename = "steer+backlog")]
    SteerPlusBacklog,
    /// Older name of `steer`.
    Queue,
    /// The running turn ends.
    Interrupt,
}

/// What is dropped when too many messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueDrop {
    /// The oldest.
    Old,
    /// The newest.
    New,
    /// The oldest, replaced by a summary.
    Summarize,
}

/// Joining of quick successive messages.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Inbound {
    /// Quiet time, ms.
    pub debounce_ms: Option<u64>,
    /// The same by channel.
    pub by_channel: BTreeMap<String, u64>,
}

/// Which messages get the acknowledging reaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AckScope {
    /// Mentions in groups.
    #[default]
    GroupMentions,
    /// All in groups.
    GroupAll,
    /// Direct messages.
    Direct,
    /// All.
    All,
    /// None.
    Off,
    /// None.
    None,
}
