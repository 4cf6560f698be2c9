//! `hooks`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretInput;

/// HTTP ingress for other programs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Whether it is served.
    pub enabled: bool,
    /// Where; absent: `/hooks`.
    pub path: Option<String>,
    /// Credential of callers; must differ from the gateway token.
    pub token: Option<SecretInput>,
    /// Session of calls that name none.
    pub default_session_key: Option<String>,
    /// Whether calls may name a session.
    pub allow_request_session_key: bool,
    /// Start of session keys that calls may name; absent: any.
    pub allowed_session_key_prefixes: Option<Vec<String>>,
    /// Agents that calls may name; absent or `*`: any.
    pub allowed_agent_ids: Option<Vec<String>>,
    /// Largest body; absent: 256 KiB.
    #[schemars(range(min = 1))]
    pub max_body_bytes: Option<u64>,
    /// Named sets of mappings.
    pub presets: Vec<String>,
    /// Custom paths.
    pub mappings: Vec<HookMapping>,
}

/// A custom path.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HookMapping {
    /// Name in logs.
    pub id: Option<String>,
    /// All given keys must match.
    #[serde(rename = "match")]
    pub when: HookMatch,
    /// What to do; absent: `agent`.
    pub action: Option<HookAction>,
    /// When a wake-up takes effect.
    pub wake_mode: Option<WakeMode>,
    /// Name of the caller in prompts.
    pub name: Option<String>,
    /// The agent.
    pub agent_id: Option<String>,
    /// The session, with `{{...}}` placeholders.
    pub session_key: Option<String>,
    /// The prompt, with `{{...}}` placeholders.
    pub message_template: Option<String>,
    /// The wake-up text, with `{{...}}` placeholders.
    pub text_template: Option<String>,
    /// Whether the answer is delivered to a channel.
    pub deliver: Option<bool>,
    /// Whether the body goes into the prompt without the warning frame.
    pub allow_unsafe_external_content: Option<bool>,
    /// Channel of delivery.
    #[schemars(length(min = 1))]
    pub channel: Option<String>,
    /// Recipient of delivery.
    pub to: Option<String>,
    /// Model to use.
    pub model: Option<String>,
    /// Reasoning effort.
    pub thinking: Option<String>,
    /// Longest run, seconds.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
}

/// Condition of a mapping.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HookMatch {
    /// Path below the ingress.
    pub path: Option<String>,
    /// `source` of the body.
    pub source: Option<String>,
}

/// What a mapping does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HookAction {
    /// Put a note into the main session.
    Wake,
    /// Run an agent.
    Agent,
}

/// When a wake-up takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WakeMode {
    /// At once.
    Now,
    /// With the next periodic turn.
    NextHeartbeat,
}
