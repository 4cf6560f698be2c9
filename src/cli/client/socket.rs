//! The raw connection: TCP, TLS when asked for, WebSocket upgrade, with errors named the way the upstream client names them.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::{Host, Url};

use super::error::CallError;
use super::tls::{self, Trust};

/// Largest message accepted: what a gateway may send (`policy.maxPayload`) with room for the envelope.
const MAX_MESSAGE_BYTES: usize = 26 * 1024 * 1024;

/// Bytes in both directions, with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open WebSocket.
pub type Socket = WebSocketStream<Box<dyn Stream>>;

/// Opens a WebSocket to `url`.
///
/// # Errors
/// `Unreachable` with a one-line reason, `Local` when the URL or the trust settings cannot be used.
pub async fn open(url: &Url, trust: &Trust) -> Result<Socket, CallError> {
    let secure = match url.scheme() {
        "ws" => false,
        "wss" => true,
        other => {
            return Err(CallError::Local(format!(
                "gateway url must start with ws:// or wss://, not {other}://"
            )));
        }
    };
    upgrade(url, connect(url, trust, secure).await?).await
}

/// Opens the bytes below: TCP to the host of `url`, with TLS on top if `secure`.
///
/// # Errors
/// As [`open`].
pub async fn connect(url: &Url, trust: &Trust, secure: bool) -> Result<Box<dyn Stream>, CallError> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(CallError::Local(format!("gateway url {url} names no host")));
    };
    let tcp = match host {
        Host::Ipv4(ip) => TcpStream::connect((ip, port)).await,
        Host::Ipv6(ip) => TcpStream::connect((ip, port)).await,
        Host::Domain(name) => TcpStream::connect((name, port)).await,
    }
    .map_err(|error| CallError::Unreachable(connect_reason(&error, &host, port)))?;
    tcp.set_nodelay(true)
        .map_err(|error| CallError::Unreachable(format!("connect {error}")))?;
    Ok(if secure {
        Box::new(tls::wrap(tcp, &host, trust).await?)
    } else {
        Box::new(tcp)
    })
}

async fn upgrade(url: &Url, stream: Box<dyn Stream>) -> Result<Socket, CallError> {
    let request = url
        .as_str()
        .into_client_request()
        .map_err(|error| CallError::Local(format!("gateway url {url} cannot be used: {error}")))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) => Err(CallError::Unreachable(format!(
            "Unexpected server response: {}",
            response.status().as_u16()
        ))),
        Err(error) => Err(CallError::Unreachable(format!("no WebSocket at {url}: {error}"))),
    }
}

fn connect_reason(error: &io::Error, host: &Host<&str>, port: u16) -> String {
    let name = match error.kind() {
        io::ErrorKind::ConnectionRefused => "ECONNREFUSED",
        io::ErrorKind::TimedOut => "ETIMEDOUT",
        io::ErrorKind::HostUnreachable => "EHOSTUNREACH",
        io::ErrorKind::NetworkUnreachable => "ENETUNREACH",
        io::ErrorKind::ConnectionReset => "ECONNRESET",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        io::ErrorKind::PermissionDenied => "EACCES",
        _ if matches!(host, Host::Domain(_)) && error.raw_os_error().is_none() => {
            return format!("getaddrinfo ENOTFOUND {host}");
        }
        _ => return format!("connect {host}:{port}: {error}"),
    };
    format!("connect {name} {host}:{port}")
}
