//! Typed sections, one file per top-level key.

use serde::Deserialize;

/// The typed configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {}
