//! Bodies and events of `/v1/responses`, in the shapes that the Open Responses specification of 2026-04-24 and OpenAI's
//! SDKs share. Requests are read leniently, responses and events are written exactly.

pub mod event;
pub mod item;
pub mod object;
pub mod output;
pub mod page;

pub use event::{EventWriter, Framing};
pub use item::{Item, ItemPart, TextOr};
pub use object::{Echo, Incomplete, ResponseError, ResponseObject, Usage};
pub use output::{Compaction, FunctionCall, MessageOut, OutputItem, Reasoning};
pub use page::{Compacted, Deleted, ItemPage};
