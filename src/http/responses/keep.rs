//! Keeping a response.

use crate::base::Clock;
use crate::domain::Fault;
use crate::store::{Store, StoreError, StoredResponse};

use std::time::Duration;

/// What is stored of a response beside its object.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub id: String,
    pub owner: String,
    pub agent: String,
    pub previous: Option<String>,
    /// The response's own input, a JSON array.
    pub input: String,
}

impl Record {
    /// Stores the response with this object.
    pub(super) async fn store(self, store: Store, body: Vec<u8>, now_ms: i64) -> Result<(), StoreError> {
        let body = String::from_utf8(body).map_err(|_| StoreError::Failed("a response is not text".to_owned()))?;
        let response = StoredResponse {
            id: self.id,
            owner: self.owner,
            agent_id: self.agent,
            previous: self.previous,
            input: self.input,
            body,
        };
        store.put_response(response, now_ms).await
    }
}

/// Storage trouble as the client sees it.
pub(super) fn fault(error: &StoreError) -> Fault {
    tracing::error!(target: "http", %error, "a response could not be stored or read");
    Fault::unavailable("The response could not be stored or read; retry shortly.")
        .with_code("storage_unavailable")
        .with_retry_after(Duration::from_secs(2))
}

/// Unix seconds.
pub(super) fn now_s(clock: &dyn Clock) -> i64 {
    clock.now_ms() / 1_000
}
