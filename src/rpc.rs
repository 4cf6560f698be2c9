//! The WebSocket surface: connections, dispatch, methods.
//!
//! Entry points: [`Surface::serve`] for an upgraded connection, [`self_handshake`] for the liveness probe. A method is a
//! line in a family's table under `methods/` and a thin function beside it.

mod conn;
mod dispatch;
pub mod handshake;
mod hello;
pub mod method;
pub mod methods;
mod probe;
pub mod registry;
mod surface;
pub mod validation;
pub mod ws;

pub use dispatch::WsLog;
pub use probe::self_handshake;
pub use surface::{Surface, UpgradeFacts};
