//! Requests that say their length in two ways.
//!
//! With both `Content-Length` and `Transfer-Encoding` two servers in a row may disagree where a request ends, which lets
//! one client's request hide in another's. hyper follows the transfer encoding, as it may, and drops the length before
//! anybody sees it. So the bytes of each head are looked at here as well, and such a request is refused (RFC 9112, 6.3).

use std::mem;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method, Request, Version, header};

/// A longer head is refused by hyper anyway.
const MOST: usize = 64 * 1024;

/// What is known about where a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// It says so in one way.
    Clear,
    /// It says so in two ways.
    Ambiguous,
    /// Its head arrived behind another request and was not seen. Nothing after it can be trusted.
    Unseen,
}

#[derive(Debug)]
enum Bytes {
    /// Of the next head, so far.
    Head(Vec<u8>),
    /// The connection speaks something else now.
    Other,
}

/// The head that is arriving on a connection, as it was sent.
#[derive(Debug)]
pub(super) struct Framing(Mutex<Bytes>);

impl Framing {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Bytes::Head(Vec::new())))
    }

    /// Bytes arrived while no request was at work.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Bytes::Head(head) = &mut *known {
            let room = MOST.saturating_sub(head.len());
            head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// No more heads of HTTP/1 will come.
    pub(super) fn changes(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Bytes::Other;
    }

    /// hyper read a head.
    pub(super) fn judge<B>(&self, request: &Request<B>) -> Length {
        if request.version() == Version::HTTP_2 {
            self.changes();
            return Length::Clear;
        }
        let head = match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Bytes::Head(head) => mem::take(head),
            Bytes::Other => Vec::new(),
        };
        judge(request.method(), request.headers(), &head)
    }
}

fn judge(method: &Method, headers: &HeaderMap, head: &[u8]) -> Length {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return Length::Clear;
    }
    // Some clients put an empty line before a request.
    let head = head.trim_ascii_start();
    let is_its_own = head
        .strip_prefix(method.as_str().as_bytes())
        .is_some_and(|rest| rest.starts_with(b" "));
    if !is_its_own {
        return Length::Unseen;
    }
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Length::Clear;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if name.trim_ascii().eq_ignore_ascii_case(b"content-length") {
            return Length::Ambiguous;
        }
    }
    Length::Unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked() -> Request<()> {
        let request = Request::post("/x").header(header::TRANSFER_ENCODING, "chunked");
        request.body(()).unwrap()
    }

    #[test]
    fn a_head_in_pieces_is_judged_whole() {
        let framing = Framing::new();
        for piece in [
            "\r\nPOST /x HT",
            "TP/1.1\r\nConTent-",
            "Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ] {
            framing.received(piece.as_bytes());
        }
        assert_eq!(framing.judge(&chunked()), Length::Ambiguous);
        framing.received(b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n10\r\ncontent-length: 4");
        assert_eq!(
            framing.judge(&chunked()),
            Length::Clear,
            "what stands in the body means nothing"
        );
    }

    #[test]
    fn a_head_that_was_not_seen_is_not_called_clear() {
        let framing = Framing::new();
        assert_eq!(framing.judge(&chunked()), Length::Unseen);
        framing.received(b"rest of a body\r\n\r\nPOST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n");
        assert_eq!(framing.judge(&chunked()), Length::Unseen);
        framing.received(&[b'P'; 2 * MOST]);
        assert_eq!(framing.judge(&chunked()), Length::Unseen);
    }

    #[test]
    fn other_requests_are_none_of_its_business_and_nothing_is_kept_of_other_protocols() {
        let framing = Framing::new();
        framing.received(b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd");
        assert_eq!(framing.judge(&Request::post("/x").body(()).unwrap()), Length::Clear);
        framing.changes();
        framing.received(b"frames");
        assert!(matches!(&*framing.0.lock().unwrap(), Bytes::Other));
    }
}
