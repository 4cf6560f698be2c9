//! The accept loop of one address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::{Terms, drive, within};
use super::socket::{Socket, Stream};
use super::{Handler, ServeSettings, Shared};

const BACKOFF_START: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Repeated warnings of one loop are at least this far apart.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// A peer that vanished without a word is noticed after about two minutes.
#[cfg(target_os = "linux")]
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
#[cfg(target_os = "linux")]
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
#[cfg(target_os = "linux")]
const KEEPALIVE_COUNT: u32 = 4;

/// Accepts until `stop`.
pub(super) async fn run<H: Handler>(listener: TcpListener, handler: H, shared: Arc<Shared>, stop: CancellationToken) {
    let mut backoff = BACKOFF_START;
    let mut warnings = Warnings::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                backoff = BACKOFF_START;
                let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
                    if warnings.due() {
                        tracing::warn!(target: "gateway", %peer, "connection limit reached: closing new connections");
                    }
                    continue;
                };
                let settings = shared.settings.load_full();
                let task = serve(stream, peer, slot, settings, handler.clone(), Arc::clone(&shared));
                shared.connections.spawn(task);
            }
            // The peer gave up before we looked.
            Err(error) if is_peer_error(&error) => {}
            // Out of file descriptors or memory: trying at once would spin.
            Err(error) => {
                if warnings.due() {
                    tracing::warn!(target: "gateway", %error, "cannot accept connections");
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(backoff) => {}
                }
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

#[derive(Default)]
struct Warnings(Option<Instant>);

impl Warnings {
    fn due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= WARN_EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

fn is_peer_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn serve<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    settings: Arc<ServeSettings>,
    handler: H,
    shared: Arc<Shared>,
) {
    tune(&stream);
    let limits = settings.limits;
    let stream = match &settings.tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let handshake = tls.acceptor().accept(stream);
            match within(limits.header_timeout, &shared.force, handshake).await {
                Some(stream) => Stream::Tls(Box::new(stream)),
                None => return,
            }
        }
    };
    drop(settings);
    let terms = Terms {
        peer,
        secure: matches!(stream, Stream::Tls(_)),
        limits,
        graceful: shared.graceful.clone(),
        force: shared.force.clone(),
    };
    drive(Socket::new(stream, slot), terms, handler).await;
}

/// Socket options. A socket without them still works, so failures are not fatal.
fn tune(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(target: "gateway", %error, "TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;
        let set = sockopt::set_socket_keepalive(stream, true)
            .and_then(|()| sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE))
            .and_then(|()| sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL))
            .and_then(|()| sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT));
        if let Err(error) = set {
            tracing::trace!(target: "gateway", %error, "TCP keep-alive");
        }
    }
}
