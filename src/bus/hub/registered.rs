//! A place in the client table, from hello-ok to the end of the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Hub;
use crate::base::ConnId;
use crate::bus::client::{Client, Subscriptions, visible};
use crate::bus::outbox::Outbox;
use crate::bus::presence::ClientPresence;
use crate::domain::Principal;

/// Departures are gathered this long, so that many at once make one `presence` event.
const PRESENCE_GATHER: Duration = Duration::from_millis(50);

/// A connection that reached hello-ok.
#[derive(Debug)]
pub struct Registration {
    /// Its id.
    pub id: ConnId,
    /// Session protocol, 3 or 4.
    pub protocol: u8,
    /// The caller.
    pub principal: Arc<Principal>,
    /// `ResolvedAuth::shared_generation` it was let in with, if by a shared secret.
    pub shared_generation: Option<String>,
    /// What presence shows, if it is tracked.
    pub presence: Option<ClientPresence>,
}

/// A place in the client table; dropping it removes the client.
#[derive(Debug)]
pub struct Registered {
    hub: Hub,
    client: Arc<Client>,
}

impl Hub {
    /// Adds a connection whose frames are taken from `outbox`. After `close_all`, it is closed at once.
    pub fn register(&self, registration: Registration, outbox: Arc<Outbox>) -> Registered {
        let inner = &self.0;
        let presence_key = registration.presence.map(|presence| {
            inner.presence_version.fetch_add(1, Ordering::AcqRel);
            inner.lock_presence().joined(presence, inner.clock.now_ms())
        });
        let client = Arc::new(Client {
            events: visible(&registration.principal, registration.protocol),
            id: registration.id,
            protocol: registration.protocol,
            principal: registration.principal,
            shared_generation: registration.shared_generation,
            outbox,
            has_subscriptions: AtomicBool::new(false),
            subscriptions: Mutex::default(),
            presence_key,
            joined_at: inner.presence_version.load(Ordering::Acquire),
        });
        inner.count_viewer(client.events, true);
        inner
            .clients
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(client.id.clone(), Arc::clone(&client));
        let closing = inner.closing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((code, reason)) = closing {
            client.outbox.close(code, &reason);
        }
        Registered {
            hub: self.clone(),
            client,
        }
    }

    /// Broadcasts departures a moment after the first one.
    async fn announce_departures(self) {
        tokio::time::sleep(PRESENCE_GATHER).await;
        self.0.presence_due.store(false, Ordering::Release);
        self.broadcast_presence(self.0.departed_at.load(Ordering::Acquire));
    }
}

impl Registered {
    /// Whether the client may stay now that `current` is the generation of the shared secret.
    pub fn is_current(&self, current: &str) -> bool {
        self.client
            .shared_generation
            .as_deref()
            .is_none_or(|own| own == current)
    }

    /// Removes the client. The returned future, if any, broadcasts that it left; it must be run.
    pub fn leave(self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let hub = self.hub.clone();
        let tracked = self.client.presence_key.is_some();
        drop(self);
        (tracked && !hub.0.presence_due.swap(true, Ordering::AcqRel)).then(|| hub.announce_departures())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let inner = &self.hub.0;
        let client = &self.client;
        inner
            .clients
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&client.id);
        inner.count_viewer(client.events, false);
        client.change_subscriptions(&inner.subscriptions, |subscriptions| {
            *subscriptions = Subscriptions::default()
        });
        if let Some(key) = &client.presence_key {
            let version = inner.presence_version.fetch_add(1, Ordering::AcqRel) + 1;
            inner.departed_at.fetch_max(version, Ordering::AcqRel);
            inner.lock_presence().left(key, inner.clock.now_ms());
        }
        inner.gone.notify_waiters();
    }
}
