//! `chat.*`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Grown, Provenance};

/// `chat.send`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatSend {
    /// The session, short or canonical.
    #[schemars(length(min = 1, max = 512))]
    pub session_key: String,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Informational.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub session_id: Option<String>,
    /// The message; may be empty if there are attachments.
    pub message: String,
    /// Thinking level of this run.
    #[serde(default)]
    pub thinking: Option<String>,
    /// Whether the answer also goes to a channel.
    #[serde(default)]
    pub deliver: Option<bool>,
    /// Channel that the message came through; needs admin.
    #[serde(default)]
    pub originating_channel: Option<String>,
    /// Its target there; needs admin.
    #[serde(default)]
    pub originating_to: Option<String>,
    /// Its account there; needs admin.
    #[serde(default)]
    pub originating_account_id: Option<String>,
    /// Its thread there; needs admin.
    #[serde(default)]
    pub originating_thread_id: Option<String>,
    /// Images.
    #[serde(default)]
    pub attachments: Option<Vec<Value>>,
    /// Deadline, ms; 0 means none.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Where the message comes from; needs admin.
    #[serde(default)]
    pub system_input_provenance: Option<Provenance>,
    /// Receipt of the source; needs admin.
    #[serde(default)]
    pub system_provenance_receipt: Option<String>,
    /// Whether `/stop` and its like are plain text.
    #[serde(default)]
    pub suppress_command_interpretation: Option<bool>,
    /// Becomes the run id.
    #[schemars(length(min = 1))]
    pub idempotency_key: String,
}

impl Grown for ChatSend {
    const LATER: &'static [&'static str] = &["agentId", "suppressCommandInterpretation"];
    const IGNORED: &'static [&'static str] = &[
        "mentions",
        "workContext",
        "intent",
        "fastMode",
        "fastAutoOnSeconds",
        "queueMode",
        "replyToId",
        "toolBindings",
        "expectedLeafEntryId",
        "expectedSessionRoutingContract",
        "expectedPermissionMode",
        "expectedToolOverrides",
    ];
}

/// `chat.history`, `chat.startup`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatHistory {
    /// The session, short or canonical; echoed as written.
    #[schemars(length(min = 1))]
    pub session_key: String,
    /// Most messages; absent: 200.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Most characters of one text.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500_000))]
    pub max_chars: Option<u32>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Most bytes of all messages.
    #[serde(default)]
    #[schemars(range(min = 1024))]
    pub max_bytes: Option<u64>,
    /// Skip this many of the newest messages.
    #[serde(default)]
    pub offset: Option<u64>,
}

impl Grown for ChatHistory {
    const LATER: &'static [&'static str] = &["agentId", "maxBytes", "offset"];
    // A cursor may be answered with the whole list.
    const IGNORED: &'static [&'static str] = &["cursor", "pendingBefore", "inputRunIds", "messageId", "sessionId"];
}

/// `chat.abort`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatAbort {
    /// The session, as it was written in `chat.send`.
    #[schemars(length(min = 1))]
    pub session_key: String,
    /// Only this run.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub run_id: Option<String>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
}

impl Grown for ChatAbort {
    const LATER: &'static [&'static str] = &["agentId"];
    const IGNORED: &'static [&'static str] = &["preserveSideRuns"];
}

/// `chat.inject`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatInject {
    /// The session, short or canonical.
    #[schemars(length(min = 1))]
    pub session_key: String,
    /// The note.
    #[schemars(length(min = 1))]
    pub message: String,
    /// Shown in brackets above it.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub label: Option<String>,
    /// The agent that short keys belong to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
}

impl Grown for ChatInject {
    const LATER: &'static [&'static str] = &["agentId"];
    const IGNORED: &'static [&'static str] = &[];
}
