//! The client table: who is connected, what they follow, what they are told about each other.

mod fan_out;
mod registered;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Notify;

pub use self::registered::{Registered, Registration};
use super::budget::{self, PreauthBudget};
use super::client::{Client, EVENTS};
use super::presence::{GatewayFacts, PresenceTable, SystemNote};
use crate::base::{Clock, ConnId, SessionKey, SystemClock};
use crate::domain::Principal;

/// How often `tick` is sent (`policy.tickIntervalMs`).
pub const TICK_INTERVAL: Duration = Duration::from_secs(30);

/// How to build a hub.
#[derive(Clone)]
pub struct HubOptions {
    /// Unauthenticated connections one address may hold.
    pub preauth_per_ip: usize,
    /// What the gateway shows in presence.
    pub gateway: GatewayFacts,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            preauth_per_ip: budget::DEFAULT_PER_IP,
            gateway: GatewayFacts::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// What `close_where` decides on.
#[derive(Debug, Clone, Copy)]
pub struct ClientView<'a> {
    /// Its id.
    pub id: &'a ConnId,
    /// The caller.
    pub principal: &'a Principal,
    /// Generation of the shared secret that let it in, if one did.
    pub shared_generation: Option<&'a str>,
}

struct Inner {
    clients: RwLock<HashMap<ConnId, Arc<Client>>>,
    /// How many clients may see each event.
    viewers: [AtomicUsize; EVENTS.len()],
    /// Session subscriptions of all clients together.
    subscriptions: AtomicUsize,
    presence: Mutex<PresenceTable>,
    presence_version: AtomicU64,
    presence_due: AtomicBool,
    /// Presence version of the last departure.
    departed_at: AtomicU64,
    health_version: AtomicU64,
    closing: Mutex<Option<(u16, String)>>,
    gone: Notify,
    preauth: PreauthBudget,
    clock: Arc<dyn Clock>,
}

/// The client table; cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("connections", &self.connections()).finish()
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(HubOptions::default())
    }
}

impl Hub {
    /// An empty table.
    pub fn new(options: HubOptions) -> Self {
        Self(Arc::new(Inner {
            clients: RwLock::default(),
            viewers: std::array::from_fn(|_| AtomicUsize::new(0)),
            subscriptions: AtomicUsize::new(0),
            presence: Mutex::new(PresenceTable::new(options.gateway)),
            presence_version: AtomicU64::new(1),
            presence_due: AtomicBool::new(false),
            departed_at: AtomicU64::new(0),
            health_version: AtomicU64::new(0),
            closing: Mutex::new(None),
            gone: Notify::new(),
            preauth: PreauthBudget::new(options.preauth_per_ip),
            clock: options.clock,
        }))
    }

    /// Places for unauthenticated connections; ask before answering an upgrade.
    pub fn preauth(&self) -> &PreauthBudget {
        &self.0.preauth
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.0.clients.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Subscribes a connection to all sessions, or ends that. Unknown connections are ignored.
    pub fn subscribe_sessions(&self, conn: &ConnId, on: bool) {
        if let Some(client) = self.client(conn) {
            client.change_subscriptions(&self.0.subscriptions, |subscriptions| subscriptions.all_sessions = on);
        }
    }

    /// Subscribes a connection to the messages of one session (canonical key), or ends that.
    pub fn subscribe_messages(&self, conn: &ConnId, key: &SessionKey, on: bool) {
        if let Some(client) = self.client(conn) {
            client.change_subscriptions(&self.0.subscriptions, |subscriptions| {
                if on {
                    // A client that names ever more keys subscribes to everything it may see instead.
                    if subscriptions.sessions.len() < MAX_SESSION_SUBSCRIPTIONS {
                        subscriptions.sessions.insert(key.clone());
                    } else {
                        subscriptions.all_sessions = true;
                    }
                } else {
                    subscriptions.sessions.remove(key);
                }
            });
        }
    }

    /// Closes every connection that `which` names, after what is queued for it; returns how many.
    pub fn close_where(&self, which: impl Fn(ClientView<'_>) -> bool, code: u16, reason: &str) -> usize {
        let mut closed = 0;
        for client in self.0.snapshot() {
            let view = ClientView {
                id: &client.id,
                principal: &client.principal,
                shared_generation: client.shared_generation.as_deref(),
            };
            if which(view) {
                client.outbox.close(code, reason);
                closed += 1;
            }
        }
        closed
    }

    /// Closes everybody, now and later.
    pub fn close_all(&self, code: u16, reason: &str) {
        *self.0.closing.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.to_owned()));
        self.close_where(|_| true, code, reason);
    }

    /// Waits until no connection is left. Bound it with a deadline.
    pub async fn wait_empty(&self) {
        loop {
            let gone = self.0.gone.notified();
            if self.connections() == 0 {
                return;
            }
            gone.await;
        }
    }

    /// `(presence, health)` state versions.
    pub fn state_version(&self) -> (u64, u64) {
        (
            self.0.presence_version.load(Ordering::Acquire),
            self.0.health_version.load(Ordering::Acquire),
        )
    }

    /// The presence list as JSON, cached.
    pub fn presence(&self) -> Arc<RawValue> {
        self.0.lock_presence().list(self.0.clock.now_ms())
    }

    /// Adds what a machine said about itself and broadcasts `presence`.
    pub fn note_presence(&self, note: SystemNote) {
        self.0.presence_version.fetch_add(1, Ordering::AcqRel);
        self.0.lock_presence().noted(note, self.0.clock.now_ms());
        self.broadcast_presence(u64::MAX);
    }

    fn client(&self, conn: &ConnId) -> Option<Arc<Client>> {
        self.0
            .clients
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(conn)
            .cloned()
    }
}

/// Single sessions one connection may subscribe to.
const MAX_SESSION_SUBSCRIPTIONS: usize = 1_000;

impl Inner {
    fn lock_presence(&self) -> std::sync::MutexGuard<'_, PresenceTable> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Vec<Arc<Client>> {
        self.clients
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn count_viewer(&self, events: u32, joined: bool) {
        for (index, viewers) in self.viewers.iter().enumerate() {
            if events & (1 << index) != 0 {
                if joined {
                    viewers.fetch_add(1, Ordering::AcqRel);
                } else {
                    viewers.fetch_sub(1, Ordering::AcqRel);
                }
            }
        }
    }
}
