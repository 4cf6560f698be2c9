//! The gRPC surface: health services and the control service, served on the gateway's own port.
//!
//! Health needs no credentials, like the HTTP probes. Everything else takes a principal from the one authenticator;
//! credentials are metadata with the names of the HTTP headers. What is not there answers `UNIMPLEMENTED`.

mod control;
mod health;
mod status;

/// Messages and services generated from `proto/control.proto`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod pb {
    tonic::include_proto!("openclaw.control.v1");
}

use std::sync::Arc;

use tonic::service::Routes;

pub use control::{ControlPorts, GrpcGate};
pub use health::HealthService;

/// All services. The health service is kept up to date by [`HealthService::run`].
pub fn routes(ports: ControlPorts, health: &HealthService) -> Routes {
    let control = pb::control_server::ControlServer::from_arc(Arc::new(control::ControlService::new(ports)));
    Routes::new(control).add_service(health.server()).prepare()
}
