//! Logs, metrics and spans. Every name and label lives here; the rest of the code records events, not strings.

mod capped;
pub mod events;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod redaction;
pub mod requests;
pub mod ring;
pub mod rolling;
pub mod span;
pub mod tail;
pub mod trace;

pub use logs::LogSettings;
pub use metrics::MetricsHandle;
