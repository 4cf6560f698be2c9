//! `agent`, `agent.wait`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Grown, Provenance};

/// `agent`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agent {
    /// The message.
    #[schemars(length(min = 1))]
    pub message: String,
    /// The agent that answers.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Provider instead of the agent's; needs admin.
    #[serde(default)]
    pub provider: Option<String>,
    /// Model instead of the agent's; needs admin.
    #[serde(default)]
    pub model: Option<String>,
    /// Delivery target.
    #[serde(default)]
    pub to: Option<String>,
    /// Delivery target of the reply.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Informational.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The session; absent: the agent's main session.
    #[serde(default)]
    pub session_key: Option<String>,
    /// Thinking level of this run.
    #[serde(default)]
    pub thinking: Option<String>,
    /// Whether the answer is delivered to a channel.
    #[serde(default)]
    pub deliver: Option<bool>,
    /// Images.
    #[serde(default)]
    pub attachments: Option<Vec<Value>>,
    /// Delivery channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// Delivery channel of the reply.
    #[serde(default)]
    pub reply_channel: Option<String>,
    /// Channel account.
    #[serde(default)]
    pub account_id: Option<String>,
    /// Channel account of the reply.
    #[serde(default)]
    pub reply_account_id: Option<String>,
    /// Thread in the channel.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// Group in the channel.
    #[serde(default)]
    pub group_id: Option<String>,
    /// Name of the group's channel.
    #[serde(default)]
    pub group_channel: Option<String>,
    /// Workspace of the group.
    #[serde(default)]
    pub group_space: Option<String>,
    /// Deadline, seconds; 0 means none.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// Whether failed delivery is no failure.
    #[serde(default)]
    pub best_effort_deliver: Option<bool>,
    /// Queue to run in.
    #[serde(default)]
    pub lane: Option<String>,
    /// Informational.
    #[serde(default)]
    pub cleanup_bundle_mcp_on_run_end: Option<bool>,
    /// Informational.
    #[serde(default)]
    pub model_run: Option<bool>,
    /// Size of the system prompt.
    #[serde(default)]
    pub prompt_mode: Option<PromptMode>,
    /// Appended to the system prompt.
    #[serde(default)]
    pub extra_system_prompt: Option<String>,
    /// Size of the workspace context.
    #[serde(default)]
    pub bootstrap_context_mode: Option<BootstrapContextMode>,
    /// What the run is for.
    #[serde(default)]
    pub bootstrap_context_run_kind: Option<BootstrapContextRunKind>,
    /// Informational.
    #[serde(default)]
    pub acp_turn_source: Option<AcpTurnSource>,
    /// Results of other runs.
    #[serde(default)]
    pub internal_events: Option<Vec<Value>>,
    /// Where the message comes from.
    #[serde(default)]
    pub input_provenance: Option<Provenance>,
    /// Informational.
    #[serde(default)]
    pub voice_wake_trigger: Option<String>,
    /// Becomes the run id.
    #[schemars(length(min = 1))]
    pub idempotency_key: String,
    /// Label for a new session.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512))]
    pub label: Option<String>,
}

impl Grown for Agent {
    const LATER: &'static [&'static str] = &[];
    const IGNORED: &'static [&'static str] = &[
        "expectedExistingSessionId",
        "cwd",
        "internalRuntimeHandoffId",
        "internalExecutionIdentityRetry",
        "internalExecutionIdentityRecoveryAttempt",
        "execApprovalFollowupExpectedSessionId",
        "suppressPromptPersistence",
        "sessionEffects",
        "sourceReplyDeliveryMode",
        "disableMessageTool",
        "swarmCollector",
        "swarmOutputSchema",
        "forceRestartSafeTools",
        "forceCodeModeTools",
    ];
}

/// Size of the system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromptMode {
    /// All of it.
    Full,
    /// What is needed.
    Minimal,
    /// None.
    None,
}

/// Size of the workspace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapContextMode {
    /// All files.
    Full,
    /// Few files.
    Lightweight,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapContextRunKind {
    /// Somebody asked.
    Default,
    /// A heartbeat.
    Heartbeat,
    /// A schedule.
    Cron,
}

/// How an external harness came to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AcpTurnSource {
    /// Somebody started it.
    ManualSpawn,
}

/// `agent.wait`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentWait {
    /// The run.
    #[schemars(length(min = 1))]
    pub run_id: String,
    /// How long to wait, ms; absent: 30 s.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}
