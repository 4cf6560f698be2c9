//! End-to-end tests of the built binary through the surfaces that its users touch.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test that meets the unexpected must fail loudly"
)]

#[expect(dead_code, reason = "the other suite uses the rest")]
#[path = "../support/mod.rs"]
mod support;

mod ask;
mod bad_input;
mod clock;
mod config;
mod config_write;
mod deploy;
mod devices;
mod dialects;
mod documents;
mod durability;
mod fallback;
mod front_ends;
mod hostile;
mod house;
mod http;
mod lifecycle;
mod metrics;
mod openai;
mod otlp;
mod provider_faults;
mod responses;
mod run_flags;
mod spend;
mod storage;
mod transcripts;
mod upgrade;
mod ws;
