//! `secrets`, and the value type of every credential in the file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// Where secrets come from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Secrets {
    /// Providers by alias.
    pub providers: BTreeMap<String, SecretProvider>,
    /// Alias used when a reference names none.
    pub defaults: SecretDefaults,
    /// Bounds of resolution.
    pub resolution: Resolution,
}

/// Alias per source.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretDefaults {
    /// For `env` references.
    pub env: Option<String>,
    /// For `file` references.
    pub file: Option<String>,
    /// For `exec` references.
    pub exec: Option<String>,
}

/// Bounds of resolution.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resolution {
    /// Providers asked at once.
    #[schemars(range(min = 1, max = 16))]
    pub max_provider_concurrency: Option<u32>,
    /// References per provider; absent: 512.
    #[schemars(range(min = 1, max = 4096))]
    pub max_refs_per_provider: Option<u32>,
    /// Bytes of one request to a command; absent: 262144.
    #[schemars(range(min = 1, max = 5_242_880))]
    pub max_batch_bytes: Option<u32>,
}

/// One source of secrets. Which keys apply depends on `source`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretProvider {
    /// Kind of source.
    pub source: SecretSource,
    /// env: names that may be read; empty: any.
    #[serde(default)]
    pub allowlist: Vec<String>,
    /// file: absolute path, `~` allowed.
    #[serde(default)]
    pub path: Option<String>,
    /// file: how ids select a value.
    #[serde(default)]
    pub mode: FileMode,
    /// file, exec: time limit in ms; absent: 5000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 120_000))]
    pub timeout_ms: Option<u64>,
    /// file: largest file; absent: 1 MiB.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20_971_520))]
    pub max_bytes: Option<u64>,
    /// file, exec: skip the checks of owner and mode.
    #[serde(default)]
    pub allow_insecure_path: bool,
    /// exec: absolute path of the program.
    #[serde(default)]
    pub command: Option<String>,
    /// exec: its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// exec: longest silence in ms; absent: the time limit.
    #[serde(default)]
    #[schemars(range(min = 1, max = 120_000))]
    pub no_output_timeout_ms: Option<u64>,
    /// exec: largest answer; absent: 1 MiB.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20_971_520))]
    pub max_output_bytes: Option<u64>,
    /// exec: whether the answer must be JSON.
    #[serde(default = "yes")]
    pub json_only: bool,
    /// exec: variables of the program.
    #[serde(default)]
    pub env: BTreeMap<String, SecretInput>,
    /// exec: variables handed on from ours.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// exec: folders that the program must be in; empty: any.
    #[serde(default)]
    pub trusted_dirs: Vec<String>,
    /// exec: whether the program may be a symbolic link.
    #[serde(default)]
    pub allow_symlink_command: bool,
}

const fn yes() -> bool {
    true
}

/// Kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// Environment variable.
    Env,
    /// File.
    File,
    /// Program.
    Exec,
}

impl SecretSource {
    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::File => "file",
            Self::Exec => "exec",
        }
    }
}

/// How ids select a value of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FileMode {
    /// The file is JSON and ids are JSON pointers.
    #[default]
    Json,
    /// The file is the value and the only id is `value`.
    SingleValue,
}

/// A reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Kind of source.
    pub source: SecretSource,
    /// Provider alias.
    #[serde(default)]
    pub provider: Option<String>,
    /// What to ask the provider for.
    pub id: String,
}

/// A credential: plain text, `${NAME}`, or a reference. `Debug` never shows plain text.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum SecretInput {
    /// Plain text, or `${NAME}` of a variable that is not set.
    Text(String),
    /// A reference.
    Ref(SecretRef),
}

impl fmt::Debug for SecretInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("[redacted]"),
            Self::Ref(reference) => reference.fmt(f),
        }
    }
}

impl JsonSchema for SecretInput {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<SecretRef>();
        json_schema!({ "anyOf": [{ "type": "string" }, reference] })
    }
}
