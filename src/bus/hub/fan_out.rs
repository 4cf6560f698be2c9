//! Events to clients: who gets which, each serialised once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::{Hub, TICK_INTERVAL};
use crate::bus::client::bit;
use crate::bus::outbox::SharedEvent;
use crate::domain::event::{Audience, Event, EventName, Publisher};
use crate::wire::frame;

impl Hub {
    /// Announces the end. Connections stay, so that the end of runs in flight is still heard; [`Self::close_all`] follows.
    pub fn broadcast_shutdown(&self, reason: &str, restart_expected_ms: Option<u64>) {
        let reason_json = serde_json::Value::from(reason);
        let known = restart_expected_ms.map_or_else(|| "null".to_owned(), |ms| ms.to_string());
        let with_null = format!("{{\"reason\":{reason_json},\"restartExpectedMs\":{known}}}");
        let without = format!("{{\"reason\":{reason_json}}}");
        let name = EventName::Shutdown.as_str();
        let old = shared(name, &with_null, None);
        let new = shared(
            name,
            if restart_expected_ms.is_some() {
                &with_null
            } else {
                &without
            },
            None,
        );
        for client in self.0.snapshot() {
            // Protocol 4 leaves an unknown duration out, protocol 3 sends null.
            let frame = if client.protocol >= 4 { &new } else { &old };
            client.outbox.push_event(frame, true, false);
        }
    }

    /// `tick` to everybody every 30 s until `stop`.
    pub async fn run_ticks(self, stop: CancellationToken) {
        let mut timer = tokio::time::interval(TICK_INTERVAL);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        timer.tick().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = timer.tick() => {}
            }
            let payload = raw(format!("{{\"ts\":{}}}", self.0.clock.now_ms()));
            self.publish(Event {
                name: EventName::Tick,
                payload,
                audience: Audience::Broadcast,
                droppable: true,
            });
        }
    }

    /// Sends `presence` to everybody who joined before version `changed`; later clients got it with their hello-ok.
    pub(super) fn broadcast_presence(&self, changed: u64) {
        let payload = self.0.lock_presence().payload(self.0.clock.now_ms());
        let name = EventName::Presence;
        let frame = shared(name.as_str(), payload.get(), Some(self.state_version()));
        let mask = 1_u32 << bit(name);
        let clients = self.0.clients.read().unwrap_or_else(PoisonError::into_inner);
        for client in clients.values() {
            if client.events & mask != 0 && client.joined_at < changed {
                client.deliver(&frame, true, true);
            }
        }
    }
}

impl Publisher for Hub {
    fn has_audience(&self, name: EventName) -> bool {
        let viewers = self
            .0
            .viewers
            .get(bit(name))
            .is_some_and(|viewers| viewers.load(Ordering::Acquire) > 0);
        match name {
            EventName::SessionMessage | EventName::SessionTool | EventName::SessionsChanged => {
                viewers && self.0.subscriptions.load(Ordering::Acquire) > 0
            }
            _ => viewers,
        }
    }

    fn publish(&self, event: Event) {
        if event.name == EventName::Health {
            self.0.health_version.fetch_add(1, Ordering::AcqRel);
        }
        let state = matches!(event.name, EventName::Presence | EventName::Health).then(|| self.state_version());
        let frame = shared(event.name.as_str(), event.payload.get(), state);
        let mask = 1_u32 << bit(event.name);
        if let Audience::Connection(conn) = &event.audience {
            if let Some(client) = self.client(conn) {
                client.deliver(&frame, false, event.droppable);
            }
            return;
        }
        let clients = self.0.clients.read().unwrap_or_else(PoisonError::into_inner);
        for client in clients.values().filter(|client| client.events & mask != 0) {
            match &event.audience {
                Audience::Broadcast => client.deliver(&frame, true, event.droppable),
                Audience::SessionSubscribers if client.follows(None) => {
                    client.deliver(&frame, false, event.droppable);
                }
                Audience::SessionMessages(key) if client.follows(Some(key)) => {
                    client.deliver(&frame, false, event.droppable);
                }
                Audience::SessionSubscribers | Audience::SessionMessages(_) | Audience::Connection(_) => {}
            }
        }
    }
}

fn shared(name: &str, payload: &str, state: Option<(u64, u64)>) -> Arc<SharedEvent> {
    Arc::new(SharedEvent {
        head: frame::event_head(name, payload),
        tail: frame::event_tail(state),
    })
}

fn raw(json: String) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}
