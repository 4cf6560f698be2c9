//! Model providers: dialects, registry, discovery, the demo, and the retry budget.
//!
//! A provider turns a [`ModelCall`](crate::domain::model::ModelCall) into a request of its dialect and the answer into
//! events. Conversions (`request`, `chunk`, `sse`, `client`) are pure: no IO, no clock. IO of a dialect is in one
//! place, behind [`http::HttpClients`]. Nothing here keeps state between calls except connection pools and what a
//! provider was seen not to support. Retrying is the caller's business, by the one budget in [`retry`].

pub mod answer;
pub mod anthropic_messages;
pub mod arguments;
pub mod audio;
pub mod body;
pub mod client;
pub mod cooldown;
pub mod counts;
pub mod data_url;
pub mod demo;
pub mod draft;
pub mod embeddings;
pub mod endpoint;
pub mod failure;
#[cfg(test)]
mod fixtures;
pub mod google_generative_ai;
pub mod http;
pub mod lines;
pub mod ollama;
pub mod openai_completions;
pub mod openai_responses;
pub mod registry;
pub mod retry;
pub mod sampling;
pub mod sse;
pub mod unusable;

pub use cooldown::Cooldowns;
pub use http::HttpClients;
pub use registry::{CatalogEntry, Registry};
