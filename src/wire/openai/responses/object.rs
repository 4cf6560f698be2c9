//! The response object.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::output::OutputItem;

/// What a response repeats of its request; the same in every snapshot of it.
#[derive(Debug, Clone)]
pub struct Echo {
    /// `model` as sent.
    pub model: String,
    /// `instructions` as sent.
    pub instructions: Option<String>,
    /// `previous_response_id` as sent.
    pub previous_response_id: Option<String>,
    /// Tools in the flat form.
    pub tools: Box<RawValue>,
    /// Choice in the flat form.
    pub tool_choice: Box<RawValue>,
    /// Whether several tools may be called at once.
    pub parallel_tool_calls: bool,
    /// Limit of calls.
    pub max_tool_calls: Option<u64>,
    /// Limit of tokens.
    pub max_output_tokens: Option<u64>,
    /// `{format, verbosity?}`.
    pub text: Map<String, Value>,
    /// `{effort, summary}`.
    pub reasoning: ReasoningEcho,
    /// Sampling temperature.
    pub temperature: f64,
    /// Nucleus.
    pub top_p: f64,
    /// Penalty.
    pub presence_penalty: f64,
    /// Penalty.
    pub frequency_penalty: f64,
    /// `auto` or `disabled`.
    pub truncation: &'static str,
    /// Tier that was asked for.
    pub service_tier: String,
    /// Whether it is kept.
    pub store: bool,
    /// Whether it is worked on in the background.
    pub background: bool,
    /// `user` as sent.
    pub user: Option<String>,
    /// `metadata` as sent.
    pub metadata: Map<String, Value>,
    /// `safety_identifier` as sent.
    pub safety_identifier: Option<String>,
    /// `prompt_cache_key` as sent.
    pub prompt_cache_key: Option<String>,
}

/// `reasoning` of a response.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReasoningEcho {
    /// `minimal`, `low`, ...
    pub effort: Option<String>,
    /// `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
}

/// Tokens of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// All prompt tokens, cached ones included.
    pub input_tokens: u64,
    /// The part read from a cache.
    pub input_tokens_details: InputDetails,
    /// All completion tokens, reasoning included.
    pub output_tokens: u64,
    /// The part spent on reasoning.
    pub output_tokens_details: OutputDetails,
    /// The sum.
    pub total_tokens: u64,
}

/// `input_tokens_details`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct InputDetails {
    /// Read from the provider's cache.
    pub cached_tokens: u64,
}

/// `output_tokens_details`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutputDetails {
    /// Spent on reasoning.
    pub reasoning_tokens: u64,
}

/// Why a response is `incomplete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Incomplete {
    /// `max_output_tokens` or `content_filter`.
    pub reason: &'static str,
}

/// Why a response is `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResponseError {
    /// Machine-readable code.
    pub code: Cow<'static, str>,
    /// Text for people.
    pub message: String,
}

/// A snapshot of a response.
#[derive(Debug, Clone)]
pub struct ResponseObject<'a> {
    /// `resp_...`
    pub id: &'a str,
    /// Unix seconds.
    pub created_at: i64,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    pub status: &'static str,
    /// Unix seconds, if completed.
    pub completed_at: Option<i64>,
    /// If failed.
    pub error: Option<ResponseError>,
    /// If incomplete.
    pub incomplete_details: Option<Incomplete>,
    /// Items so far.
    pub output: &'a [OutputItem],
    /// Once it is known.
    pub usage: Option<Usage>,
    /// What was asked.
    pub echo: &'a Echo,
}

impl Usage {
    /// Usage from its counts; `cached` is part of `input`, `reasoning` of `output`.
    pub const fn new(input: u64, cached: u64, output: u64, reasoning: u64) -> Self {
        Self {
            input_tokens: input,
            input_tokens_details: InputDetails { cached_tokens: cached },
            output_tokens: output,
            output_tokens_details: OutputDetails {
                reasoning_tokens: reasoning,
            },
            total_tokens: input + output,
        }
    }
}

impl Serialize for ResponseObject<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let echo = self.echo;
        let mut body = serializer.serialize_struct("Response", 33)?;
        body.serialize_field("id", self.id)?;
        body.serialize_field("object", "response")?;
        body.serialize_field("created_at", &self.created_at)?;
        body.serialize_field("status", self.status)?;
        body.serialize_field("background", &echo.background)?;
        body.serialize_field("completed_at", &self.completed_at)?;
        body.serialize_field("error", &self.error)?;
        body.serialize_field("frequency_penalty", &echo.frequency_penalty)?;
        body.serialize_field("incomplete_details", &self.incomplete_details)?;
        body.serialize_field("instructions", &echo.instructions)?;
        body.serialize_field("max_output_tokens", &echo.max_output_tokens)?;
        body.serialize_field("max_tool_calls", &echo.max_tool_calls)?;
        body.serialize_field("model", &echo.model)?;
        body.serialize_field("output", self.output)?;
        body.serialize_field("parallel_tool_calls", &echo.parallel_tool_calls)?;
        body.serialize_field("presence_penalty", &echo.presence_penalty)?;
        body.serialize_field("previous_response_id", &echo.previous_response_id)?;
        body.serialize_field("prompt_cache_key", &echo.prompt_cache_key)?;
        body.serialize_field("reasoning", &echo.reasoning)?;
        body.serialize_field("safety_identifier", &echo.safety_identifier)?;
        body.serialize_field("service_tier", &echo.service_tier)?;
        body.serialize_field("store", &echo.store)?;
        body.serialize_field("temperature", &echo.temperature)?;
        body.serialize_field("text", &echo.text)?;
        body.serialize_field("tool_choice", &echo.tool_choice)?;
        body.serialize_field("tools", &echo.tools)?;
        body.serialize_field("top_logprobs", &0)?;
        body.serialize_field("top_p", &echo.top_p)?;
        body.serialize_field("truncation", echo.truncation)?;
        body.serialize_field("usage", &self.usage)?;
        body.serialize_field("user", &echo.user)?;
        body.serialize_field("metadata", &echo.metadata)?;
        body.end()
    }
}
