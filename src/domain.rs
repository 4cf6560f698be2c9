//! Ports and shared types: what one part of the gateway may ask of another, without knowing how it is done.
//!
//! Only types and small traits live here. Implementations are wired together once, in `app`.

pub mod access;
pub mod channel;
pub mod config_control;
pub mod embedding;
pub mod event;
pub mod fault;
pub mod identity;
pub mod logs;
pub mod message;
pub mod model;
pub mod principal;
pub mod run;
pub mod tool;

pub use access::Access;
pub use fault::{Fault, FaultKind};
pub use message::{Detail, Message, Part, Seal, Sealed, ToolCall};
pub use principal::{AuthMethod, Principal, Role, Scope, ScopeSet};
