//! Vocabulary that every layer may use: ids, time, files, addresses, secrets.
//!
//! Knows nothing of config, wire formats or the async runtime.

pub mod clock;
pub mod fs;
pub mod ids;
pub mod line_file;
pub mod listener;
pub mod net;
pub mod printable;
pub mod redact;
pub mod secret;

pub use clock::{Clock, SystemClock};
pub use ids::{AgentId, ConnId, DeviceId, RunId, SessionId, SessionKey};
pub use secret::Secret;
