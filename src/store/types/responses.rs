//! Responses of `/v1/responses`.

/// A stored response of `/v1/responses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// `resp_...`
    pub id: String,
    /// Whose it is; nobody else finds it.
    pub owner: String,
    /// The agent that answered.
    pub agent_id: String,
    /// The response it continues.
    pub previous: Option<String>,
    /// Its own input, a JSON array of items.
    pub input: String,
    /// The response object, JSON.
    pub body: String,
}

/// A response and what it continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseChain {
    /// All of it, oldest first.
    Whole(Vec<StoredResponse>),
    /// This one is not there (any more).
    Missing(String),
    /// There is more of it than one request may load.
    TooLong,
}

/// How many responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseRetention {
    /// Time since a thread was continued, ms.
    pub max_age_ms: i64,
    /// Most bytes of all threads.
    pub max_bytes: u64,
}
