//! Where the HTTP layer hands WebSockets over to the control plane, and the handshake that liveness rests on.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::build::Gateway;
use crate::auth::Authenticator;
use crate::domain::Fault;
use crate::health::HandshakeProbe;
use crate::http::{SocketFacts, SocketTask, Sockets};
use crate::rpc::{self, Surface, UpgradeFacts};

/// Longest in-process handshake; the watching thread has its own, longer patience.
const HANDSHAKE: Duration = Duration::from_secs(4);

/// Takes upgraded connections over.
pub(super) struct SocketGate {
    pub(super) gateway: Gateway,
    pub(super) surface: Surface,
}

impl Sockets for SocketGate {
    fn open(&self, facts: SocketFacts) -> Result<SocketTask, Fault> {
        let services = &self.gateway.services;
        let live = services.live.load();
        let caller = Authenticator::client_facts(&live.snapshot.auth, facts.peer.addr, &facts.headers);
        let permit = services
            .hub
            .preauth()
            .take(caller.client_ip)
            .ok_or_else(|| Fault::unavailable("Too many unauthenticated sockets"))?;
        let surface = self.surface.clone();
        Ok(Box::new(move |io| {
            Box::pin(async move {
                let upgrade = UpgradeFacts::new(facts.peer.addr, facts.headers, Bytes::new(), Some(permit));
                surface.serve(io, upgrade).await;
            })
        }))
    }
}

/// Connects to this process in memory.
pub(super) struct SelfHandshake {
    pub(super) surface: Surface,
}

impl HandshakeProbe for SelfHandshake {
    fn run(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(rpc::self_handshake(&self.surface, HANDSHAKE))
    }
}
