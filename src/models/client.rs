//! The client side of the chat-completions dialect: a request body into domain terms, domain terms into responses.
//!
//! Pure. It lives here and not in `wire` because it speaks of messages, tools and faults; `wire::openai` holds the
//! shapes alone.

mod fields;
mod image;
mod messages;
mod respond;
mod tools;
mod turn;

pub use respond::{call_fault, error_body, wire_usage};
pub use turn::{ChatTurn, parse_turn, to_turn};

#[cfg(test)]
mod tests;
