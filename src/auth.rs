//! Authentication: peer, headers and credentials in, a [`Principal`] out. The only maker of principals.

mod book;
mod connect;
mod facts;
mod http;
pub mod identity;
mod limiter;
mod origin;
mod refusal;
mod signature;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;

use self::book::DeviceBook;
pub use self::book::{DeviceToken, PairedDevice, PendingRequest};
use self::connect::Decision;
use self::limiter::Limiter;

use crate::base::Clock;
use crate::config::ResolvedAuth;
use crate::domain::event::Event;
use crate::domain::{Fault, Principal};
use crate::store::{Store, StoreError};
use crate::telemetry::names;
use crate::wire::connect::ConnectParams;
use crate::wire::error::ErrorShape;

/// The one authenticator of all surfaces; cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    book: DeviceBook<Store>,
    limiter: Limiter,
    clock: Arc<dyn Clock>,
}

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

impl Authenticator {
    /// Loads paired devices from the store.
    pub async fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let book = DeviceBook::open(store).await?;
        Ok(Self(Arc::new(Inner {
            book,
            limiter: Limiter::default(),
            clock,
        })))
    }

    /// What headers and peer say about the caller.
    pub fn client_facts(auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts {
        facts::client_facts(auth, peer, headers)
    }

    /// Authenticates an HTTP or gRPC request. No IO.
    pub fn http(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<Principal, AuthFailure> {
        http::authenticate(&self.0.limiter, auth, peer, headers).inspect_err(|failure| count("http", failure.reason))
    }

    /// Authenticates a WebSocket `connect`, pairing devices where policy allows.
    pub async fn connect(
        &self,
        auth: &ResolvedAuth,
        attempt: ConnectAttempt<'_>,
    ) -> Result<ConnectGrant, ConnectRefusal> {
        let decision = Decision {
            book: &self.0.book,
            limiter: &self.0.limiter,
            auth,
            attempt,
            now_ms: self.0.clock.now_ms(),
        };
        decision.run().await.inspect_err(|refusal| {
            let code = refusal.error.details.as_ref().and_then(|details| details.get("code")?.as_str());
            tracing::info!(target: "auth", peer = %attempt.peer.ip(), client = attempt.params.client.id, code, "connect refused: {}", refusal.error.message);
            count("ws", "refused");
        })
    }

    /// Requests that wait for approval, newest first.
    pub fn pending_devices(&self) -> Vec<PendingRequest> {
        self.0.book.pending(self.0.clock.now_ms())
    }

    /// Paired devices, newest approval first.
    pub fn paired_devices(&self) -> Vec<PairedDevice> {
        self.0.book.paired()
    }

    /// Approves a request. The caller must hold every scope that it grants.
    pub async fn approve(&self, caller: &Principal, request_id: &str) -> Result<(PairedDevice, Option<Event>), Fault> {
        let now_ms = self.0.clock.now_ms();
        let request = self
            .0
            .book
            .waiting(request_id, now_ms)
            .ok_or_else(|| Fault::invalid("unknown requestId"))?;
        connect::may_approve(caller, &request).map_err(|scope| Fault::invalid(format!("missing scope: {scope}")))?;
        let device = self.0.book.admit(&request, now_ms).await?;
        Ok((device, connect::resolved_event(&request, "approved", now_ms)))
    }

    /// Rejects a request.
    pub async fn reject(&self, request_id: &str) -> Result<(PendingRequest, Option<Event>), Fault> {
        let now_ms = self.0.clock.now_ms();
        let request = self
            .0
            .book
            .waiting(request_id, now_ms)
            .ok_or_else(|| Fault::invalid("unknown requestId"))?;
        self.0.book.forget(request_id).await?;
        let event = connect::resolved_event(&request, "rejected", now_ms);
        Ok((request, event))
    }

    /// Removes a device; its connections must be closed by the caller.
    pub async fn remove_device(&self, device_id: &str) -> Result<(), Fault> {
        if self.0.book.remove(device_id).await? {
            Ok(())
        } else {
            Err(Fault::invalid("unknown deviceId"))
        }
    }

    /// Replaces the token of (device, role); `scopes` may only narrow. Connections must be closed by the caller.
    pub async fn rotate_token(
        &self,
        device_id: &str,
        role: &str,
        scopes: Option<&[String]>,
    ) -> Result<DeviceToken, Fault> {
        self.0.book.rotate(device_id, role, scopes, self.0.clock.now_ms()).await
    }

    /// Takes the token of (device, role) back; returns when, ms. Connections must be closed by the caller.
    pub async fn revoke_token(&self, device_id: &str, role: &str) -> Result<i64, Fault> {
        let now_ms = self.0.clock.now_ms();
        self.0.book.revoke(device_id, role, now_ms).await?;
        Ok(now_ms)
    }
}

fn book_id(key: &[u8; 32]) -> String {
    crate::wire::device::device_id(key)
}

fn count(surface: &'static str, reason: &'static str) {
    metrics::counter!(names::AUTH_FAILURES, "surface" => surface, "reason" => reason).increment(1);
}
