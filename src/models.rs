//! Model providers: dialects, registry, discovery, the demo, and the retry budget.
//!
//! A provider turns a [`ModelCall`](crate::domain::model::ModelCall) into a request of its dialect and the answer into
//! events. Conversions (`request`, `chunk`, `sse`, `client`) are pure: no IO, no clock. IO of a dialect is in one
//! place, behind [`http::HttpClients`]. Nothing here keeps state between calls except connection pools and what a
//! provider was seen not to support. Retrying is the caller's business, by the one budget in [`retry`].

pub mod body;
pub mod client;
pub mod demo;
pub mod embeddings;
pub mod failure;
pub mod http;
pub mod ollama;
pub mod openai_completions;
pub mod registry;
pub mod retry;
pub mod sse;
pub mod unusable;

pub use http::HttpClients;
pub use registry::{CatalogEntry, Registry};
