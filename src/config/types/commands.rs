//! `commands`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Chat and control commands.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Commands {
    /// Whether channels register their native commands.
    pub native: AutoOr,
    /// Whether skills are registered as native commands.
    pub native_skills: AutoOr,
    /// Whether text commands (`/new`) are parsed.
    pub text: Option<bool>,
    /// Whether a restart may be requested from outside (signal, tool, command).
    pub restart: bool,
    /// How owner ids are shown to the model.
    pub owner_display: OwnerDisplay,
    /// Who counts as the owner: channel sender ids.
    pub owner_allow_from: Vec<Id>,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            native: AutoOr::default(),
            native_skills: AutoOr::default(),
            text: None,
            restart: true,
            owner_display: OwnerDisplay::default(),
            owner_allow_from: Vec::new(),
        }
    }
}

/// `"auto"` or a boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AutoOr {
    /// As written.
    Fixed(bool),
    /// Decided per channel.
    Auto(Auto),
}

impl Default for AutoOr {
    fn default() -> Self {
        Self::Auto(Auto::Auto)
    }
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// Decided per channel.
    Auto,
}

/// How owner ids are shown to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OwnerDisplay {
    /// As they are.
    #[default]
    Raw,
    /// As a keyed hash.
    Hash,
}

/// A platform id, written as text or number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Id {
    /// Text form.
    Text(String),
    /// Numeric form.
    Number(i64),
}
