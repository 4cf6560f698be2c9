//! Opening listening sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait in the kernel for `accept`.
const BACKLOG: u32 = 1024;
/// A predecessor that is just going away gets this many chances to let go of the port.
const RETRIES: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress {
    /// Address and port. Port 0: any; all further addresses with port 0 then use the same one.
    pub addr: SocketAddr,
    /// Whether it may be missing (`::1` beside `127.0.0.1`).
    pub optional: bool,
}

impl ListenAddress {
    /// An address that must work.
    pub const fn required(addr: SocketAddr) -> Self {
        Self { addr, optional: false }
    }

    /// An address that is nice to have.
    pub const fn optional(addr: SocketAddr) -> Self {
        Self { addr, optional: true }
    }
}

/// Why no socket could be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "another gateway instance is already listening on ws://{addr} | listen EADDRINUSE: address already in use {addr}"
    )]
    InUse {
        /// The address.
        addr: SocketAddr,
    },
    /// Anything else.
    #[error("failed to bind gateway socket on ws://{addr}: {source}")]
    Failed {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
}

/// Bound sockets. The kernel queues connections from now on; nothing is accepted before `serve`.
#[derive(Debug)]
pub struct Listeners(pub(super) Vec<(SocketAddr, TcpListener)>);

impl Listeners {
    /// The addresses, with real ports, in the order given.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|(addr, _)| *addr).collect()
    }
}

/// Opens all addresses. One in use is tried again for two seconds.
pub async fn bind(addresses: &[ListenAddress]) -> Result<Listeners, BindError> {
    let mut attempt = 0;
    loop {
        match bind_now(addresses) {
            Err(BindError::InUse { .. }) if attempt < RETRIES => attempt += 1,
            other => return other,
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Opens all addresses, without waiting.
pub(super) fn bind_now(addresses: &[ListenAddress]) -> Result<Listeners, BindError> {
    let mut sockets: Vec<(SocketAddr, TcpListener)> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let mut addr = address.addr;
        if let (0, Some((first, _))) = (addr.port(), sockets.first()) {
            addr.set_port(first.port());
        }
        // Alone, the wildcard of IPv6 takes IPv4 as well; beside a socket of IPv4 it must leave that to it.
        let only_v6 = sockets.iter().any(|(other, _)| other.is_ipv4());
        match open(addr, only_v6) {
            Ok(listener) => sockets.push((listener.local_addr().unwrap_or(addr), listener)),
            Err(error) if address.optional => {
                tracing::debug!(target: "gateway", %addr, %error, "optional address is not available");
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(BindError::InUse { addr }),
            Err(source) => return Err(BindError::Failed { addr, source }),
        }
    }
    if sockets.is_empty() {
        return Err(BindError::NoAddress);
    }
    Ok(Listeners(sockets))
}

fn open(addr: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    #[cfg(unix)]
    if only_v6 && addr.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // On Windows this option would let a second process take the port over.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind_now(&[ListenAddress::required(([127, 0, 0, 1], 0).into())]).unwrap();
        let addr = first.addresses()[0];
        let error = bind_now(&[ListenAddress::required(addr)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "another gateway instance is already listening on ws://{addr} | listen EADDRINUSE: address already in use {addr}"
            )
        );
    }

    #[tokio::test]
    async fn both_wildcards_share_one_port() {
        let listeners = bind_now(&[
            ListenAddress::required(([0, 0, 0, 0], 0).into()),
            ListenAddress::required((std::net::Ipv6Addr::UNSPECIFIED, 0).into()),
        ])
        .unwrap();
        let addresses = listeners.addresses();
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[0].port(), addresses[1].port());
    }

    #[tokio::test]
    async fn an_optional_address_may_be_missing() {
        // TEST-NET-1 is on no interface.
        let absent: SocketAddr = ([192, 0, 2, 1], 0).into();
        let listeners = bind_now(&[
            ListenAddress::required(([127, 0, 0, 1], 0).into()),
            ListenAddress::optional(absent),
        ])
        .unwrap();
        assert_eq!(listeners.addresses().len(), 1);
        let error = bind_now(&[ListenAddress::required(absent)]).unwrap_err();
        assert!(matches!(error, BindError::Failed { .. }));
    }
}
