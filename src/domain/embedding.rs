//! The ports to embedding models: texts in, vectors out.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Fault;
use super::model::CallError;
use super::run::PortFuture;
use crate::base::AgentId;
use crate::config::EmbeddingSettings;
use crate::telemetry::trace::TraceContext;

/// What is embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// Texts.
    Texts(Vec<String>),
    /// Texts as tokens of the model.
    Tokens(Vec<Vec<u32>>),
}

impl EmbeddingInput {
    /// How many vectors it gives.
    pub const fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(texts) => texts.len(),
        }
    }

    /// Whether there is nothing to embed.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One request to an embedding model.
#[derive(Debug, Clone)]
pub struct EmbeddingCall {
    /// The provider's model id.
    pub model: Arc<str>,
    /// What is embedded; not empty.
    pub input: EmbeddingInput,
    /// Length of the vectors, where the model lets one choose.
    pub dimensions: Option<u64>,
    /// Whether base64 is preferred over numbers.
    pub base64: bool,
    /// The client's name for its end user.
    pub user: Option<String>,
    /// What the provider request names as its parent.
    pub trace: Option<TraceContext>,
}

/// A vector in the form that the provider gave it, so that no digit is lost on the way.
#[derive(Debug, Clone)]
pub enum Vector {
    /// A JSON array of numbers.
    Numbers(Box<RawValue>),
    /// Little-endian 32-bit floats in base64.
    Base64(Box<str>),
}

/// What an embedding model answered.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// One per input, in order.
    pub vectors: Vec<Vector>,
    /// Tokens of the input, as the provider counted them.
    pub prompt_tokens: u64,
}

/// A configured embedding model's provider. Dropping the future closes the provider's connection.
pub trait EmbeddingProvider: Send + Sync + fmt::Debug {
    /// Sends one request.
    fn embed<'a>(&'a self, call: &'a EmbeddingCall) -> PortFuture<'a, Result<Embeddings, CallError>>;
}

/// Embeddings on behalf of an agent: within what it may spend, counted like everything else that it uses.
pub trait Embedder: Send + Sync {
    /// Sends one request to the model of `settings`. Refused with `spend_limit_reached` before anybody is asked.
    fn embed<'a>(
        &'a self,
        agent: &'a AgentId,
        settings: &'a EmbeddingSettings,
        call: EmbeddingCall,
    ) -> PortFuture<'a, Result<Embeddings, Fault>>;
}
