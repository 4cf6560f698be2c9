//! The listener: accepts connections on several addresses and serves HTTP/1.1, HTTP/2 (also without TLS), gRPC and
//! upgrades on each.
//!
//! It owns sockets, their limits and deadlines, and the graceful end. It knows nothing of routes: a [`Handler`] answers.
//! `bind` comes first and may fail; [`Server::start`] takes the sockets over and cannot.

mod accept;
mod bind;
mod connection;
mod framing;
mod pace;
mod socket;
#[cfg(test)]
mod tests;
pub mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use bind::{BindError, ListenAddress, Listeners, bind};
pub use tls::{Tls, TlsError};

use crate::config::Snapshot;
use crate::http::{Body, Peer};
use crate::lifecycle::Lifecycle;

/// Answers requests. Cheap to clone.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request. Dropped when the client goes away.
    fn handle(&self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

impl Handler for crate::http::Surface {
    fn handle(&self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        self.answer(peer, request)
    }
}

impl Handler for crate::http::Management {
    async fn handle(&self, _peer: Peer, request: Request<Incoming>) -> Response<Body> {
        self.answer(&request).await
    }
}

/// Limits of a connection; those in force at `accept` hold to its end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at the same time, of all addresses; above it new ones are closed at once. Fixed at start.
    pub max_connections: usize,
    /// Largest request head, bytes (431 above it).
    pub max_header_bytes: usize,
    /// Longest time without a request, and longest time a peer may refuse to take bytes.
    pub idle_timeout: Duration,
    /// Longest wait for the rest of a request head, or of a TLS handshake.
    pub header_timeout: Duration,
}

impl Limits {
    /// `gateway.limits`.
    pub fn of(snapshot: &Snapshot) -> Self {
        let limits = &snapshot.config.gateway.limits;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            max_connections: size(limits.max_connections),
            max_header_bytes: size(limits.max_header_bytes),
            idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
            header_timeout: Duration::from_millis(limits.header_timeout_ms),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_header_bytes: 64 * 1024,
            idle_timeout: Duration::from_secs(75),
            header_timeout: Duration::from_secs(10),
        }
    }
}

/// What can change while the server runs.
#[derive(Debug, Clone, Default)]
pub struct ServeSettings {
    /// Limits.
    pub limits: Limits,
    /// TLS, if the listener speaks it.
    pub tls: Option<Arc<Tls>>,
}

/// State shared by the accept loops.
struct Shared {
    settings: ArcSwap<ServeSettings>,
    slots: Arc<Semaphore>,
    graceful: CancellationToken,
    force: CancellationToken,
    connections: TaskTracker,
}

struct Open {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

type Spawn = dyn Fn(SocketAddr, tokio::net::TcpListener) -> Open + Send + Sync;

/// A running listener; cheap to clone.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    open: Arc<Mutex<Vec<Open>>>,
    spawn: Arc<Spawn>,
}

impl Server {
    /// Accepts on `listeners` from now on. When `lifecycle.stop` is cancelled, connections still open are cut.
    pub fn start<H: Handler>(listeners: Listeners, handler: H, settings: ServeSettings, lifecycle: &Lifecycle) -> Self {
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(
                settings.limits.max_connections.min(Semaphore::MAX_PERMITS),
            )),
            settings: ArcSwap::from_pointee(settings),
            graceful: CancellationToken::new(),
            force: lifecycle.stop.child_token(),
            connections: TaskTracker::new(),
        });
        let spawn: Arc<Spawn> = {
            let (shared, tasks) = (Arc::clone(&shared), lifecycle.tasks.clone());
            Arc::new(move |addr, listener| {
                let stop = shared.force.child_token();
                let task = tasks.spawn(accept::run(
                    listener,
                    handler.clone(),
                    Arc::clone(&shared),
                    stop.clone(),
                ));
                Open { addr, stop, task }
            })
        };
        let open = listeners
            .0
            .into_iter()
            .map(|(addr, listener)| spawn(addr, listener))
            .collect();
        Self {
            shared,
            open: Arc::new(Mutex::new(open)),
            spawn,
        }
    }

    /// Addresses that are listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.opened().iter().map(|open| open.addr).collect()
    }

    /// Connections that are open, upgraded ones included once they were accepted here.
    pub fn connections(&self) -> usize {
        let limit = self
            .shared
            .settings
            .load()
            .limits
            .max_connections
            .min(Semaphore::MAX_PERMITS);
        limit.saturating_sub(self.shared.slots.available_permits())
    }

    /// Changes limits and TLS for connections accepted from now on; `max_connections` stays as it was at start.
    pub fn configure(&self, mut settings: ServeSettings) {
        settings.limits.max_connections = self.shared.settings.load().limits.max_connections;
        self.shared.settings.store(Arc::new(settings));
    }

    /// Listens on exactly these addresses from now on. Connections of closed addresses live on. On failure everything
    /// stays as it was.
    pub async fn rebind(&self, wanted: &[ListenAddress]) -> Result<(), BindError> {
        let present = self.addresses();
        let missing: Vec<ListenAddress> = wanted
            .iter()
            .filter(|address| !present.contains(&address.addr))
            .copied()
            .collect();
        let leaving: Vec<SocketAddr> = present
            .into_iter()
            .filter(|addr| !wanted.iter().any(|address| address.addr == *addr))
            .collect();
        let fresh = match bind::bind_now(&missing) {
            Ok(fresh) => fresh,
            Err(BindError::NoAddress) if missing.len() < wanted.len() => Listeners(Vec::new()),
            // A wildcard cannot be opened beside a single address of the same port: ours must go first.
            Err(BindError::InUse { addr }) if leaving.iter().any(|old| old.port() == addr.port()) => {
                self.close(&leaving).await;
                match bind::bind_now(&missing) {
                    Ok(fresh) => fresh,
                    Err(error) => {
                        let back: Vec<ListenAddress> = leaving.into_iter().map(ListenAddress::required).collect();
                        match bind::bind_now(&back) {
                            Ok(old) => self.adopt(old),
                            Err(again) => tracing::error!(
                                target: "gateway", error = %again, "the former address could not be opened again"
                            ),
                        }
                        return Err(error);
                    }
                }
            }
            Err(error) => return Err(error),
        };
        self.adopt(fresh);
        self.close(&leaving).await;
        Ok(())
    }

    /// Stops accepting, lets responses in flight finish for at most `grace`, then cuts what is left. Upgraded
    /// connections are not waited for: they are their owner's business.
    pub async fn stop(&self, grace: Duration) {
        let all = self.addresses();
        self.close(&all).await;
        self.shared.graceful.cancel();
        self.shared.connections.close();
        if tokio::time::timeout(grace, self.shared.connections.wait())
            .await
            .is_err()
        {
            tracing::warn!(target: "gateway", connections = self.shared.connections.len(), "cutting connections");
        }
        self.shared.force.cancel();
        self.shared.connections.wait().await;
    }

    fn adopt(&self, listeners: Listeners) {
        let fresh = listeners
            .0
            .into_iter()
            .map(|(addr, listener)| (self.spawn)(addr, listener));
        self.opened().extend(fresh);
    }

    /// Closes these addresses; when it returns, the sockets are gone.
    async fn close(&self, addresses: &[SocketAddr]) {
        let closing: Vec<Open> = {
            let mut open = self.opened();
            let (closing, staying) = open.drain(..).partition(|open| addresses.contains(&open.addr));
            *open = staying;
            closing
        };
        for open in closing {
            open.stop.cancel();
            if let Err(error) = open.task.await {
                tracing::error!(target: "gateway", %error, "an accept loop died");
            }
        }
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
