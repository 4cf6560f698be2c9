//! Bodies of the OpenAI-compatible HTTP surface. Requests are read leniently, responses are written exactly.

pub mod body;
pub mod chat;
pub mod chunk;
pub mod completion;
pub mod error;
pub mod list;
pub mod models;
pub mod object;
pub mod responses;

pub use chunk::ChunkWriter;
pub use completion::{Completion, Usage};
pub use error::ErrorBody;
