//! `env`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// Variables for `${NAME}` and for children; they never replace one that is already set.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSection {
    /// Variables by name.
    pub vars: BTreeMap<String, String>,
    /// Variables written directly under `env`.
    #[serde(flatten)]
    pub direct: BTreeMap<String, String>,
}

impl fmt::Debug for EnvSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.vars.keys().chain(self.direct.keys()))
            .finish()
    }
}
