//! The OpenClaw Gateway.
//!
//! See `ARCHITECTURE.md` for the way of the data and the invariants.

#![forbid(unsafe_code)]

pub mod agent;
pub mod app;
pub mod auth;
pub mod base;
pub mod bus;
pub mod channels;
pub mod cli;
pub mod config;
pub mod documents;
pub mod domain;
pub mod fetch;
pub mod grpc;
pub mod health;
pub mod http;
pub mod lifecycle;
pub mod live;
pub mod models;
pub mod otlp;
pub mod rpc;
pub mod services;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod wire;

/// Version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
