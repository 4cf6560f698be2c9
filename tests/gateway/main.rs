//! End-to-end tests of the built binary through the surfaces that its users touch.

#[path = "../support/mod.rs"]
mod support;

mod config;
mod config_write;
mod durability;
mod house;
mod http;
mod lifecycle;
mod openai;
mod provider_faults;
mod transcripts;
mod ws;
