//! An accepted socket, plain or TLS: reports its progress, waits a moment behind the end of the peer's side, and lingers
//! when it closes.
//!
//! A peer may end its side right behind its request and still wait for the answer. hyper takes that end for a peer that
//! left and gives the request up, even before the handler was asked if both arrive together. So the end is told late
//! while a request is at work: what can be answered at once is, and a run whose client left still ends soon.
//!
//! Closing a TCP socket while the peer still sends makes the kernel answer with a reset, and the reset destroys the
//! response that is on its way (a 413, a 401). So a close sends the end of our side first and then throws away what
//! still arrives, for a bounded time and amount.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::framing::Framing;
use super::pace::Pace;

/// From the end of the peer's side to giving up on the request at work. A closed socket looks the same, and its run must
/// let go of the provider within a second.
const HALF_CLOSED: Duration = Duration::from_millis(400);
/// Silence that ends lingering.
const LINGER_SILENCE: Duration = Duration::from_secs(2);
/// Longest lingering.
const LINGER_TOTAL: Duration = Duration::from_secs(15);
/// Most bytes thrown away.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// The transport.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    end: Instant,
    left: usize,
}

/// An accepted socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    pace: Arc<Pace>,
    framing: Arc<Framing>,
    /// Runs while the peer's side has ended and a request is at work.
    half_closed: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
    /// Its place under the connection limit, kept for as long as the socket lives, upgraded or not.
    _slot: OwnedSemaphorePermit,
}

impl Socket {
    pub(super) fn new(stream: Stream, slot: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            pace: Arc::new(Pace::new()),
            framing: Arc::new(Framing::new()),
            half_closed: None,
            linger: None,
            _slot: slot,
        }
    }

    /// What the connection is doing.
    pub(super) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// The head that is arriving.
    pub(super) fn framing(&self) -> &Arc<Framing> {
        &self.framing
    }
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.half_closed.is_none() {
            let before = buf.filled().len();
            let has_room = buf.remaining() > 0;
            ready!(this.stream.poll_read(cx, buf))?;
            if let Some(new @ [_, ..]) = buf.filled().get(before..) {
                if !this.pace.is_busy() {
                    this.framing.received(new);
                }
                this.pace.received(new);
                return Poll::Ready(Ok(()));
            }
            if !has_room {
                return Poll::Ready(Ok(()));
            }
        }
        if this.pace.is_busy() {
            let patience = this
                .half_closed
                .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + HALF_CLOSED)));
            ready!(patience.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        };
        self.pace.writable(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        };
        self.pace.writable(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let linger = match &mut this.linger {
            Some(linger) => linger,
            none => {
                ready!(this.stream.poll_shutdown(cx))?;
                let now = Instant::now();
                none.insert(Linger {
                    until: Box::pin(sleep_until(now + LINGER_SILENCE)),
                    end: now + LINGER_TOTAL,
                    left: LINGER_BYTES,
                })
            }
        };
        let mut scratch = [0_u8; 16 * 1024];
        loop {
            if linger.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buf = ReadBuf::new(&mut scratch);
            // Whatever goes wrong while waste is read, the response is out of our hands.
            if ready!(this.stream.poll_read(cx, &mut buf)).is_err() {
                return Poll::Ready(Ok(()));
            }
            let got = buf.filled().len();
            linger.left = linger.left.saturating_sub(got);
            if got == 0 || linger.left == 0 {
                return Poll::Ready(Ok(()));
            }
            linger
                .until
                .as_mut()
                .reset((Instant::now() + LINGER_SILENCE).min(linger.end));
        }
    }
}
