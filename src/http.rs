//! The HTTP surface: routes, authentication order, error shapes, bodies, probes, the OpenAI-compatible endpoints, the
//! management surface and the hand-over of WebSocket upgrades.
//!
//! It owns what an HTTP exchange looks like and nothing else: runs, sessions and configuration are asked through ports.
//! The listener (sockets, limits, TLS) is `app::serve`. Order in every handler: method, authentication, scope, body.
//! There is no router crate in between: a request is one `match`, which costs nothing and keeps that order in one place.

mod access;
mod agent_call;
mod body;
mod chat;
#[cfg(test)]
mod contract_checks;
mod cors;
mod embeddings;
mod fault;
#[cfg(test)]
pub mod fixtures;
mod grpc;
mod management;
mod models;
mod page;
mod probes;
mod read;
mod reply;
mod request_id;
mod responses;
mod route;
mod settings;
mod surface;
#[cfg(test)]
mod tests;
mod upgrade;

use std::net::SocketAddr;

pub use access::Gatekeeper;
pub use body::Body;
pub use management::Management;
pub use surface::{Ports, RenderMetrics, Surface};
pub use upgrade::{SocketFacts, SocketTask, Sockets};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its socket address.
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub secure: bool,
}
