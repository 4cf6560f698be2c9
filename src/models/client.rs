//! The client side of the chat-completions dialect: a request body into domain terms, domain terms into responses.
//!
//! Pure. It lives here and not in `wire` because it speaks of messages, tools and faults; `wire::openai` holds the
//! shapes alone.

mod chat;
mod chat_fields;
pub mod contract;
mod data_url;
mod embeddings;
mod fields;
mod input;
mod logprobs;
mod messages;
mod parts;
mod respond;
pub mod responses;
mod tools;
mod turn;

pub use chat::{ChatTurn, parse_turn};
pub use chat_fields::CHAT;
pub use data_url::{Base64, decoded_size, read_data_url};
pub use embeddings::{EMBEDDINGS, EmbeddingTurn, embedding_json, parse_embeddings};
pub use fields::{param_fault, wrong_type};
pub use input::{Dialogue, InputPart, LinkKind};
pub use logprobs::join_logprobs;
pub use respond::{call_fault, error_body, wire_usage};
pub use turn::Turn;

#[cfg(test)]
mod tests;
