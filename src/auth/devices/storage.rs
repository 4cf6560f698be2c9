//! Where device records are kept. The book sees two small collections of documents.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::store::{Store, StoreError};

/// Collection of paired devices, by device id.
pub const PAIRED: &str = "devices";
/// Collection of pending requests, by request id.
pub const PENDING: &str = "device-pending";
/// Longest wait for the storage; a caller in its handshake does not wait longer than that.
const DEADLINE: Duration = Duration::from_secs(10);

/// Changes of one collection: written (`Some`) or removed (`None`).
pub type Changes = Vec<(String, Option<Value>)>;

/// Keeps documents.
pub trait DeviceStorage: Send + Sync + 'static {
    /// All documents of a collection, by key.
    fn load(&self, collection: &'static str) -> BoxFuture<'_, Result<Vec<(String, Value)>, StoreError>>;

    /// Writes and removes documents; when it returns, that is on disk.
    fn put(&self, collection: &'static str, changes: Changes) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl DeviceStorage for Store {
    fn load(&self, collection: &'static str) -> BoxFuture<'_, Result<Vec<(String, Value)>, StoreError>> {
        Box::pin(within(self.documents(collection)))
    }

    fn put(&self, collection: &'static str, changes: Changes) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(within(self.put_documents(collection, changes)))
    }
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(DEADLINE, work)
        .await
        .unwrap_or(Err(StoreError::Overloaded))
}
