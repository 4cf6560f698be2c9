//! From a message of an open connection to its answer: envelope, authorisation, handler, error shape.
//!
//! A handler is polled once in the connection's own task. If it is not done then, it goes on in a task of its own, so that
//! requests of one connection run at the same time; a panic is answered, not spread.

mod account;
mod budget;
mod faults;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use self::account::Account;
pub use self::account::WsLog;
pub use self::budget::WriteBudget;
use super::hello::role_name;
use super::method::{Access, ConnInfo, Interim, Method, MethodFailure, MethodResult, RequestCtx};
use super::registry;
use super::surface::Surface;
use super::ws::Driver;
use crate::bus::Outbox;
use crate::domain::{Fault, FaultKind, Principal, Role, Scope};
use crate::wire::frame::{self, FrameError};

/// Calls of a method of the other role in a row that are answered; the next one closes the connection.
const MAX_UNAUTHORIZED: u32 = 11;
/// How long the handlers of a connection that is gone may go on.
const ORPHAN_GRACE: Duration = Duration::from_secs(30);

/// The request side of an open connection.
pub(super) struct Session {
    surface: Surface,
    principal: Arc<Principal>,
    conn: Arc<ConnInfo>,
    outbox: Arc<Outbox>,
    gone: CancellationToken,
    unauthorized: u32,
}

/// Why a call is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denied {
    /// The method is for the other role.
    Role,
    /// A scope is missing.
    Scope(Scope),
}

impl Session {
    pub(super) fn new(
        surface: Surface,
        principal: Arc<Principal>,
        conn: Arc<ConnInfo>,
        outbox: Arc<Outbox>,
        gone: CancellationToken,
    ) -> Self {
        Self {
            surface,
            principal,
            conn,
            outbox,
            gone,
            unauthorized: 0,
        }
    }

    /// The connection is gone: handlers still at work get a moment to finish.
    pub(super) fn end(&self) {
        self.gone.cancel();
    }

    /// Answers one message.
    pub(super) async fn handle<IO>(&mut self, driver: &mut Driver<IO>, text: &str)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let request = match frame::parse_request(text) {
            Ok(request) => request,
            Err(FrameError::NotJson) => {
                tracing::debug!(target: "gateway", conn = %self.conn.id, "message ignored: not JSON");
                return;
            }
            Err(FrameError::Invalid { id, errors }) => {
                let fault = Fault::invalid(format!("invalid request frame: {errors}"));
                driver.send(self.failure(&id, fault.into()));
                return;
            }
        };
        if let Some((method, payload)) = self.cached(&request.method, request.params) {
            self.unauthorized = 0;
            let account = self.open(method, &request.id);
            driver.send(frame::success(&request.id, payload.get()));
            account.close(&self.conn, &request.id, None);
            return;
        }
        match self.prepare(&request.method) {
            Ok(method) => self.start(driver, method, &request.id, request.params).await,
            Err(fault) => {
                let method = registry::find(&request.method).map_or("unknown", |method| method.name);
                self.open(method, &request.id)
                    .close(&self.conn, &request.id, Some(&fault));
                if self.unauthorized > MAX_UNAUTHORIZED {
                    self.outbox.close(1008, "repeated unauthorized calls");
                } else {
                    driver.send(self.failure(&Value::from(&*request.id), fault.into()));
                }
            }
        }
    }

    /// Payloads that are kept as JSON are answered without a handler.
    fn cached(&self, method: &str, params: Option<&RawValue>) -> Option<(&'static str, Arc<RawValue>)> {
        let services = self.surface.services();
        match method {
            "health" if params.is_none_or(|params| params.get() == "{}") => Some(("health", services.health.cached()?)),
            "system-presence" if authorize(Access::Operator(Scope::Read), &self.principal).is_ok() => {
                Some(("system-presence", services.hub.presence()))
            }
            _ => None,
        }
    }

    /// Checks who calls and whether the method exists, in this order.
    fn prepare(&mut self, name: &str) -> Result<&'static Method, Fault> {
        let allowed = authorize(registry::access(name), &self.principal);
        self.unauthorized = if allowed == Err(Denied::Role) {
            self.unauthorized + 1
        } else {
            0
        };
        if name == "connect" {
            return Err(Fault::invalid("connect is only valid as the first request"));
        }
        allowed.map_err(|denied| match denied {
            Denied::Role => Fault::new(
                FaultKind::InvalidRequest,
                format!("unauthorized role: {}", role_name(self.principal.role)),
            ),
            Denied::Scope(scope) => Fault::missing_scope(scope.as_str()),
        })?;
        registry::find(name).ok_or_else(|| Fault::invalid(format!("unknown method: {name}")))
    }

    async fn start<IO>(&self, driver: &mut Driver<IO>, method: &'static Method, id: &str, params: Option<&RawValue>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let services = self.surface.services();
        let account = self.open(method.name, id);
        let slot = match self
            .surface
            .writes()
            .take(method.name, &self.principal, self.conn.protocol)
        {
            Ok(slot) => slot,
            Err(fault) => {
                account.close(&self.conn, id, Some(&fault));
                driver.send(self.failure(&Value::from(id), fault.into()));
                return;
            }
        };
        let id: Arc<str> = Arc::from(id);
        let reply = Arc::new(Reply {
            id: Arc::clone(&id),
            outbox: Arc::clone(&self.outbox),
            close: OnceLock::new(),
        });
        let params = params.map_or_else(empty_params, ToOwned::to_owned);
        let context = RequestCtx {
            services: services.clone(),
            live: services.live.load(),
            principal: Arc::clone(&self.principal),
            conn: Arc::clone(&self.conn),
            interim: Arc::clone(&reply) as Arc<dyn Interim>,
        };
        let protocol = self.conn.protocol;
        let (conn, closing) = (Arc::clone(&self.conn), account.clone());
        let mut answer = Box::pin(async move {
            let run = AssertUnwindSafe(async move { (method.run)(context, params).await });
            let result = match run.catch_unwind().await {
                Ok(result) => result,
                Err(_) => {
                    tracing::error!(target: "gateway", method = method.name, "handler panicked");
                    Err(Fault::new(FaultKind::Internal, format!("{} failed unexpectedly", method.name)).into())
                }
            };
            closing.close(&conn, &id, result.as_ref().err().map(|failure| &failure.fault));
            if result.is_ok()
                && let Some(slot) = slot
            {
                slot.keep();
            }
            render(&id, result, protocol)
        });
        let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut answer).poll(cx))).await;
        if let Poll::Ready(text) = first {
            driver.send(text);
            reply.finish();
            return;
        }
        let outbox = Arc::clone(&self.outbox);
        let gone = self.gone.clone();
        outbox.request_started();
        services.lifecycle.tasks.spawn(async move {
            let orphaned = async {
                gone.cancelled().await;
                tokio::time::sleep(ORPHAN_GRACE).await;
            };
            let text = tokio::select! {
                text = answer => Some(text),
                () = orphaned => {
                    account.abandon();
                    None
                }
            };
            outbox.request_done(text);
            reply.finish();
        });
    }

    fn open(&self, method: &'static str, id: &str) -> Account {
        Account::open(&self.surface, &self.conn, method, id)
    }

    fn failure(&self, id: &Value, failure: MethodFailure) -> String {
        faults::render(id, failure, self.conn.protocol)
    }
}

fn authorize(access: Access, principal: &Principal) -> Result<(), Denied> {
    match access {
        Access::Anyone => Ok(()),
        Access::Node if principal.role == Role::Node => Ok(()),
        Access::Operator(_) if principal.role != Role::Operator => Err(Denied::Role),
        Access::Operator(scope) if principal.may(scope) => Ok(()),
        Access::Operator(scope) => Err(Denied::Scope(scope)),
        Access::Node => Err(Denied::Role),
    }
}

fn empty_params() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn render(id: &str, result: MethodResult, protocol: u8) -> String {
    match result {
        Ok(payload) => frame::success(id, payload.get()),
        Err(failure) => faults::render(&Value::from(id), failure, protocol),
    }
}

/// Sends responses ahead of the final one, and what comes behind it.
#[derive(Debug)]
struct Reply {
    id: Arc<str>,
    outbox: Arc<Outbox>,
    /// How to close behind the final response.
    close: OnceLock<(u16, &'static str)>,
}

impl Reply {
    /// The final response is queued.
    fn finish(&self) {
        if let Some((code, reason)) = self.close.get() {
            self.outbox.close(*code, reason);
        }
    }
}

impl Interim for Reply {
    fn respond(&self, payload: Box<RawValue>) {
        self.outbox.push_text(frame::success(&self.id, payload.get()));
    }

    fn close_after(&self, code: u16, reason: &'static str) {
        // The first reason stands.
        self.close.set((code, reason)).ok();
    }
}
