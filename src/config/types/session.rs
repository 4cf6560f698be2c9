//! `session`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Conversation scope, reset and retention.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    /// Whether senders have conversations of their own.
    pub scope: SessionScope,
    /// How direct messages are split into conversations.
    pub dm_scope: DmScope,
    /// Canonical person to the channel ids that are the same person.
    pub identity_links: BTreeMap<String, Vec<String>>,
    /// Messages that start a new conversation; absent: `/new` and `/reset`.
    pub reset_triggers: Option<Vec<String>>,
    /// Older form of `reset.idleMinutes`.
    #[schemars(range(min = 1))]
    pub idle_minutes: Option<u64>,
    /// When a conversation starts anew.
    pub reset: Option<ResetRule>,
    /// The same by kind of conversation.
    pub reset_by_type: ResetByType,
    /// The same by channel id.
    pub reset_by_channel: BTreeMap<String, ResetRule>,
    /// Name of the main conversation; only `main` has an effect.
    pub main_key: Option<String>,
    /// Seconds between typing signals.
    #[schemars(range(min = 1))]
    pub typing_interval_seconds: Option<u64>,
    /// When a typing signal is sent.
    pub typing_mode: Option<TypingMode>,
    /// Whether answers may be delivered.
    pub send_policy: SendPolicy,
    /// Agents that talk to each other.
    pub agent_to_agent: AgentToAgent,
    /// What is kept and for how long.
    pub maintenance: Maintenance,
}

/// Whether senders have conversations of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionScope {
    /// One conversation per sender.
    #[default]
    PerSender,
    /// One for all.
    Global,
}

/// How direct messages are split into conversations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DmScope {
    /// All in the main conversation.
    #[default]
    Main,
    /// By person.
    PerPeer,
    /// By channel and person.
    PerChannelPeer,
    /// By channel account and person.
    PerAccountChannelPeer,
}

/// When a conversation starts anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetRule {
    /// What ends it.
    pub mode: Option<ResetMode>,
    /// Hour of the day, local time; absent: 4.
    #[schemars(range(min = 0, max = 23))]
    pub at_hour: Option<u8>,
    /// Minutes without a message.
    #[schemars(range(min = 1))]
    pub idle_minutes: Option<u64>,
}

/// What ends a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResetMode {
    /// The clock.
    Daily,
    /// Silence.
    Idle,
}

/// Reset rules by kind of conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetByType {
    /// Direct messages.
    pub direct: Option<ResetRule>,
    /// Older name of `direct`.
    pub dm: Option<ResetRule>,
    /// Groups.
    pub group: Option<ResetRule>,
    /// Threads.
    pub thread: Option<ResetRule>,
}

/// When a typing signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypingMode {
    /// Never.
    Never,
    /// With the inbound message.
    Instant,
    /// With the first reasoning.
    Thinking,
    /// With the first text.
    Message,
}

/// Whether answers may be delivered.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SendPolicy {
    /// Applies when no rule matches; absent: allow.
    pub default: Option<SendAction>,
    /// First match wins.
    pub rules: Vec<SendRule>,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SendAction {
    /// Deliver.
    Allow,
    /// Do not deliver.
    Deny,
}

/// One rule of the send policy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendRule {
    /// What to do.
    pub action: SendAction,
    /// All given keys must match.
    #[serde(default, rename = "match")]
    pub when: SendMatch,
}

/// Condition of a send rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SendMatch {
    /// Channel id.
    pub channel: Option<String>,
    /// Kind of conversation.
    pub chat_type: Option<ChatType>,
    /// Start of the session key without its agent part.
    pub key_prefix: Option<String>,
    /// Start of the whole session key.
    pub raw_key_prefix: Option<String>,
}

/// Kind of conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChatType {
    /// One person.
    Direct,
    /// Several people.
    Group,
    /// A broadcast channel.
    Channel,
    /// Older name of `direct`.
    Dm,
}

/// Agents that talk to each other.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentToAgent {
    /// Most turns of one exchange; absent: 5.
    #[schemars(range(min = 0, max = 5))]
    pub max_ping_pong_turns: Option<u8>,
}

/// What is kept and for how long.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Maintenance {
    /// Whether limits are enforced or only reported.
    pub mode: Option<MaintenanceMode>,
    /// Age after which an idle conversation is removed: `30d`, `12h`, or milliseconds.
    pub prune_after: Option<Amount>,
    /// Older form of `pruneAfter`, in days.
    #[schemars(range(min = 1))]
    pub prune_days: Option<u64>,
    /// Most conversations kept.
    #[schemars(range(min = 1))]
    pub max_entries: Option<u64>,
    /// How long the history before a reset is kept; `false`: for ever.
    pub reset_archive_retention: Option<AmountOrFalse>,
    /// Disk budget: `500mb`, or bytes.
    pub max_disk_bytes: Option<Amount>,
    /// What the budget is reduced to once exceeded.
    pub high_water_bytes: Option<Amount>,
}

/// Whether limits are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MaintenanceMode {
    /// Remove what is over the limits.
    Enforce,
    /// Only report.
    Warn,
}

/// A size or duration: text with a unit, or a plain number.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// With a unit.
    Text(String),
    /// Plain.
    Number(f64),
}

impl Amount {
    /// As a duration in ms: `30d`, `12h`, `90m`, `45s`, `500ms`, or a plain number of ms.
    pub fn as_millis(&self) -> Option<u64> {
        const UNITS: &[(&str, f64)] = &[
            ("ms", 1.0),
            ("s", 1e3),
            ("m", 6e4),
            ("h", 3.6e6),
            ("d", 8.64e7),
            ("w", 6.048e8),
        ];
        self.scaled(UNITS)
    }

    /// As a size in bytes: `500mb`, `2gb`, `64kb`, `100b`, or a plain number of bytes.
    pub fn as_bytes(&self) -> Option<u64> {
        const UNITS: &[(&str, f64)] = &[
            ("b", 1.0),
            ("kb", 1024.0),
            ("mb", 1_048_576.0),
            ("gb", 1_073_741_824.0),
            ("tb", 1_099_511_627_776.0),
        ];
        self.scaled(UNITS)
    }

    fn scaled(&self, units: &[(&str, f64)]) -> Option<u64> {
        let value = match self {
            Self::Number(number) => *number,
            Self::Text(text) => {
                let text = text.trim().to_ascii_lowercase();
                let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                let unit = text.strip_prefix(number)?;
                let factor = if unit.is_empty() {
                    1.0
                } else {
                    units.iter().find(|(name, _)| *name == unit)?.1
                };
                number.trim().parse::<f64>().ok()? * factor
            }
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be finite and not negative; saturates"
        )]
        (value.is_finite() && value >= 0.0).then_some(value as u64)
    }
}

/// An amount, or `false` to switch off.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AmountOrFalse {
    /// `false`.
    Switch(bool),
    /// With a unit.
    Text(String),
    /// Plain.
    Number(f64),
}
