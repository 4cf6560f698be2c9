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
    /// Keys from the login shell.
    pub shell_env: ShellEnvSection,
    /// Variables written directly under `env`.
    #[serde(flatten)]
    pub direct: BTreeMap<String, String>,
}

/// Keys from the login shell, for those that nothing else sets.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShellEnvSection {
    /// Whether the login shell is asked.
    pub enabled: bool,
    /// How long it may take, ms; absent: 15 s.
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
}

impl fmt::Debug for EnvSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.vars.keys().chain(self.direct.keys()))
            .finish()
    }
}
