//! Authentication: peer, headers and credentials in, a [`Principal`] out. The only maker of principals.
//!
//! `http` judges requests of HTTP and gRPC without IO; `connect` judges WebSocket callers and pairs devices where policy
//! allows it. Operators manage devices through [`Authenticator::devices`]. Nothing here knows a surface: refusals say
//! what is wrong, the surfaces word and send them.

mod client;
mod connect;
pub mod devices;
mod http;
mod identity;
mod limiter;
mod origin;
mod proxy;
mod scopes;
mod shared;
#[cfg(test)]
mod testing;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
pub use identity::{IdentityError, load_or_create_identity, public_identity};

use self::connect::Desk;
use self::devices::{DeviceBook, DeviceStorage};
use self::limiter::{DEFAULT_LIMIT, FailureLimiter};
use crate::base::{Clock, DeviceId, Secret};
use crate::config::{RateLimit, ResolvedAuth};
use crate::domain::event::Event;
use crate::domain::{Principal, Role};
use crate::store::{Store, StoreError};
use crate::telemetry::names;
use crate::wire::connect::ConnectParams;
use crate::wire::error::ErrorShape;

/// The one authenticator of all surfaces; cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    devices: DeviceBook,
    limiter: FailureLimiter,
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
#[derive(Clone)]
pub struct IssuedDeviceToken {
    /// The token (43 characters base64url).
    pub token: String,
    /// When it was issued, ms.
    pub issued_at_ms: i64,
}

impl std::fmt::Debug for IssuedDeviceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedDeviceToken")
            .field("issued_at_ms", &self.issued_at_ms)
            .finish_non_exhaustive()
    }
}

/// The pairing that a connection rests on; see [`Authenticator::still_paired`].
#[derive(Debug, Clone)]
pub struct PairingMark {
    device: DeviceId,
    role: Role,
    token: Secret,
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
    /// Whether the gateway's settings let it in (token, password, trusted proxy, or mode `none`) and not a token of its
    /// own: such connections are closed with 4001 when `ResolvedAuth::shared_generation` changes.
    pub by_settings: bool,
    /// The pairing it rests on, if it was handed a device token.
    pub pairing: Option<PairingMark>,
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
        Self::with_storage(Arc::new(store), clock).await
    }

    /// Loads paired devices from any storage.
    pub async fn with_storage(storage: Arc<dyn DeviceStorage>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Inner {
            devices: DeviceBook::load(storage).await?,
            limiter: FailureLimiter::default(),
            clock,
        })))
    }

    /// Paired devices and pending requests.
    pub fn devices(&self) -> &DeviceBook {
        &self.0.devices
    }

    /// What headers and peer say about the caller.
    pub fn client_facts(auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts {
        client::facts(auth, peer, headers)
    }

    /// Authenticates an HTTP or gRPC request. No IO.
    pub fn http(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<Principal, AuthFailure> {
        http::authenticate(&self.0.limiter, auth, peer, headers)
            .inspect_err(|failure| count_failure("http", failure.reason.to_owned()))
    }

    /// Authenticates a WebSocket `connect`, pairing devices where policy allows.
    pub async fn connect(
        &self,
        auth: &ResolvedAuth,
        attempt: ConnectAttempt<'_>,
    ) -> Result<ConnectGrant, ConnectRefusal> {
        let desk = Desk {
            auth,
            devices: &self.0.devices,
            limiter: &self.0.limiter,
            now_ms: self.0.clock.now_ms(),
        };
        desk.judge(attempt).await.inspect_err(|refusal| {
            let details = refusal.error.details.as_ref();
            let code = details
                .and_then(|details| details.get("code")?.as_str())
                .unwrap_or("refused");
            let client_ip = client::facts(auth, attempt.peer, attempt.headers).client_ip;
            tracing::info!(target: "auth", %client_ip, client = attempt.params.client.id, code, "connect refused");
            count_failure("ws", code.to_owned());
        })
    }

    /// Whether the device is still paired as it was when the grant was made. Ask once more when the connection can be
    /// found and closed by others: a removal in between finds nothing to close. `false`: close with 4001
    /// "device removed".
    pub fn still_paired(&self, mark: &PairingMark) -> bool {
        self.0
            .devices
            .accepts(mark.device.as_str(), mark.role, mark.token.expose(), &[])
    }
}

/// Counts a refusal by its reason code, which comes from a closed set.
fn count_failure(surface: &'static str, reason: String) {
    metrics::counter!(names::AUTH_FAILURES, "surface" => surface, "reason" => reason).increment(1);
}

/// The failure limit in force.
fn limits(auth: &ResolvedAuth) -> RateLimit {
    auth.rate_limit.unwrap_or(DEFAULT_LIMIT)
}
