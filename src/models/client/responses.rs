//! The client side of `/v1/responses`: a request into a turn, items into messages, a run into items and events.
//!
//! Pure, like everything beside it. Storage and ids of stored things belong to the surface.

mod answer;
mod compaction;
mod dialogue;
mod fields;
mod ids;
mod items;
mod narrate;
mod request;
mod table;
mod tools;

pub use answer::{Answer, End};
pub use compaction::{compaction_item, compaction_prompt, prompt_list};
pub use dialogue::dialogue;
pub use ids::{IdMaker, response_of_item};
pub use items::{output_of, to_stored, with_ids};
pub use narrate::Narration;
pub use request::{Ask, CompactAsk, parse_ask, parse_compact};
pub use table::{COMPACT, RESPONSES};

#[cfg(test)]
mod tests;
