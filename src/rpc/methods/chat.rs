//! `chat.*`: send, read, stop, annotate.

mod history;
mod inject;
pub(super) mod send;
mod stop;

use crate::domain::Scope;
use crate::rpc::method::{Access, Method};
use crate::rpc::methods::grown::grown_method;
use crate::wire::params::chat::{ChatAbort, ChatHistory, ChatInject, ChatSend};

/// Lines of the method table.
pub const METHODS: &[Method] = &[
    grown_method!("chat.send", Access::Operator(Scope::Write), listed: true, ChatSend, send::send),
    grown_method!("chat.history", Access::Operator(Scope::Read), listed: true, ChatHistory, history::history),
    grown_method!("chat.startup", Access::Operator(Scope::Read), listed: true, ChatHistory, history::startup),
    grown_method!("chat.abort", Access::Operator(Scope::Write), listed: true, ChatAbort, stop::abort),
    grown_method!("chat.inject", Access::Operator(Scope::Admin), listed: false, ChatInject, inject::inject),
];
