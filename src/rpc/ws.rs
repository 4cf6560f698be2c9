//! WebSocket framing, server side (RFC 6455), and the task half that moves frames between a socket and an outbox.
//!
//! Our own because of three needs: message limits that change after `connect`, no buffer held by an idle connection, and
//! frames of shared payloads that are put together per receiver without copying what is large.

pub mod decoder;
pub mod driver;
pub mod encoder;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Incoming, Violation};
pub use driver::{Driver, Step};
