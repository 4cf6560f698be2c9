//! `sessions.patch`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::params::{Grown, present};

/// `sessions.patch`. A setting that is absent stays, `null` clears it.
///
/// Serialises back to what was sent, so that the settings can be stored under their own names.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsPatch {
    /// The session.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing)]
    pub key: String,
    /// The agent that short keys belong to.
    #[serde(default, skip_serializing)]
    #[schemars(length(min = 1))]
    pub agent_id: Option<String>,
    /// Refuse if the session has another incarnation by now.
    #[serde(default, skip_serializing)]
    #[schemars(length(min = 1))]
    pub expected_session_id: Option<String>,
    /// Its label.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1, max = 512))]
    pub label: Option<Option<String>>,
    /// How much its model thinks.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub thinking_level: Option<Option<String>>,
    /// Whether it prefers speed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<bool>")]
    pub fast_mode: Option<Option<bool>>,
    /// How much of the work is shown.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub verbose_level: Option<Option<String>>,
    /// How much is traced.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub trace_level: Option<Option<String>>,
    /// Whether reasoning is shown.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub reasoning_level: Option<Option<String>>,
    /// Whether answers show their tokens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ResponseUsage>")]
    pub response_usage: Option<Option<ResponseUsage>>,
    /// Rights of its commands.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub elevated_level: Option<Option<String>>,
    /// Where its commands run.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub exec_host: Option<Option<String>>,
    /// Which commands may run.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub exec_security: Option<Option<String>>,
    /// When commands need approval.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub exec_ask: Option<Option<String>>,
    /// The node that its commands run on.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub exec_node: Option<Option<String>>,
    /// Its model.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub model: Option<Option<String>>,
    /// The session that started it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub spawned_by: Option<Option<String>>,
    /// Its workspace.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub spawned_workspace_dir: Option<Option<String>>,
    /// How deep it is below a person's session.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub spawn_depth: Option<Option<u64>>,
    /// What it does for the session that started it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SubagentRole>")]
    pub subagent_role: Option<Option<SubagentRole>>,
    /// Which sessions it may control.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SubagentControlScope>")]
    pub subagent_control_scope: Option<Option<SubagentControlScope>>,
    /// Whether messages may be sent to it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SendPolicy>")]
    pub send_policy: Option<Option<SendPolicy>>,
    /// When it answers in a group.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<GroupActivation>")]
    pub group_activation: Option<Option<GroupActivation>>,
    /// A label that the gateway chose (protocol 4).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1, max = 512))]
    pub auto_label: Option<Option<String>>,
    /// Its icon (protocol 4).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub icon: Option<Option<String>>,
    /// Its colour (protocol 4).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub color: Option<Option<String>>,
    /// Its category (protocol 4).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1, max = 512))]
    pub category: Option<Option<String>>,
    /// Whether it is put away (protocol 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// Whether it is kept on top (protocol 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// Whether it has news (protocol 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<bool>,
}

impl Grown for SessionsPatch {
    const LATER: &'static [&'static str] = &[
        "agentId",
        "expectedSessionId",
        "autoLabel",
        "icon",
        "color",
        "category",
        "archived",
        "pinned",
        "unread",
    ];
    const IGNORED: &'static [&'static str] = &[
        "expectedLifecycleRevision",
        "expectedPermissionMode",
        "expectedSandboxMode",
        "expectedNativeRuntimeConsent",
        "expectedToolOverrides",
        "expectedMarkedUnreadAt",
        "boardFace",
        "boardPresentation",
        "statusNote",
        "attention",
        "ttlMinutes",
        "contextWindow",
        "agentRuntime",
        "completionOwnerSessionKey",
    ];
}

macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$choice_doc:meta])* $choice:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$choice_doc])* $choice,)+
        }
    };
}

choices!(
    /// Whether answers show their tokens.
    ResponseUsage {
        /// No.
        Off,
        /// The counts.
        Tokens,
        /// Counts and cost.
        Full,
        /// As `tokens`.
        On,
    }
);
choices!(
    /// What a session does for the one that started it.
    SubagentRole {
        /// Starts others.
        Orchestrator,
        /// Works itself.
        Leaf,
    }
);
choices!(
    /// Which sessions a session may control.
    SubagentControlScope {
        /// Those it started.
        Children,
        /// None.
        None,
    }
);
choices!(
    /// Whether messages may be sent to a session.
    SendPolicy {
        /// Yes.
        Allow,
        /// No.
        Deny,
    }
);
choices!(
    /// When a session answers in a group.
    GroupActivation {
        /// When it is named.
        Mention,
        /// Always.
        Always,
    }
);
