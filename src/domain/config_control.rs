//! The port to the configuration: change the file and what is in force in one step.

use std::sync::Arc;

use serde_json::Value;

use super::Fault;
use super::run::PortFuture;
use crate::base::ConnId;
use crate::config::Snapshot;
use crate::config::edit::Change;

/// A wish to change the configuration.
#[derive(Debug, Clone)]
pub struct ConfigRequest {
    /// What to change.
    pub change: Change,
    /// Hash of the file that the change is based on; needed if there is a file.
    pub base_hash: Option<String>,
    /// The connection that asks. If the change takes its shared secret away, it is not closed before it has its answer.
    pub caller: Option<ConnId>,
    /// What to say about the change beside the answer; `None`: nothing.
    pub note: Option<ChangeNote>,
}

/// What is said about a change.
#[derive(Debug, Clone)]
pub struct ChangeNote {
    /// `config-patch` or `config-apply`.
    pub kind: &'static str,
    /// The method.
    pub mode: &'static str,
    /// The caller's own words.
    pub message: Option<String>,
    /// The session that asked.
    pub session_key: Option<String>,
    /// Where that session's answers go.
    pub delivery_context: Option<Value>,
}

/// A change that was carried out.
#[derive(Debug, Clone)]
pub struct ConfigChanged {
    /// What the file says now.
    pub snapshot: Arc<Snapshot>,
    /// The file said so already; nothing was written.
    pub same: bool,
    /// Why it is written and not in force (`gateway.reload.mode`).
    pub not_applied: Option<String>,
    /// The caller's shared secret is no longer valid: close its connection after the answer.
    pub close_caller: bool,
    /// What the request's note says.
    pub note: Option<Value>,
}

/// Changes the configuration.
pub trait ConfigControl: Send + Sync {
    /// Judges, writes and applies a change. On an error nothing was written.
    fn write(&self, request: ConfigRequest) -> PortFuture<'_, Result<ConfigChanged, Fault>>;

    /// Reads all secrets again; returns how many of them have a problem.
    fn reload_secrets(&self) -> PortFuture<'_, Result<usize, Fault>>;
}
