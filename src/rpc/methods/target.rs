//! Which session and agent a request means, and who asks.

use crate::base::{AgentId, SessionKey};
use crate::domain::run::RunOwner;
use crate::domain::{Fault, Scope};
use crate::rpc::method::RequestCtx;
use crate::sessions::key;

/// A session named by a request.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Canonical.
    pub key: SessionKey,
    /// Its agent; it may be gone from the configuration.
    pub agent: AgentId,
}

impl Target {
    /// The session that `text` names; short keys belong to `agent_id`, else to the default agent.
    pub fn of(ctx: &RequestCtx, text: &str, agent_id: Option<&str>) -> Result<Self, Fault> {
        let default = match agent_id {
            Some(text) => key::agent_id(text),
            None => ctx.live.snapshot.default_agent().clone(),
        };
        let key = key::canonical(text, &default).map_err(|error| Fault::invalid(error.to_string()))?;
        let agent = key::agent_of(&key, &default);
        Ok(Self { key, agent })
    }

    /// Refuses sessions of agents that configuration does not name.
    pub fn check_agent(&self, ctx: &RequestCtx) -> Result<(), Fault> {
        if ctx.live.snapshot.agent(self.agent.as_str()).is_some() {
            return Ok(());
        }
        Err(Fault::invalid(format!(
            "Agent \"{}\" no longer exists in configuration",
            self.agent
        )))
    }
}

/// The caller as the owner of runs.
pub(super) fn owner(ctx: &RequestCtx) -> RunOwner {
    RunOwner {
        conn: ctx.conn.id.clone(),
        device: ctx.principal.device.clone(),
    }
}

/// Whether the caller may do everything.
pub(super) fn is_admin(ctx: &RequestCtx) -> bool {
    ctx.principal.may(Scope::Admin)
}
