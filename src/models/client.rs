//! The client side of the chat-completions dialect: a request body into domain terms, domain terms into responses.
//!
//! Pure. It lives here and not in `wire` because it speaks of messages, tools and faults; `wire::openai` holds the
//! shapes alone.

mod chat;
mod fields;
mod image;
mod input;
mod messages;
mod respond;
mod tools;
mod turn;

pub use chat::{ChatTurn, parse_turn, to_turn};
pub use fields::param_fault;
pub use input::{Dialogue, InputPart, LinkKind};
pub use respond::{call_fault, error_body, wire_usage};
pub use turn::Turn;

#[cfg(test)]
mod tests;
