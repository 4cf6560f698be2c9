//! The port to model providers: a call in, a stream of events out.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Message, Seal};
use crate::telemetry::trace::TraceContext;

/// `provider/model`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// Key of `models.providers`.
    pub provider: Arc<str>,
    /// The provider's model id.
    pub model: Arc<str>,
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// A function that the model may call.
#[derive(Debug, Clone)]
pub struct ToolSpec {
    /// Function name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of the arguments, passed on as written.
    pub parameters: Option<Box<RawValue>>,
    /// Whether the provider must follow the schema exactly.
    pub strict: Option<bool>,
}

/// Which tool the model must or may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Named(String),
}

/// Request parameters that are passed to the provider as they are (`temperature`, `top_p`, `seed`, `response_format`,
/// `max_completion_tokens`, ...), keyed by their chat-completions name; each dialect renames or leaves out what it must.
pub type Sampling = Map<String, Value>;

/// One request to a model.
#[derive(Debug, Clone)]
pub struct ModelCall {
    /// The provider's model id.
    pub model: Arc<str>,
    /// System prompt, if any.
    pub system: Option<String>,
    /// The conversation, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Tools on offer.
    pub tools: Arc<[ToolSpec]>,
    /// Which of them may be called.
    pub tool_choice: ToolChoice,
    /// `parallel_tool_calls`, if the caller said so.
    pub parallel_tool_calls: Option<bool>,
    /// Passed on as they are.
    pub sampling: Arc<Sampling>,
    /// Whether deltas are wanted. If not, a provider may answer in one piece.
    pub stream: bool,
    /// What the provider request names as its parent.
    pub trace: Option<TraceContext>,
}

impl ModelCall {
    /// Whether an answer without any content is an answer: after the result of a tool a model may have nothing to add.
    pub fn accepts_empty(&self) -> bool {
        matches!(self.messages.last().map(|last| &**last), Some(Message::Tool { .. }))
    }
}

/// Tokens of one call or one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were not read from a cache.
    pub input: u64,
    /// Completion tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// The part of `output` spent on reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// All prompt tokens.
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    /// Prompt and completion tokens.
    pub fn total(&self) -> u64 {
        self.prompt() + self.output
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
        self.reasoning += other.reasoning;
    }
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// The token limit was reached.
    Length,
    /// It called tools.
    ToolCalls,
    /// The provider's filter stopped it.
    ContentFilter,
}

impl FinishReason {
    /// The chat-completions name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// What a model stream yields. A good stream ends with `Finish`; a stream that ends without it was cut.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// Visible text.
    Text(String),
    /// Reasoning text.
    Reasoning(String),
    /// A tool call begins. `index` counts calls of this answer from 0.
    ToolCallStart {
        /// Position among the calls of this answer.
        index: usize,
        /// The provider's call id.
        id: String,
        /// Tool name.
        name: String,
    },
    /// More of a call's arguments.
    ToolCallArguments {
        /// Position among the calls of this answer.
        index: usize,
        /// JSON text fragment.
        delta: String,
    },
    /// Log probabilities of what was said: the provider's own object, JSON text.
    Logprobs(String),
    /// Something to be shown to the provider again with this answer. Not for people.
    Seal(Seal),
    /// The answer is complete.
    Finish {
        /// Why.
        reason: FinishReason,
        /// What it cost, if the provider said so.
        usage: Option<Usage>,
    },
}

/// Class of a failed call, for retry, fall-back, metrics and the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallErrorClass {
    /// 401 or 403: our key is not accepted.
    Auth,
    /// 402 or an exhausted quota.
    Billing,
    /// 429.
    RateLimit,
    /// 503 or 529: the provider is overloaded.
    Overloaded,
    /// 400 or 422: the provider does not accept the request.
    BadRequest,
    /// The prompt does not fit the model's context.
    ContextOverflow,
    /// 404: the provider does not know the model.
    ModelNotFound,
    /// Connecting, the first byte or the next byte took too long.
    Timeout,
    /// Refused, reset or cut connection.
    Network,
    /// Other 5xx.
    Server,
    /// The answer could not be understood, or was empty.
    Malformed,
    /// The provider cannot be used as configured (no key, unknown provider).
    NotConfigured,
    /// The caller went away or the run was aborted.
    Cancelled,
}

impl CallErrorClass {
    /// The label in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::RateLimit => "rate_limit",
            Self::Overloaded => "overloaded",
            Self::BadRequest => "bad_request",
            Self::ContextOverflow => "context_overflow",
            Self::ModelNotFound => "model_not_found",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Server => "server_error",
            Self::Malformed => "malformed",
            Self::NotConfigured => "not_configured",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the same request may succeed a moment later.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimit | Self::Overloaded | Self::Timeout | Self::Network | Self::Server | Self::Malformed
        )
    }
}

/// A failed call. `message` is safe to show: it never holds a key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// The class.
    pub class: CallErrorClass,
    /// The provider's HTTP status, if it answered.
    pub status: Option<u16>,
    /// What happened, with the provider's own words where it gave any.
    pub message: String,
    /// The provider's `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Events of one call.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent, CallError>> + Send>>;

/// A configured provider.
///
/// `call` resolves when the provider accepted the request (headers arrived) or refused it. Dropping the future or the
/// stream closes the provider's connection, which is how a call is cancelled.
pub trait ModelProvider: Send + Sync + fmt::Debug {
    /// Key of `models.providers`.
    fn id(&self) -> &str;

    /// Dialect, for logs and transcripts (`openai-completions`, `demo`, ...).
    fn api(&self) -> &'static str;

    /// Sends one request.
    fn call<'a>(
        &'a self,
        call: &'a ModelCall,
    ) -> Pin<Box<dyn Future<Output = Result<ModelStream, CallError>> + Send + 'a>>;
}
