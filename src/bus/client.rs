//! One connection as the hub sees it: what it may see, what it subscribed to, where its frames wait.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::outbox::{Delivery, Outbox, SharedEvent};
use crate::base::{ConnId, SessionKey};
use crate::domain::event::EventName;
use crate::domain::{Principal, Role, Scope};

/// Every event name, in the order of its bit.
pub(super) const EVENTS: [EventName; 14] = [
    EventName::Agent,
    EventName::Chat,
    EventName::SessionMessage,
    EventName::SessionTool,
    EventName::SessionsChanged,
    EventName::Presence,
    EventName::Tick,
    EventName::Health,
    EventName::Heartbeat,
    EventName::Shutdown,
    EventName::DevicePairRequested,
    EventName::DevicePairResolved,
    EventName::NodePairRequested,
    EventName::NodePairResolved,
];

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ConnId,
    pub(super) protocol: u8,
    pub(super) principal: Arc<Principal>,
    pub(super) shared_generation: Option<String>,
    pub(super) outbox: Arc<Outbox>,
    /// One bit per event it may see.
    pub(super) events: u32,
    pub(super) has_subscriptions: AtomicBool,
    pub(super) subscriptions: Mutex<Subscriptions>,
    pub(super) presence_key: Option<String>,
    /// Presence version that its hello-ok shows.
    pub(super) joined_at: u64,
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pub(super) all_sessions: bool,
    pub(super) sessions: HashSet<SessionKey>,
}

impl Client {
    pub(super) fn change_subscriptions(&self, total: &AtomicUsize, change: impl FnOnce(&mut Subscriptions)) {
        let mut subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = subscriptions.count();
        change(&mut subscriptions);
        let after = subscriptions.count();
        self.has_subscriptions.store(after > 0, Ordering::Release);
        if after >= before {
            total.fetch_add(after - before, Ordering::AcqRel);
        } else {
            total.fetch_sub(before - after, Ordering::AcqRel);
        }
    }

    pub(super) fn follows(&self, key: Option<&SessionKey>) -> bool {
        if !self.has_subscriptions.load(Ordering::Acquire) {
            return false;
        }
        let subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        subscriptions.all_sessions || key.is_some_and(|key| subscriptions.sessions.contains(key))
    }

    pub(super) fn deliver(&self, frame: &Arc<SharedEvent>, numbered: bool, droppable: bool) {
        if self.outbox.push_event(frame, numbered, droppable) == Delivery::TooSlow {
            tracing::warn!(target: "gateway", conn = %self.id, "connection closed: it does not read its events");
        }
    }
}

impl Subscriptions {
    fn count(&self) -> usize {
        usize::from(self.all_sessions) + self.sessions.len()
    }
}

/// The position of an event in [`EVENTS`]. A new event name does not compile until it has one.
pub(super) const fn bit(name: EventName) -> usize {
    match name {
        EventName::Agent => 0,
        EventName::Chat => 1,
        EventName::SessionMessage => 2,
        EventName::SessionTool => 3,
        EventName::SessionsChanged => 4,
        EventName::Presence => 5,
        EventName::Tick => 6,
        EventName::Health => 7,
        EventName::Heartbeat => 8,
        EventName::Shutdown => 9,
        EventName::DevicePairRequested => 10,
        EventName::DevicePairResolved => 11,
        EventName::NodePairRequested => 12,
        EventName::NodePairResolved => 13,
    }
}

/// The events a caller may see, one bit each.
pub(super) fn visible(principal: &Principal, protocol: u8) -> u32 {
    EVENTS
        .iter()
        .enumerate()
        .filter(|(_, name)| match name.scope() {
            // Protocol 4 shows presence to readers only.
            None if **name == EventName::Presence && protocol >= 4 => {
                principal.role == Role::Operator && principal.may(Scope::Read)
            }
            None => true,
            Some(scope) => principal.role == Role::Operator && principal.may(scope),
        })
        .fold(0, |bits, (index, _)| bits | (1 << index))
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, bit};

    #[test]
    fn every_event_has_its_own_bit() {
        for (index, name) in EVENTS.into_iter().enumerate() {
            assert_eq!(bit(name), index);
        }
    }
}
