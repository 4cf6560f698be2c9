//! The WebSocket surface as the HTTP layer and the probes use it: serve an upgraded connection, prove that a handshake works.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::conn;
use super::dispatch::{WriteBudget, WsLog};
use super::handshake::{Entry, Gate, Origin, Verdict};
use crate::auth::{ConnectAttempt, ConnectGrant};
use crate::bus::PreauthPermit;
use crate::domain::Principal;
use crate::domain::event::{Event, Publisher};
use crate::lifecycle::Phase;
use crate::services::Services;
use crate::telemetry::requests::RpcRequests;
use crate::wire::connect::ConnectParams;

/// What is known of an upgraded connection.
#[derive(Debug)]
pub struct UpgradeFacts {
    pub(super) origin: Origin,
    pub(super) leftover: Bytes,
    pub(super) permit: Option<PreauthPermit>,
    /// A caller that needs no credential. Only this module can set it, and only for a connection that exists in memory.
    pub(super) internal: Option<Principal>,
}

impl UpgradeFacts {
    /// An upgrade from the network. `leftover` is what was read behind the request; `permit` is the place that was taken
    /// for the connection while it is not authenticated.
    pub fn new(peer: std::net::SocketAddr, headers: HeaderMap, leftover: Bytes, permit: Option<PreauthPermit>) -> Self {
        Self {
            origin: Origin { peer, headers },
            leftover,
            permit,
            internal: None,
        }
    }
}

/// The surface; cheap to clone.
#[derive(Clone)]
pub struct Surface(Arc<Inner>);

struct Inner {
    services: Services,
    log: WsLog,
    writes: WriteBudget,
    requests: RpcRequests,
}

impl Surface {
    /// A surface over these services that logs what `log` says. Starts nothing.
    pub fn new(services: Services, log: WsLog) -> Self {
        Self(Arc::new(Inner {
            services,
            log,
            writes: WriteBudget::default(),
            requests: RpcRequests::default(),
        }))
    }

    /// Serves one connection until it ends.
    pub async fn serve<IO>(&self, io: IO, facts: UpgradeFacts)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        conn::serve(self, io, facts).await;
    }

    pub(super) fn services(&self) -> &Services {
        &self.0.services
    }

    /// Counters of requests.
    pub(super) fn requests(&self) -> &RpcRequests {
        &self.0.requests
    }

    /// Which requests are logged.
    pub(super) fn log(&self) -> WsLog {
        self.0.log
    }

    pub(super) fn writes(&self) -> &WriteBudget {
        &self.0.writes
    }
}

/// The gate of one connection.
pub(super) struct SurfaceGate<'a> {
    pub(super) surface: &'a Surface,
    pub(super) internal: Option<Principal>,
}

impl Gate for SurfaceGate<'_> {
    fn phase(&self) -> Phase {
        self.surface.services().lifecycle.phase()
    }

    fn timeout(&self) -> Duration {
        self.surface.services().snapshots.load().handshake_timeout()
    }

    fn now_ms(&self) -> i64 {
        self.surface.services().clock.now_ms()
    }

    fn stop(&self) -> &CancellationToken {
        &self.surface.services().lifecycle.stop
    }

    async fn judge(&self, origin: &Origin, params: &ConnectParams, nonce: &str, protocol: u8) -> Verdict {
        if let Some(principal) = &self.internal {
            return Verdict::Granted(Box::new(Entry {
                grant: ConnectGrant {
                    principal: principal.clone(),
                    hello_scopes: Vec::new(),
                    device_token: None,
                    by_settings: false,
                    pairing: None,
                    events: Vec::new(),
                },
                shared_generation: None,
            }));
        }
        let services = self.surface.services();
        let snapshot = services.snapshots.load();
        let attempt = ConnectAttempt {
            peer: origin.peer,
            headers: &origin.headers,
            params,
            nonce,
            protocol,
        };
        match services.auth.connect(&snapshot.auth, attempt).await {
            Ok(grant) => {
                let generation = &snapshot.auth.shared_generation;
                if grant.by_settings && services.snapshots.load().auth.shared_generation != *generation {
                    self.publish(grant.events);
                    return Verdict::Outdated;
                }
                let shared_generation = grant.by_settings.then(|| generation.clone());
                Verdict::Granted(Box::new(Entry {
                    grant,
                    shared_generation,
                }))
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn publish(&self, events: Vec<Event>) {
        for event in events {
            self.surface.services().hub.publish(event);
        }
    }
}
