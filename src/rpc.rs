//! The WebSocket surface: connections, dispatch, methods.

pub mod method;
pub mod methods;
pub mod validation;
pub mod ws;
