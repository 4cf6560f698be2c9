//! `sessions.*`.

mod patch;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub use self::patch::SessionsPatch;
use super::Grown;

/// `sessions.list`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionsList {
    /// Most rows; absent: 100.
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// Only sessions active in the last minutes.
    #[schemars(range(min = 1))]
    pub active_minutes: Option<u64>,
    /// Whether `global` is listed.
    pub include_global: Option<bool>,
    /// Whether `unknown` is listed.
    pub include_unknown: Option<bool>,
    /// Whether rows carry a title made from the first message.
    pub include_derived_titles: Option<bool>,
    /// Whether rows carry the last message.
    pub include_last_message: Option<bool>,
    /// Only sessions with this label.
    #[schemars(length(min = 1, max = 512))]
    pub label: Option<String>,
    /// Only sessions that this session started.
    #[schemars(length(min = 1))]
    pub spawned_by: Option<String>,
    /// Only this agent's.
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Only keys and labels that contain this.
    pub search: Option<String>,
    /// Skip this many.
    pub offset: Option<u64>,
    /// Whether archived sessions are listed: only they (`true`), or `"all"`.
    pub archived: Option<Value>,
}

impl Grown for SessionsList {
    const LATER: &'static [&'static str] = &["offset", "archived"];
    const IGNORED: &'static [&'static str] = &[
        "activeOnly",
        "requireLastInteraction",
        "sortBy",
        "excludeSubagents",
        "excludeCron",
        "excludeSystem",
        "configuredAgentsOnly",
        "includeActivitySummary",
        "projectId",
        "workspaceDir",
        "group",
        "pinned",
        "boardFace",
        "hasBoard",
        "creatorId",
        "ownerId",
        "ownerFirst",
        "involvingMe",
        "profileRelation",
        "involvingProfileId",
        "includePeople",
    ];
}

/// `sessions.describe`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsDescribe {
    /// The session.
    #[schemars(length(min = 1))]
    pub key: String,
    /// Whether the row carries a title made from the first message.
    #[serde(default)]
    pub include_derived_titles: Option<bool>,
    /// Whether the row carries the last message.
    #[serde(default)]
    pub include_last_message: Option<bool>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
}

impl Grown for SessionsDescribe {
    const LATER: &'static [&'static str] = &["agentId"];
    const IGNORED: &'static [&'static str] = &["includeActivitySummary"];
}

/// `sessions.reset`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsReset {
    /// The session.
    #[schemars(length(min = 1))]
    pub key: String,
    /// Reported with the change; absent: `reset`.
    #[serde(default)]
    pub reason: Option<ResetReason>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Refuse if the session has another incarnation by now.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub expected_session_id: Option<String>,
}

impl Grown for SessionsReset {
    const LATER: &'static [&'static str] = &["agentId", "expectedSessionId"];
    const IGNORED: &'static [&'static str] = &[];
}

/// Why a session is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResetReason {
    /// A new conversation.
    New,
    /// A reset.
    Reset,
}

/// `sessions.delete`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsDelete {
    /// The session.
    #[schemars(length(min = 1))]
    pub key: String,
    /// Whether its messages go too; absent: yes.
    #[serde(default)]
    pub delete_transcript: Option<bool>,
    /// Informational.
    #[serde(default)]
    pub emit_lifecycle_hooks: Option<bool>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Refuse if the session has another incarnation by now.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub expected_session_id: Option<String>,
    /// Refuse unless the session is archived.
    #[serde(default)]
    pub archived_only: Option<bool>,
}

impl Grown for SessionsDelete {
    const LATER: &'static [&'static str] = &["agentId", "expectedSessionId", "archivedOnly"];
    const IGNORED: &'static [&'static str] = &["expectedLifecycleRevision", "expectedSessionUpdatedAt"];
}

/// `sessions.preview`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsPreview {
    /// The sessions.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub keys: Vec<String>,
    /// Most messages of each; absent: 12.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// Most characters of each; absent: 240.
    #[serde(default)]
    #[schemars(range(min = 20))]
    pub max_chars: Option<u64>,
}

/// `sessions.create`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionsCreate {
    /// The session; absent: a fresh one.
    #[schemars(length(min = 1))]
    pub key: Option<String>,
    /// Its agent.
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Its label.
    #[schemars(length(min = 1, max = 512))]
    pub label: Option<String>,
    /// Its model.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// The session that it belongs to.
    #[schemars(length(min = 1))]
    pub parent_session_key: Option<String>,
    /// Informational.
    pub emit_command_hooks: Option<bool>,
    /// First message, written by a program.
    pub task: Option<String>,
    /// First message.
    pub message: Option<String>,
    /// Becomes the id of the first run.
    #[schemars(length(min = 1))]
    pub idempotency_key: Option<String>,
    /// Its thinking level.
    #[schemars(length(min = 1))]
    pub thinking_level: Option<String>,
    /// Its category.
    #[schemars(length(min = 1, max = 512))]
    pub category: Option<String>,
    /// Images of the first message.
    pub attachments: Option<Vec<Value>>,
    /// Deadline of the first run, ms.
    pub timeout_ms: Option<u64>,
}

impl Grown for SessionsCreate {
    const LATER: &'static [&'static str] = &[
        "idempotencyKey",
        "thinkingLevel",
        "category",
        "attachments",
        "timeoutMs",
    ];
    // What would change where or with which rights the session works is not ignored but refused as unknown.
    const IGNORED: &'static [&'static str] = &[
        "displayName",
        "titleSource",
        "agentRuntime",
        "contextWindow",
        "fastMode",
        "visibility",
        "catalogId",
        "spawnDepth",
        "succeedsParent",
        "mentions",
    ];
}

/// `sessions.get`. Not strict: other keys are ignored.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionsGet {
    /// The session.
    pub key: Option<String>,
    /// The same under its other name.
    pub session_key: Option<String>,
    /// Most messages; absent: 200.
    pub limit: Option<u64>,
}

/// `sessions.resolve`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionsResolve {
    /// By key.
    #[schemars(length(min = 1))]
    pub key: Option<String>,
    /// By incarnation.
    #[schemars(length(min = 1))]
    pub session_id: Option<String>,
    /// By label.
    #[schemars(length(min = 1, max = 512))]
    pub label: Option<String>,
    /// Only this agent's.
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Only sessions that this session started.
    #[schemars(length(min = 1))]
    pub spawned_by: Option<String>,
    /// Informational.
    pub include_global: Option<bool>,
    /// Informational.
    pub include_unknown: Option<bool>,
    /// Answer `key: null` instead of an error.
    pub allow_missing: Option<bool>,
}

impl Grown for SessionsResolve {
    const LATER: &'static [&'static str] = &["allowMissing"];
    const IGNORED: &'static [&'static str] = &["slugHint"];
}

/// `sessions.abort`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionsAbort {
    /// The session.
    #[schemars(length(min = 1))]
    pub key: Option<String>,
    /// Only this run.
    #[schemars(length(min = 1))]
    pub run_id: Option<String>,
    /// The agent that short keys belong to.
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
}

impl Grown for SessionsAbort {
    const LATER: &'static [&'static str] = &["agentId"];
    const IGNORED: &'static [&'static str] = &["clearQueued"];
}

/// `sessions.send`, `sessions.steer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsSend {
    /// The session.
    #[schemars(length(min = 1))]
    pub key: String,
    /// The message; may be empty if there are attachments.
    pub message: String,
    /// Thinking level of this run.
    #[serde(default)]
    pub thinking: Option<String>,
    /// Images.
    #[serde(default)]
    pub attachments: Option<Vec<Value>>,
    /// Deadline, ms; 0 means none.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Becomes the run id; absent: a fresh one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub idempotency_key: Option<String>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
}

impl Grown for SessionsSend {
    const LATER: &'static [&'static str] = &["agentId"];
    const IGNORED: &'static [&'static str] = &["mentions"];
}

/// `sessions.messages.subscribe`, `sessions.messages.unsubscribe`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionKeyOnly {
    /// The session.
    #[schemars(length(min = 1))]
    pub key: String,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
}

impl Grown for SessionKeyOnly {
    const LATER: &'static [&'static str] = &["agentId"];
    const IGNORED: &'static [&'static str] = &["includeApprovals"];
}
