//! Parameters of `usage.*`.

use schemars::JsonSchema;
use serde::Deserialize;

/// `usage.cost`. Clients send more than is used here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageCost {
    /// The newest so many days.
    pub days: Option<u64>,
}
