//! `agent` (two answers: accepted, then the end) and `agent.wait`.

mod run;
mod wait;

use crate::domain::Scope;
use crate::method;
use crate::rpc::method::{Access, Method};
use crate::rpc::methods::grown::grown_method;
use crate::wire::params::agent::{Agent, AgentWait};

/// Lines of the method table.
pub const METHODS: &[Method] = &[
    grown_method!("agent", Access::Operator(Scope::Write), listed: true, Agent, run::agent),
    method!("agent.wait", Access::Operator(Scope::Write), listed: true, AgentWait, wait::wait),
];
