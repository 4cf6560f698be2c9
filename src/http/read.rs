//! Reading a request body: capped, and never slower than allowed.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// A body may take this many times the longest silence in all.
const TOTAL_FACTOR: u32 = 10;
/// Room set aside for a body of announced length before any of it arrived.
const MAX_TRUST: usize = 64 * 1024;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// It is larger than allowed, or says so.
    TooLarge,
    /// It stopped, or drips.
    TooSlow,
    /// The connection broke, or its framing is wrong.
    Broken,
}

/// How a body is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadLimits {
    /// Largest body, bytes.
    pub bytes: u64,
    /// Longest wait for its next part.
    pub silence: Duration,
}

/// The whole body.
pub(super) async fn whole<B>(headers: &HeaderMap, body: B, limits: ReadLimits) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes>,
{
    let announced: Option<u64> = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    // Refused before the first byte is asked for, so `Expect: 100-continue` never sends it.
    if announced.is_some_and(|length| length > limits.bytes) {
        return Err(ReadError::TooLarge);
    }
    let limit = usize::try_from(limits.bytes).unwrap_or(usize::MAX);
    let end = Instant::now() + limits.silence * TOTAL_FACTOR;
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let due = (Instant::now() + limits.silence).min(end);
        let data = match timeout_at(due, body.frame()).await {
            Err(_) => return Err(ReadError::TooSlow),
            Ok(Some(Err(_))) => return Err(ReadError::Broken),
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(ReadError::TooLarge);
        }
        // Most bodies arrive in one piece, which then is not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            rest.reserve(expected.min(MAX_TRUST).max(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http::HeaderValue;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const LIMITS: ReadLimits = ReadLimits {
        bytes: 10,
        silence: Duration::from_secs(30),
    };

    fn pieces(list: &'static [&'static str]) -> impl Body<Data = Bytes, Error = Infallible> {
        StreamBody::new(stream::iter(list).map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        let headers = HeaderMap::new();
        assert_eq!(
            whole(&headers, pieces(&["abc", "def", "ghij"]), LIMITS).await.unwrap(),
            "abcdefghij"
        );
        assert_eq!(
            whole(&headers, pieces(&["abc", "def", "ghijk"]), LIMITS).await,
            Err(ReadError::TooLarge)
        );
    }

    #[tokio::test]
    async fn an_announced_length_is_judged_first() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("11"));
        assert_eq!(
            whole(&headers, Full::new(Bytes::new()), LIMITS).await,
            Err(ReadError::TooLarge)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_dripping_both_end() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(whole(&HeaderMap::new(), silent, LIMITS).await, Err(ReadError::TooSlow));
        let drip = StreamBody::new(Box::pin(stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::new())), ()))
        })));
        let started = Instant::now();
        assert_eq!(whole(&HeaderMap::new(), drip, LIMITS).await, Err(ReadError::TooSlow));
        assert_eq!(started.elapsed(), Duration::from_secs(300));
    }
}
