//! A port that is this test's alone.
//!
//! Asking the kernel for a free port and letting go of it again gives the same port to two tests now and then. One of
//! them then finds the other's gateway ready, and loses it in the middle of what it does.

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that nobody else is given as long as this lives; a gateway may listen on it.
pub struct Port(TcpSocket);

impl Port {
    /// Reserves one: bound, so that the kernel gives it to nobody, and not listening, so that whoever is told of it can.
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}
