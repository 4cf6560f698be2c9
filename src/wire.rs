//! Wire formats as data: WebSocket frames, `connect`, errors, OpenAI bodies, telemetry. No IO, no business.

pub mod bulk;
pub mod connect;
pub mod device;
pub mod error;
pub mod frame;
pub mod openai;
pub mod otlp;
pub mod params;
