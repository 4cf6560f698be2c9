//! What a method is. The table in `rpc::registry` lists them; a method is a line there and a thin function in its
//! family's file under `rpc/methods/`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::base::ConnId;
pub use crate::domain::Access;
use crate::domain::{Fault, Principal};
use crate::live::Live;
use crate::services::Services;

/// Facts of the connection that carries a request.
#[derive(Debug, Clone)]
pub struct ConnInfo {
    /// Its id.
    pub id: ConnId,
    /// Session protocol, 3 or 4.
    pub protocol: u8,
    /// `client.id`.
    pub client_id: String,
    /// `client.mode`.
    pub client_mode: String,
    /// `client.displayName`.
    pub display_name: Option<String>,
    /// Declared `caps`.
    pub caps: Vec<String>,
}

/// Sends frames that belong to a request before its final response.
pub trait Interim: Send + Sync {
    /// Sends a successful `res` for the same id; the handler's return value follows as a second `res`.
    fn respond(&self, payload: Box<RawValue>);

    /// Closes the connection once the final response is queued.
    fn close_after(&self, code: u16, reason: &'static str);
}

/// What a handler gets.
#[derive(Clone)]
pub struct RequestCtx {
    /// Handles.
    pub services: Services,
    /// The world of this request.
    pub live: Arc<Live>,
    /// The caller.
    pub principal: Arc<Principal>,
    /// Its connection.
    pub conn: Arc<ConnInfo>,
    /// For two-phase methods.
    pub interim: Arc<dyn Interim>,
}

/// A failed method. `payload` accompanies the error where upstream sends both (`agent`).
#[derive(Debug)]
pub struct MethodFailure {
    /// The error.
    pub fault: Fault,
    /// Payload beside it.
    pub payload: Option<Box<RawValue>>,
}

impl From<Fault> for MethodFailure {
    fn from(fault: Fault) -> Self {
        Self { fault, payload: None }
    }
}

/// What a method returns: its payload, serialised once.
pub type MethodResult = Result<Box<RawValue>, MethodFailure>;

/// Boxed handler future.
pub type MethodFuture = Pin<Box<dyn Future<Output = MethodResult> + Send>>;

/// One line of the method table.
#[derive(Debug)]
pub struct Method {
    /// Name on the wire.
    pub name: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether hello-ok lists it.
    pub listed: bool,
    /// Runs it with the raw params (`{}` if absent).
    pub run: fn(RequestCtx, Box<RawValue>) -> MethodFuture,
}

/// Serialises a payload.
pub fn payload<T: Serialize>(value: &T) -> MethodResult {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Fault::new(crate::domain::FaultKind::Internal, format!("payload: {error}")).into())
}

/// A line of the method table: name, access, whether hello-ok lists it, parameter type, handler
/// (`async fn(RequestCtx, P) -> MethodResult`, or `sync` and a plain `fn` of that shape for what never waits).
///
/// The params are checked against the type's schema, compiled on first use; a refusal is worded as the protocol does.
#[macro_export]
macro_rules! method {
    ($name:literal, $access:expr, listed: $listed:expr, $params:ty, sync $handler:path) => {
        $crate::method!(@line $name, $access, $listed, $params, ctx, params, $handler(ctx, params))
    };
    ($name:literal, $access:expr, listed: $listed:expr, $params:ty, $handler:path) => {
        $crate::method!(@line $name, $access, $listed, $params, ctx, params, $handler(ctx, params).await)
    };
    (@line $name:literal, $access:expr, $listed:expr, $params:ty, $ctx:ident, $parsed:ident, $call:expr) => {
        $crate::rpc::method::Method {
            name: $name,
            access: $access,
            listed: $listed,
            run: {
                fn run(
                    $ctx: $crate::rpc::method::RequestCtx,
                    raw: ::std::boxed::Box<::serde_json::value::RawValue>,
                ) -> $crate::rpc::method::MethodFuture {
                    static SHAPE: ::std::sync::LazyLock<$crate::rpc::validation::Shape<$params>> =
                        ::std::sync::LazyLock::new($crate::rpc::validation::Shape::new);
                    ::std::boxed::Box::pin(async move {
                        let $parsed: $params = SHAPE.parse($name, &raw)?;
                        $call
                    })
                }
                run
            },
        }
    };
}
