//! Authentication: peer, headers and credentials in, a [`Principal`] out. The only maker of principals.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::base::Clock;
use crate::config::ResolvedAuth;
use crate::domain::event::Event;
use crate::domain::{Principal, ScopeSet};
use crate::store::Store;
use crate::wire::connect::ConnectParams;
use crate::wire::error::ErrorShape;

/// The one authenticator of all surfaces; cheap to clone.
#[derive(Clone)]
pub struct Authenticator {}

/// Why an HTTP or gRPC request is refused. The caller only learns 401 or 429; `reason` is for log and metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFailure {
    /// Upstream's reason name (`token_mismatch`, `trusted_proxy_user_missing`, ...).
    pub reason: &'static str,
    /// Set if the caller is locked out: when to come back.
    pub retry_after: Option<Duration>,
}

/// What is known about a caller before it is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFacts {
    /// Address after trusted proxies were unwound; the key of limits.
    pub client_ip: IpAddr,
    /// Loopback peer without forwarding headers.
    pub local_direct: bool,
    /// Any forwarding header is present.
    pub forwarded: bool,
}

/// A WebSocket `connect` to judge.
#[derive(Debug, Clone, Copy)]
pub struct ConnectAttempt<'a> {
    /// Socket peer.
    pub peer: SocketAddr,
    /// Upgrade request headers.
    pub headers: &'a HeaderMap,
    /// The validated params.
    pub params: &'a ConnectParams,
    /// Nonce of this connection's challenge.
    pub nonce: &'a str,
    /// Session protocol, 3 or 4.
    pub protocol: u8,
}

/// A device token issued with hello-ok.
#[derive(Debug, Clone)]
pub struct IssuedDeviceToken {
    /// The token (43 characters base64url).
    pub token: String,
    /// When it was issued, ms.
    pub issued_at_ms: i64,
}

/// An accepted `connect`.
#[derive(Debug)]
pub struct ConnectGrant {
    /// The caller.
    pub principal: Principal,
    /// `auth.scopes` of hello-ok.
    pub hello_scopes: Vec<String>,
    /// `auth.deviceToken` of hello-ok.
    pub device_token: Option<IssuedDeviceToken>,
    /// Whether a shared secret (token, password) let it in: such connections are closed with 4001 when
    /// `ResolvedAuth::shared_generation` changes.
    pub shared_secret: bool,
    /// Pairing events to publish.
    pub events: Vec<Event>,
}

/// A refused `connect`: the error to answer, and how to close.
#[derive(Debug)]
pub struct ConnectRefusal {
    /// The `res` error. Boxed: it is large and rare.
    pub error: Box<ErrorShape>,
    /// Close code (1008 unless said otherwise).
    pub close_code: u16,
    /// Close reason, at most 120 bytes.
    pub close_reason: String,
    /// Pairing events to publish.
    pub events: Vec<Event>,
}

#[expect(clippy::unimplemented, clippy::unused_async, reason = "contract")]
impl Authenticator {
    /// Loads paired devices from the store.
    pub async fn open(_store: Store, _clock: Arc<dyn Clock>) -> Result<Self, crate::store::StoreError> {
        unimplemented!()
    }

    /// What headers and peer say about the caller.
    pub fn client_facts(_auth: &ResolvedAuth, _peer: SocketAddr, _headers: &HeaderMap) -> ClientFacts {
        unimplemented!()
    }

    /// Authenticates an HTTP or gRPC request. No IO.
    pub fn http(
        &self,
        _auth: &ResolvedAuth,
        _peer: SocketAddr,
        _headers: &HeaderMap,
    ) -> Result<Principal, AuthFailure> {
        unimplemented!()
    }

    /// Authenticates a WebSocket `connect`, pairing devices where policy allows.
    pub async fn connect(
        &self,
        _auth: &ResolvedAuth,
        _attempt: ConnectAttempt<'_>,
    ) -> Result<ConnectGrant, ConnectRefusal> {
        unimplemented!()
    }

    /// Scopes that a shared secret grants on HTTP.
    pub fn shared_secret_scopes() -> ScopeSet {
        ScopeSet::operator_default()
    }
}
