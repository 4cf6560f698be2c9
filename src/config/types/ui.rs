//! `ui`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Look of the Control UI.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Ui {
    /// Accent colour, `#rrggbb`.
    pub seam_color: Option<String>,
    /// How the assistant is shown.
    pub assistant: Assistant,
}

/// How the assistant is shown.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Assistant {
    /// Display name.
    #[schemars(length(max = 50))]
    pub name: Option<String>,
    /// Emoji, URL or data URI.
    pub avatar: Option<String>,
}
