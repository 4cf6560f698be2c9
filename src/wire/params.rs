//! Parameters of control-plane methods, one file per family. Strict: what a schema does not name is refused.

pub mod agent;
pub mod chat;
pub mod config;
pub mod sessions;
pub mod usage;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// Parameters whose schema grew after protocol 3. Sessions of protocol 3 keep the small schema.
pub trait Grown {
    /// Keys of the type that protocol 3 does not know.
    const LATER: &'static [&'static str];
    /// Keys that protocol 4 allows and the gateway has no use for.
    const IGNORED: &'static [&'static str];
}

/// Where a message comes from, as trusted clients declare it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provenance {
    /// Class of the source.
    pub kind: ProvenanceKind,
    /// Session it began in.
    #[serde(default)]
    pub origin_session_id: Option<String>,
    /// Session it was sent from.
    #[serde(default)]
    pub source_session_key: Option<String>,
    /// Channel it came through.
    #[serde(default)]
    pub source_channel: Option<String>,
    /// Tool that sent it.
    #[serde(default)]
    pub source_tool: Option<String>,
}

/// Class of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvenanceKind {
    /// A person outside.
    ExternalUser,
    /// Another session.
    InterSession,
    /// The gateway itself.
    InternalSystem,
}

/// Tells an absent key (`None`) from one that is `null` (`Some(None)`).
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
