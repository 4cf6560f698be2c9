//! The client table and the fan-out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::budget::{self, PreauthBudget};
use super::client::{Client, EVENTS, Subscriptions, bit, visible};
use super::outbox::{Outbox, SharedEvent};
use super::presence::{ClientPresence, GatewayFacts, PresenceTable, SystemNote};
use crate::base::{Clock, ConnId, SessionKey, SystemClock};
use crate::domain::Principal;
use crate::domain::event::{Audience, Event, EventName, Publisher};
use crate::wire::frame;

/// How often `tick` is sent (`policy.tickIntervalMs`).
pub const TICK_INTERVAL: Duration = Duration::from_secs(30);
/// Departures are gathered this long, so that many at once make one `presence` event.
const PRESENCE_GATHER: Duration = Duration::from_millis(50);

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

/// A place in the client table; dropping it removes the client.
#[derive(Debug)]
pub struct Registered {
    hub: Hub,
    client: Arc<Client>,
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

    /// Sends `presence` to everybody who joined before version `changed`; later clients got it with their hello-ok.
    fn broadcast_presence(&self, changed: u64) {
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

    /// Broadcasts departures a moment after the first one.
    async fn announce_departures(self) {
        tokio::time::sleep(PRESENCE_GATHER).await;
        self.0.presence_due.store(false, Ordering::Release);
        self.broadcast_presence(self.0.departed_at.load(Ordering::Acquire));
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
