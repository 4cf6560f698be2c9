//! `meta`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Stamp of the last program that wrote the file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Version of that program.
    pub last_touched_version: Option<String>,
    /// When it wrote, ISO 8601.
    pub last_touched_at: Option<String>,
}
