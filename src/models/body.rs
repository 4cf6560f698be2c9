//! Reading a provider's body with a cap and a deadline. The only way bodies are read whole.

use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

/// Largest answer that is taken in one piece.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How much of an error body is read.
pub const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than allowed.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The cap.
        limit: usize,
    },
    /// Nothing came for the given time.
    #[error("no data for {seconds} s")]
    Silent {
        /// The deadline between two pieces.
        seconds: u64,
    },
    /// The connection broke.
    #[error("the connection broke while the answer was read")]
    Cut,
}

/// The whole body, at most `limit` bytes; fails if nothing arrives for `idle`.
pub async fn read_whole(mut response: Response, limit: usize, idle: Option<Duration>) -> Result<Vec<u8>, BodyError> {
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    if announced > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(announced);
    loop {
        let piece = match idle {
            None => response.chunk().await,
            Some(idle) => timeout(idle, response.chunk()).await.map_err(|_| BodyError::Silent {
                seconds: idle.as_secs(),
            })?,
        };
        match piece {
            Ok(Some(bytes)) if body.len() + bytes.len() > limit => return Err(BodyError::TooLarge { limit }),
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return Ok(body),
            Err(_) => return Err(BodyError::Cut),
        }
    }
}

/// As much of an error body as arrives within `deadline`, at most [`MAX_ERROR_BYTES`]. Never fails: the status alone is
/// worth reporting.
pub async fn read_error_body(mut response: Response, deadline: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            let room = MAX_ERROR_BYTES.saturating_sub(body.len());
            body.extend(bytes.iter().take(room));
            if bytes.len() >= room {
                break;
            }
        }
    };
    // A slow tail only costs words of the message.
    drop(timeout(deadline, reading).await);
    body
}
