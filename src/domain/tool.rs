//! The port to server tools: what the gateway itself can do for a model.

use super::ToolCall;
use super::model::ToolSpec;
use super::run::PortFuture;
use crate::base::{AgentId, RunId, SessionKey};

/// Where a tool call happens.
#[derive(Debug, Clone)]
pub struct ToolContext {
    /// The agent that calls.
    pub agent: AgentId,
    /// Its session.
    pub session: SessionKey,
    /// The run.
    pub run: RunId,
}

/// Result of a tool call, as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolOutput {
    /// Text for the model.
    pub content: String,
    /// Whether it is an error report.
    pub is_error: bool,
}

/// The tools of the gateway.
pub trait Tools: Send + Sync {
    /// What an agent may use, sorted by name.
    fn specs(&self, agent: &AgentId) -> Vec<ToolSpec>;

    /// Runs one call. Dropping the future cancels it. `None`: there is no such tool.
    fn invoke<'a>(&'a self, context: &'a ToolContext, call: &'a ToolCall) -> PortFuture<'a, Option<ToolOutput>>;
}

/// A gateway without tools of its own.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoTools;

impl Tools for NoTools {
    fn specs(&self, _agent: &AgentId) -> Vec<ToolSpec> {
        Vec::new()
    }

    fn invoke<'a>(&'a self, _context: &'a ToolContext, _call: &'a ToolCall) -> PortFuture<'a, Option<ToolOutput>> {
        Box::pin(std::future::ready(None))
    }
}
