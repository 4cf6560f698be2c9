//! Configuration: from files and environment to one immutable [`Snapshot`].
//!
//! The file is input and is never written by the gateway on its own. A snapshot is complete (defaults applied, secrets
//! resolved, agents and providers flattened) so that nobody re-derives anything while serving a request.

pub mod snapshot;
pub mod types;

pub use snapshot::{
    AgentProfile, AuthMode, Issue, ModelEntry, ModelSelection, ProviderSettings, RateLimit, ResolvedAuth, Severity,
    Snapshot, SnapshotHandle, TrustedProxy,
};
