//! Counters of requests on the two request surfaces. Every label comes from a closed set.
//!
//! A request is too small to build labels and search the recorder for them: the handles are kept, and a look-up in a
//! small map of static names finds them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram};

use super::names;

/// Handles by their labels.
struct Handles<K, H>(RwLock<HashMap<K, H>>);

impl<K, H> Default for Handles<K, H> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash + Copy, H> Handles<K, H> {
    fn with(&self, key: K, make: impl FnOnce(K) -> H, work: impl FnOnce(&H)) {
        if let Some(handle) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return work(handle);
        }
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        work(handles.entry(key).or_insert_with(|| make(key)));
    }
}

/// HTTP requests by route, method and status.
#[derive(Default)]
pub struct HttpRequests {
    counts: Handles<(&'static str, &'static str, u16), Counter>,
    durations: Handles<(&'static str, &'static str), Histogram>,
}

impl HttpRequests {
    /// Notes a request whose response head is ready. `route` is a template such as `/v1/models/{id}`, never a path.
    pub fn answered(&self, route: &'static str, method: &'static str, status: u16, took: Duration) {
        self.counts.with(
            (route, method, status),
            |_| metrics::counter!(names::HTTP_REQUESTS, "method" => method, "route" => route, "status" => status.to_string()),
            |count| count.increment(1),
        );
        self.durations.with(
            (route, method),
            |_| metrics::histogram!(names::HTTP_DURATION, "method" => method, "route" => route),
            |duration| duration.record(took),
        );
    }
}

/// WebSocket requests by method and outcome.
#[derive(Default)]
pub struct RpcRequests(Handles<(&'static str, &'static str), Counter>);

impl RpcRequests {
    /// Notes an answered request. `method` is a known method or `unknown`; `outcome` is `ok` or an error class.
    pub fn answered(&self, method: &'static str, outcome: &'static str) {
        self.0.with(
            (method, outcome),
            |_| metrics::counter!(names::RPC_REQUESTS, "method" => method, "outcome" => outcome),
            |count| count.increment(1),
        );
    }
}
