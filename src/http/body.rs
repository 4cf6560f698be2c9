//! The body of every response: nothing, one piece, or a stream.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::telemetry::span::Span;

/// Errors of streamed bodies; they end the connection.
pub type BodyError = Box<dyn Error + Send + Sync>;

type Stream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>;

/// A response body.
pub struct Body {
    kind: Kind,
    /// Ends with the body.
    _span: Option<Span>,
}

enum Kind {
    Empty,
    Full(Bytes),
    Stream(Stream),
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self::of(Kind::Empty)
    }

    /// One piece.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Full(bytes.into()))
    }

    /// Whatever `body` yields.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Self::of(Kind::Stream(Box::pin(body)))
    }

    const fn of(kind: Kind) -> Self {
        Self { kind, _span: None }
    }

    /// The same, as the end of the work that `span` stands for.
    pub(super) fn within(self, span: Span) -> Self {
        Self {
            _span: Some(span),
            ..self
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.kind {
            Kind::Stream(stream) => stream.as_mut().poll_frame(cx),
            Kind::Empty => Poll::Ready(None),
            whole @ Kind::Full(_) => match std::mem::replace(whole, Kind::Empty) {
                Kind::Full(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}
