//! What the gateway says about its own state: the cached `health` payload and the lag of the scheduler.
//!
//! Reads state through handles and never changes any.

pub mod lag;
pub mod snapshot;

pub use lag::{LagReport, LagSampler};
pub use snapshot::{Health, HealthSources};
