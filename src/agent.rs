//! The run loop: accepts runs durably, keeps each session in order, drives model calls, reports what happens.
//!
//! One task per run. A run is on disk before it is acknowledged, its user message before the model is called, its
//! answer before it is reported final. Nothing here knows a wire format of a surface or a dialect of a provider.

mod answer;
mod chain;
mod embed;
mod emit;
mod lane;
mod ledger;
mod prompt;
mod raw_stream;
mod report;
mod request;
mod rotation;
mod runs;
mod spans;
mod table;
mod task;
mod thinking;
mod turn;

pub use ledger::{COLLECTION as USAGE_COLLECTION, DayUsage, usage_day};
pub use raw_stream::RawStream;
pub use runs::{AgentRuns, AgentRunsDeps};
