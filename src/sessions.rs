//! Session logic: the grammar of keys, the transcript format, what the model sees of a conversation, and rows as lists
//! show them.
//!
//! Pure apart from reads of the store. Starts no runs and sends no events.

pub mod history;
pub mod key;
pub mod policy;
pub mod rows;
pub mod transcript;
