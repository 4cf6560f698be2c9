//! Event fan-out to WebSocket connections: client table, scope filter, sequence numbers, bounded queues, presence.
//!
//! The hub alone assigns sequence numbers. It never blocks and never awaits a client: what a client is too slow to take is
//! skipped or the client is closed (see [`outbox`]).

pub mod budget;
mod client;
pub mod hub;
pub mod outbox;
pub mod presence;
#[cfg(test)]
mod tests;

pub use budget::{PreauthBudget, PreauthPermit};
pub use hub::{ClientView, Hub, HubOptions, Registered, Registration};
pub use outbox::{Outbox, Outgoing, SharedEvent, Status};
pub use presence::{ClientPresence, GatewayFacts, SystemNote};
