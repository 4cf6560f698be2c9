//! Connection pools to providers, shared by all generations of the registry.
//!
//! Every client has a connect deadline, no total deadline (streams last as long as they last; silence is bounded by
//! the caller), no redirects and `TCP_NODELAY`. Clients are built on first use, because loading the system's
//! certificates costs time and memory that a gateway with a local model never needs to spend.

use std::cell::Cell;
use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::{Client, Request, Response, redirect};
use tower::{Layer, Service};
use url::{Host, Url};

/// Longest time for name resolution, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections kept per host; above the largest number of runs that usually talk to one provider at once.
const IDLE_PER_HOST: usize = 256;

/// Providers behind HTTP/2 are pinged this often, so that a dead peer is noticed during a long silence.
const HTTP2_PING: Duration = Duration::from_secs(30);

tokio::task_local! {
    /// Whether the request of this task opened a connection of its own.
    static DIALLED: Cell<bool>;
}

/// Connection pools. A cheap clone of a shared handle.
#[derive(Debug, Clone, Default)]
pub struct HttpClients(Arc<Pools>);

#[derive(Debug, Default)]
struct Pools {
    local: OnceLock<Result<Client, String>>,
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

/// Why a request got no response head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The client could not be set up (no certificates, bad proxy variable).
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
    /// No connection within [`CONNECT_TIMEOUT`].
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout,
    /// The connection was refused, or the name or certificate is wrong.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke before the answer began.
    #[error("the connection broke before the answer began: {0}")]
    Broken(String),
}

impl HttpClients {
    /// Pools without any connection. Nothing is built or contacted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for requests to `url`. The first use for HTTPS reads the system's certificates from disk.
    pub fn client(&self, url: &Url) -> Result<&Client, SendError> {
        let kind = ClientKind::of(url);
        self.slot(kind)
            .get_or_init(|| build(kind).map_err(|error| root_cause(&error)))
            .as_ref()
            .map_err(|reason| SendError::Setup(reason.clone()))
    }

    fn slot(&self, kind: ClientKind) -> &OnceLock<Result<Client, String>> {
        match kind {
            ClientKind::Local => &self.0.local,
            ClientKind::Plain => &self.0.plain,
            ClientKind::Tls => &self.0.tls,
        }
    }

    /// Builds the client for `url` away from the async workers, if it is the first time.
    async fn prepare(&self, url: &Url) {
        if self.slot(ClientKind::of(url)).get().is_some() {
            return;
        }
        let (clients, url) = (self.clone(), url.clone());
        let building = tokio::task::spawn_blocking(move || clients.client(&url).is_ok());
        // Whatever goes wrong shows again, with its reason, when the client is used.
        building.await.ok();
    }

    /// Sends `request` and waits for the response head.
    ///
    /// A pooled connection may have been closed by the peer (a provider that restarted) just as the request went out.
    /// Then not a single byte was received, and the request is sent once more on a new connection. A request that
    /// failed on a connection of its own is never repeated here.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        self.prepare(request.url()).await;
        let client = self.client(request.url())?;
        let spare = request.try_clone();
        match attempt(client, request).await {
            Ok(response) => Ok(response),
            Err((error, dialled)) => match spare {
                Some(again) if !dialled && is_stale(&error) => {
                    tracing::debug!(target: "models", "a pooled connection was dead, sending the request again");
                    attempt(client, again).await.map_err(|(error, _)| explain(&error))
                }
                _ => Err(explain(&error)),
            },
        }
    }
}

async fn attempt(client: &Client, request: Request) -> Result<Response, (reqwest::Error, bool)> {
    DIALLED
        .scope(Cell::new(false), async {
            client
                .execute(request)
                .await
                .map_err(|error| (error, DIALLED.with(Cell::get)))
        })
        .await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientKind {
    /// Plain HTTP on this machine or its private network: never through a proxy.
    Local,
    /// Plain HTTP elsewhere.
    Plain,
    /// HTTPS.
    Tls,
}

impl ClientKind {
    fn of(url: &Url) -> Self {
        if url.scheme() == "https" {
            Self::Tls
        } else if is_private(url) {
            Self::Local
        } else {
            Self::Plain
        }
    }
}

fn build(kind: ClientKind) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .referer(false)
        .user_agent(concat!("openclaw/", env!("CARGO_PKG_VERSION")))
        .connector_layer(MarkDialled);
    match kind {
        ClientKind::Local => builder.no_proxy().tls_certs_only([]),
        ClientKind::Plain => builder.tls_certs_only([]),
        ClientKind::Tls => builder
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_while_idle(false),
    }
    .build()
}

/// Whether `url` names this machine or a private network, where slow answers are normal and proxies make no sense.
pub fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => is_private_ip(ip.into()),
        Some(Host::Ipv6(ip)) => is_private_ip(ip.into()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // Names without a dot are containers and machines of the local network; `.svc` are Services of a cluster.
            !name.contains('.')
                || [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
        }
        None => false,
    }
}

fn is_private_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_private_ip(ip.into()),
            None => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
    }
}

/// Whether the failure is what a closed pooled connection looks like.
fn is_stale(error: &reqwest::Error) -> bool {
    if error.is_connect() || error.is_timeout() {
        return false;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<hyper::Error>()
            && (cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed())
        {
            return true;
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>()
            && matches!(
                cause.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::UnexpectedEof
            )
        {
            return true;
        }
        source = cause.source();
    }
    false
}

fn explain(error: &reqwest::Error) -> SendError {
    if error.is_connect() && error.is_timeout() {
        SendError::ConnectTimeout
    } else if error.is_connect() {
        SendError::Connect(root_cause(error))
    } else {
        SendError::Broken(root_cause(error))
    }
}

/// The innermost reason. The outer ones repeat the URL, which may hold credentials.
fn root_cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn StdError = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if innermost.is::<reqwest::Error>() {
        return "the request could not be sent".to_owned();
    }
    innermost.to_string()
}

/// Notes in [`DIALLED`] that the pool had no connection to offer.
#[derive(Debug, Clone, Copy)]
struct MarkDialled;

impl<S> Layer<S> for MarkDialled {
    type Service = MarkingConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MarkingConnector(inner)
    }
}

#[derive(Debug, Clone)]
struct MarkingConnector<S>(S);

impl<S: Service<R>, R> Service<R> for MarkingConnector<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        // Connections that the pool opens in the background have no request to note it for.
        DIALLED.try_with(|dialled| dialled.set(true)).ok();
        self.0.call(target)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn read_request(stream: &mut TcpStream) {
        let mut seen = Vec::new();
        let mut buffer = [0u8; 1024];
        while !seen.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed before the request was complete");
            seen.extend_from_slice(&buffer[..read]);
        }
    }

    async fn answer(stream: &mut TcpStream) {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    }

    async fn get(clients: &HttpClients, port: u16) -> Result<String, SendError> {
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let response = clients.send(Request::new(reqwest::Method::GET, url)).await?;
        Ok(response.text().await.unwrap())
    }

    #[tokio::test]
    async fn a_dead_pooled_connection_is_replaced_without_the_caller_noticing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            read_request(&mut first).await;
            answer(&mut first).await;
            // The second request arrives on the kept connection, which then closes without a byte.
            read_request(&mut first).await;
            drop(first);
            let (mut second, _) = listener.accept().await.unwrap();
            read_request(&mut second).await;
            answer(&mut second).await;
        });
        let clients = HttpClients::new();
        assert_eq!(get(&clients, port).await.unwrap(), "ok");
        assert_eq!(get(&clients, port).await.unwrap(), "ok");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_fresh_connection_that_breaks_is_not_tried_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            read_request(&mut first).await;
            drop(first);
            listener
        });
        let clients = HttpClients::new();
        assert!(matches!(get(&clients, port).await, Err(SendError::Broken(_))));
        let listener = server.await.unwrap();
        tokio::select! {
            biased;
            _ = listener.accept() => panic!("the request was repeated"),
            () = tokio::task::yield_now() => {}
        }
    }

    #[tokio::test]
    async fn a_refused_connection_says_so_without_the_url() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = get(&HttpClients::new(), port).await.unwrap_err();
        assert!(matches!(&error, SendError::Connect(_)), "{error:?}");
        assert!(!error.to_string().contains("http://"), "{error}");
    }

    #[test]
    fn addresses_choose_their_client() {
        for (url, expected) in [
            ("https://127.0.0.1/v1", ClientKind::Tls),
            ("http://127.0.0.1/v1", ClientKind::Local),
            ("http://models.example.com/v1", ClientKind::Plain),
        ] {
            assert_eq!(ClientKind::of(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn private_addresses_are_recognised() {
        for (url, expected) in [
            ("http://127.0.0.1:1/v1", true),
            ("http://localhost/v1", true),
            ("http://ollama:11434/v1", true),
            ("http://192.168.1.4/v1", true),
            ("http://ollama.models.svc:11434/v1", true),
            ("http://ollama.models.svc.cluster.local:11434/v1", true),
            ("http://host.docker.internal/v1", true),
            ("http://[::1]/v1", true),
            ("http://[fd00::1]/v1", true),
            ("http://[::ffff:10.0.0.1]/v1", true),
            ("https://api.openai.com/v1", false),
            ("http://8.8.8.8/v1", false),
        ] {
            assert_eq!(is_private(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
