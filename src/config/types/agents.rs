//! `agents`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Opaque, SecretInput};

/// Agents and their defaults.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Agents {
    /// What every agent has unless its own entry says otherwise.
    pub defaults: AgentDefaults,
    /// The agents.
    pub list: Vec<Agent>,
    /// The agents by id; the newer form of `list`.
    pub entries: BTreeMap<String, AgentEntry>,
    /// Limits on what all agents spend together.
    pub spend: Spend,
}

/// Limits on what is spent. Prices come from the models' `cost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Spend {
    /// Most money for model calls per day (UTC), USD; absent: no limit.
    #[schemars(range(min = 0))]
    pub max_usd_per_day: Option<f64>,
}

/// Settings that exist per agent and as defaults.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentDefaults {
    /// Model and its substitutes.
    pub model: Option<ModelChoice>,
    /// Models that callers may choose, by `provider/model`; empty: any configured one.
    pub models: BTreeMap<String, Opaque>,
    /// Workspace folder.
    pub workspace: Option<String>,
    /// Replaces the system prompt.
    pub system_prompt_override: Option<String>,
    /// Whether the workspace is left without starter files.
    pub skip_bootstrap: bool,
    /// Time zone in prompts, IANA name.
    pub user_timezone: Option<String>,
    /// Runs at the same time.
    #[schemars(range(min = 1))]
    pub max_concurrent: Option<u32>,
    /// Runs started by other runs.
    pub subagents: Subagents,
    /// Reasoning effort.
    pub thinking_default: Option<Thinking>,
    /// Longest run, seconds.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
    /// Most history messages sent to the model; absent: 120.
    #[schemars(range(min = 1))]
    pub context_messages: Option<u32>,
    /// Context window to assume, tokens.
    #[schemars(range(min = 1))]
    pub context_tokens: Option<u64>,
    /// Periodic turns.
    pub heartbeat: Heartbeat,
    /// Shortening of long conversations.
    pub compaction: Compaction,
    /// Embeddings.
    pub memory_search: MemorySearch,
    /// Limits on what one agent spends.
    pub spend: Spend,
    /// Seconds between typing signals.
    #[schemars(range(min = 1))]
    pub typing_interval_seconds: Option<u64>,
}

/// One agent of `agents.list`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Lower-case letters, digits, `-` and `_`.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Everything else.
    #[serde(flatten)]
    pub entry: AgentEntry,
}

/// One agent without its id.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentEntry {
    /// Whether it answers when none is named.
    pub default: bool,
    /// Display name.
    pub name: Option<String>,
    /// Workspace folder.
    pub workspace: Option<String>,
    /// Replaces the system prompt.
    pub system_prompt_override: Option<String>,
    /// Model and its substitutes.
    pub model: Option<ModelChoice>,
    /// Reasoning effort.
    pub thinking_default: Option<Thinking>,
    /// Most history messages sent to the model.
    #[schemars(range(min = 1))]
    pub context_messages: Option<u32>,
    /// Context window to assume, tokens.
    #[schemars(range(min = 1))]
    pub context_tokens: Option<u64>,
    /// Periodic turns.
    pub heartbeat: Option<Heartbeat>,
    /// How it presents itself.
    pub identity: Identity,
    /// Behaviour in groups.
    pub group_chat: GroupChat,
    /// Runs started by its runs.
    pub subagents: Subagents,
    /// Embeddings; what is absent comes from the defaults.
    pub memory_search: MemorySearch,
    /// Limits on what it spends.
    pub spend: Spend,
}

/// Where embeddings come from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MemorySearch {
    /// Provider of `models.providers`, `openai` or `auto`; absent: `openai`.
    pub provider: Option<String>,
    /// The provider's model id.
    pub model: Option<String>,
    /// An endpoint other than the provider's.
    pub remote: EmbeddingRemote,
    /// Length of the vectors where the request names none.
    #[schemars(range(min = 1))]
    pub output_dimensionality: Option<u64>,
}

/// An endpoint for embeddings.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmbeddingRemote {
    /// Start of its URLs.
    pub base_url: Option<String>,
    /// Credential.
    pub api_key: Option<SecretInput>,
    /// Extra request headers.
    pub headers: BTreeMap<String, SecretInput>,
}

/// A model name, or a name with substitutes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelChoice {
    /// `provider/model`.
    Name(String),
    /// With substitutes.
    Full(ModelChain),
}

/// A model with substitutes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelChain {
    /// `provider/model`.
    pub primary: Option<String>,
    /// Tried in order when the primary fails.
    pub fallbacks: Vec<String>,
    /// Longest call, ms.
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
}

/// Reasoning effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    /// None.
    Off,
    /// Least.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// The model decides.
    Adaptive,
    /// All it can.
    Max,
}

impl Thinking {
    /// Every level, least first.
    pub const ALL: [Self; 8] = [
        Self::Off,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Xhigh,
        Self::Adaptive,
        Self::Max,
    ];

    /// Inverse of [`Self::as_str`]; any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }

    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Adaptive => "adaptive",
            Self::Max => "max",
        }
    }
}

/// Runs started by other runs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Subagents {
    /// Agents that may be started; `*`: any.
    pub allow_agents: Option<Vec<String>>,
    /// How many at the same time.
    #[schemars(range(min = 1))]
    pub max_concurrent: Option<u32>,
    /// Model and its substitutes.
    pub model: Option<ModelChoice>,
    /// Longest run, seconds; 0: the agent's own limit.
    pub run_timeout_seconds: Option<u64>,
}

/// Periodic turns.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Heartbeat {
    /// Interval, `30m`; `0m`: never.
    pub every: Option<String>,
    /// Hours in which turns happen.
    pub active_hours: Option<ActiveHours>,
    /// Model to use.
    pub model: Option<String>,
    /// Session to use.
    pub session: Option<String>,
    /// Channel that gets the answer, `last` or `none`.
    pub target: Option<String>,
    /// Recipient on that channel.
    pub to: Option<String>,
    /// Account on that channel.
    pub account_id: Option<String>,
    /// Text of the turn.
    pub prompt: Option<String>,
    /// Answers up to this length beside the ack word are swallowed.
    pub ack_max_chars: Option<u32>,
    /// Longest turn, seconds.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
}

/// Hours in which periodic turns happen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActiveHours {
    /// `HH:MM`.
    pub start: Option<String>,
    /// `HH:MM`, `24:00` allowed.
    pub end: Option<String>,
    /// IANA name, `user` or `local`.
    pub timezone: Option<String>,
}

/// Shortening of long conversations.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Compaction {
    /// How it is done.
    pub mode: Option<CompactionMode>,
    /// Tokens kept free for the answer.
    pub reserve_tokens: Option<u64>,
    /// Tokens of recent history that are never touched.
    #[schemars(range(min = 1))]
    pub keep_recent_tokens: Option<u64>,
    /// Added to the instruction.
    pub custom_instructions: Option<String>,
    /// Model to use.
    pub model: Option<String>,
    /// Longest compaction, seconds.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
}

/// How conversations are shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompactionMode {
    /// One summary.
    Default,
    /// Summary in parts with checks.
    Safeguard,
}

/// How an agent presents itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    /// Name.
    pub name: Option<String>,
    /// Character, in a few words.
    pub theme: Option<String>,
    /// Emoji.
    pub emoji: Option<String>,
    /// File in the workspace, URL or data URI.
    pub avatar: Option<String>,
}

/// Behaviour in groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupChat {
    /// Regular expressions that count as a mention.
    pub mention_patterns: Option<Vec<String>>,
    /// Messages of the group shown to the model.
    #[schemars(range(min = 1))]
    pub history_limit: Option<u32>,
}
