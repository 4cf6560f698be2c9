//! The OpenClaw Gateway.
//!
//! See `ARCHITECTURE.md` for the way of the data and the invariants.

#![forbid(unsafe_code)]

pub mod auth;
pub mod base;
pub mod bus;
pub mod config;
pub mod domain;
pub mod health;
pub mod lifecycle;
pub mod live;
pub mod models;
pub mod rpc;
pub mod services;
pub mod store;
pub mod wire;
