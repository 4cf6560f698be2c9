//! The control service.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use tonic::{Request, Response, Status};

use super::pb::control_server::Control;
use super::pb::{GetStatusRequest, GetStatusResponse};
use super::status;
use crate::auth::{AuthFailure, Authenticator};
use crate::config::ResolvedAuth;
use crate::domain::run::Runs;
use crate::domain::{Principal, Scope};
use crate::health::Probes;
use crate::lifecycle::Lifecycle;
use crate::live::LiveHandle;

/// The part of the authenticator that this surface needs.
pub trait GrpcGate: Send + Sync {
    /// Authenticates a call. Failures are counted.
    fn admit(&self, auth: &ResolvedAuth, peer: SocketAddr, metadata: &HeaderMap) -> Result<Principal, AuthFailure>;
}

impl GrpcGate for Authenticator {
    fn admit(&self, auth: &ResolvedAuth, peer: SocketAddr, metadata: &HeaderMap) -> Result<Principal, AuthFailure> {
        self.http(auth, peer, metadata)
    }
}

/// What the control service needs of the gateway.
#[derive(Clone)]
pub struct ControlPorts {
    /// Configuration.
    pub live: LiveHandle,
    /// The authenticator.
    pub gate: Arc<dyn GrpcGate>,
    /// The run loop.
    pub runs: Arc<dyn Runs>,
    /// Probes.
    pub probes: Probes,
    /// Life of the process.
    pub lifecycle: Lifecycle,
}

pub(super) struct ControlService {
    ports: ControlPorts,
}

impl ControlService {
    pub(super) fn new(ports: ControlPorts) -> Self {
        Self { ports }
    }

    /// The caller, if it has `scope`.
    fn authorize<T>(&self, request: &Request<T>, scope: Scope) -> Result<Principal, Status> {
        // The listener puts the peer there; a call without it did not come through the listener.
        let peer = request
            .extensions()
            .get::<SocketAddr>()
            .ok_or_else(|| Status::internal("the caller's address is unknown"))?;
        let live = self.ports.live.load();
        let principal = self
            .ports
            .gate
            .admit(&live.snapshot.auth, *peer, request.metadata().as_ref())
            .map_err(|failure| status::refused(&failure))?;
        if principal.may(scope) {
            Ok(principal)
        } else {
            Err(status::missing_scope(scope))
        }
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn get_status(&self, request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        self.authorize(&request, Scope::Read)?;
        let live = self.ports.live.load();
        let failing = self.ports.probes.failing().await;
        let active = self.ports.runs.active();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_generation: live.snapshot.generation,
            config_hash: live.snapshot.hash.clone(),
            uptime_ms: self.ports.lifecycle.uptime_ms(),
            ready: failing.is_empty(),
            failing,
            live: self.ports.probes.is_live(),
            draining: self.ports.lifecycle.is_draining(),
            runs_queued: count(active.queued),
            runs_running: count(active.running),
        }))
    }
}
