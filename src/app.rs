//! The composition root: builds the gateway from configuration, serves it, reloads it, ends it.
//!
//! The only place that constructs services and the only one that spawns top-level tasks.

mod boot;
mod build;
mod config_desk;
mod descriptors;
mod dev;
mod drain;
mod force;
mod listening;
mod lock;
mod logs;
mod reaper;
mod reload;
mod reset;
mod run;
pub mod serve;
mod signals;
mod sockets;
mod upkeep;

pub use run::run;
