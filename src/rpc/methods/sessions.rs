//! `sessions.*`: list, describe, change, send to, follow.

mod changed;
mod create;
mod delete;
mod follow;
mod list;
mod look_up;
mod patch;
mod preview;
mod reset;
mod run;
mod transcript_text;

use crate::domain::Scope;
use crate::method;
use crate::rpc::method::{Access, Method};
use crate::rpc::methods::grown::grown_method;
use crate::rpc::validation::NoParams;
use crate::wire::params::sessions::{
    SessionKeyOnly, SessionsAbort, SessionsCreate, SessionsDelete, SessionsDescribe, SessionsGet, SessionsList,
    SessionsPatch, SessionsPreview, SessionsReset, SessionsResolve, SessionsSend,
};

const READ: Access = Access::Operator(Scope::Read);
const WRITE: Access = Access::Operator(Scope::Write);
const ADMIN: Access = Access::Operator(Scope::Admin);

/// Lines of the method table.
pub const METHODS: &[Method] = &[
    grown_method!("sessions.list", READ, listed: true, SessionsList, list::list),
    grown_method!("sessions.describe", READ, listed: true, SessionsDescribe, list::describe),
    method!("sessions.preview", READ, listed: true, SessionsPreview, preview::preview),
    method!("sessions.get", READ, listed: false, SessionsGet, look_up::get),
    grown_method!("sessions.resolve", READ, listed: false, SessionsResolve, look_up::resolve),
    grown_method!("sessions.create", WRITE, listed: true, SessionsCreate, create::create),
    // Protocol 4 decides by what is changed; see `patch` and `delete`.
    grown_method!("sessions.patch", WRITE, listed: true, legacy: Some(Scope::Admin), SessionsPatch, patch::patch),
    grown_method!("sessions.delete", WRITE, listed: true, legacy: Some(Scope::Admin), SessionsDelete, delete::delete),
    grown_method!("sessions.reset", ADMIN, listed: true, SessionsReset, reset::reset),
    grown_method!("sessions.abort", WRITE, listed: true, SessionsAbort, run::abort),
    grown_method!("sessions.send", WRITE, listed: true, SessionsSend, run::send),
    grown_method!("sessions.steer", WRITE, listed: false, SessionsSend, run::steer),
    method!("sessions.subscribe", READ, listed: true, NoParams, follow::subscribe),
    method!("sessions.unsubscribe", READ, listed: true, NoParams, follow::unsubscribe),
    grown_method!("sessions.messages.subscribe", READ, listed: true, SessionKeyOnly, follow::subscribe_messages),
    grown_method!("sessions.messages.unsubscribe", READ, listed: true, SessionKeyOnly, follow::unsubscribe_messages),
];
