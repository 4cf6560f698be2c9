//! The port to the event bus.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::Scope;
use crate::base::{ConnId, SessionKey};

/// Events of the control plane, with the scope that may see each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventName {
    /// `agent`: what a run does, step by step.
    Agent,
    /// `chat`: the conversation as a chat view shows it.
    Chat,
    /// `session.message`: a message was stored.
    SessionMessage,
    /// `session.tool`: a tool step, for session subscribers.
    SessionTool,
    /// `sessions.changed`: a session row changed.
    SessionsChanged,
    /// `presence`.
    Presence,
    /// `tick`.
    Tick,
    /// `health`.
    Health,
    /// `heartbeat`.
    Heartbeat,
    /// `shutdown`.
    Shutdown,
    /// `device.pair.requested`.
    DevicePairRequested,
    /// `device.pair.resolved`.
    DevicePairResolved,
    /// `node.pair.requested`.
    NodePairRequested,
    /// `node.pair.resolved`.
    NodePairResolved,
}

impl EventName {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Chat => "chat",
            Self::SessionMessage => "session.message",
            Self::SessionTool => "session.tool",
            Self::SessionsChanged => "sessions.changed",
            Self::Presence => "presence",
            Self::Tick => "tick",
            Self::Health => "health",
            Self::Heartbeat => "heartbeat",
            Self::Shutdown => "shutdown",
            Self::DevicePairRequested => "device.pair.requested",
            Self::DevicePairResolved => "device.pair.resolved",
            Self::NodePairRequested => "node.pair.requested",
            Self::NodePairResolved => "node.pair.resolved",
        }
    }

    /// The scope a connection needs to receive the broadcast; `None`: any authenticated connection.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Presence | Self::Tick | Self::Health | Self::Heartbeat | Self::Shutdown => None,
            Self::Agent | Self::Chat | Self::SessionMessage | Self::SessionTool | Self::SessionsChanged => {
                Some(Scope::Read)
            }
            Self::DevicePairRequested | Self::DevicePairResolved | Self::NodePairRequested | Self::NodePairResolved => {
                Some(Scope::Pairing)
            }
        }
    }
}

/// Who gets an event.
#[derive(Debug, Clone)]
pub enum Audience {
    /// Everybody with the event's scope; takes a sequence number per connection.
    Broadcast,
    /// Connections subscribed to all sessions (`sessions.subscribe`); no sequence number.
    SessionSubscribers,
    /// Connections subscribed to all sessions or to this one (`sessions.messages.subscribe`); no sequence number.
    SessionMessages(SessionKey),
    /// One connection; no sequence number.
    Connection(ConnId),
}

/// An event, serialised once.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its name.
    pub name: EventName,
    /// Its payload, already JSON.
    pub payload: Arc<RawValue>,
    /// Who gets it.
    pub audience: Audience,
    /// Whether a slow connection may miss it (it still consumes a sequence number).
    pub droppable: bool,
}

/// Where events go.
pub trait Publisher: Send + Sync {
    /// Whether anybody would receive such an event now; lets producers skip serialising.
    fn has_audience(&self, name: EventName) -> bool;

    /// Queues the event for everybody concerned. Never blocks; a slow connection is dropped or closed by the bus.
    fn publish(&self, event: Event);
}
