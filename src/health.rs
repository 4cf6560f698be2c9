//! What the gateway says about its own state: probes (liveness, readiness, startup), the cached `health` payload and
//! the lag of the scheduler.
//!
//! Reads state through handles and never changes any. Nothing here waits for a busy part of the gateway on the path of
//! a probe: checks run beside it and probes read their last result.

#[cfg(test)]
pub mod fixtures;
pub mod lag;
pub mod liveness;
pub mod probes;
pub mod snapshot;
pub mod storage;

pub use lag::{LagReport, LagSampler};
pub use liveness::{HandshakeProbe, Liveness};
pub use probes::{ProbeSources, Probes, Readiness, Startup};
pub use snapshot::{Health, HealthSources};
pub use storage::StorageProbe;
