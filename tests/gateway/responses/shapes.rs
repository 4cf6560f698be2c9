//! The schemas of the Open Responses specification of 2026-04-24 as strict types: a field that is missing, of the wrong
//! type or not known fails the test.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A field that must be present, null or not.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    pub id: String,
    pub object: ResponseTag,
    pub created_at: i64,
    #[serde(deserialize_with = "nullable")]
    pub completed_at: Option<i64>,
    pub status: String,
    #[serde(deserialize_with = "nullable")]
    pub incomplete_details: Option<Incomplete>,
    pub model: String,
    #[serde(deserialize_with = "nullable")]
    pub previous_response_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub instructions: Option<String>,
    pub output: Vec<Item>,
    #[serde(deserialize_with = "nullable")]
    pub error: Option<Error>,
    pub tools: Vec<Tool>,
    pub tool_choice: Value,
    pub truncation: Truncation,
    pub parallel_tool_calls: bool,
    pub text: Value,
    pub top_p: f64,
    pub presence_penalty: f64,
    pub frequency_penalty: f64,
    pub top_logprobs: u64,
    pub temperature: f64,
    #[serde(deserialize_with = "nullable")]
    pub reasoning: Option<ReasoningField>,
    #[serde(deserialize_with = "nullable")]
    pub usage: Option<Usage>,
    #[serde(deserialize_with = "nullable")]
    pub max_output_tokens: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub max_tool_calls: Option<u64>,
    pub store: bool,
    pub background: bool,
    pub service_tier: String,
    pub metadata: serde_json::Map<String, Value>,
    #[serde(deserialize_with = "nullable")]
    pub safety_identifier: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub prompt_cache_key: Option<String>,
    /// Of OpenAI's API only.
    #[serde(deserialize_with = "nullable")]
    pub user: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub enum ResponseTag {
    #[serde(rename = "response")]
    Response,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    Auto,
    Disabled,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incomplete {
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Error {
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub r#type: String,
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub parameters: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    pub strict: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasoningField {
    #[serde(deserialize_with = "nullable")]
    pub effort: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub summary: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
    pub input_tokens_details: InputDetails,
    pub output_tokens_details: OutputDetails,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputDetails {
    pub cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputDetails {
    pub reasoning_tokens: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Item {
    Message {
        id: String,
        status: String,
        role: String,
        content: Vec<Part>,
        #[serde(default)]
        phase: Option<String>,
    },
    FunctionCall {
        id: String,
        call_id: String,
        name: String,
        arguments: String,
        status: String,
    },
    Reasoning {
        id: String,
        status: String,
        summary: Vec<Part>,
    },
    Compaction {
        id: String,
        encrypted_content: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Part {
    OutputText {
        text: String,
        annotations: Vec<Value>,
        logprobs: Vec<Value>,
    },
    SummaryText {
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compacted {
    pub id: String,
    pub object: CompactedTag,
    pub created_at: i64,
    pub output: Vec<Item>,
    pub usage: Usage,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub enum CompactedTag {
    #[serde(rename = "response.compaction")]
    Compaction,
}

impl Response {
    /// All texts of its messages.
    pub fn text(&self) -> String {
        let parts = self.output.iter().flat_map(|item| match item {
            Item::Message { content, .. } => content.as_slice(),
            _ => &[],
        });
        parts
            .map(|part| match part {
                Part::OutputText { text, .. } | Part::SummaryText { text } => text.as_str(),
            })
            .collect()
    }
}

/// A stream event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Shape {
    #[serde(rename = "response.created")]
    Created {
        sequence_number: u64,
        response: Box<Response>,
    },
    #[serde(rename = "response.in_progress")]
    InProgress {
        sequence_number: u64,
        response: Box<Response>,
    },
    #[serde(rename = "response.completed")]
    Completed {
        sequence_number: u64,
        response: Box<Response>,
    },
    #[serde(rename = "response.incomplete")]
    Incomplete {
        sequence_number: u64,
        response: Box<Response>,
    },
    #[serde(rename = "response.failed")]
    Failed {
        sequence_number: u64,
        response: Box<Response>,
    },
    #[serde(rename = "response.output_item.added")]
    ItemAdded {
        sequence_number: u64,
        output_index: u64,
        item: Item,
    },
    #[serde(rename = "response.output_item.done")]
    ItemDone {
        sequence_number: u64,
        output_index: u64,
        item: Item,
    },
    #[serde(rename = "response.content_part.added")]
    PartAdded {
        sequence_number: u64,
        item_id: String,
        output_index: u64,
        content_index: u64,
        part: Part,
    },
    #[serde(rename = "response.content_part.done")]
    PartDone {
        sequence_number: u64,
        item_id: String,
        output_index: u64,
        content_index: u64,
        part: Part,
    },
    #[serde(rename = "response.output_text.delta")]
    TextDelta {
        sequence_number: u64,
        item_id: String,
        output_index: u64,
        content_index: u64,
        delta: String,
        logprobs: Vec<Value>,
    },
    #[serde(rename = "response.output_text.done")]
    TextDone {
        sequence_number: u64,
        item_id: String,
        output_index: u64,
        content_index: u64,
        text: String,
        logprobs: Vec<Value>,
    },
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta {
        sequence_number: u64,
        item_id: String,
        output_index: u64,
        delta: String,
    },
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone {
        sequence_number: u64,
        item_id: String,
        output_index: u64,
        name: String,
        arguments: String,
    },
}

/// A stream event and what it says of itself.
#[derive(Debug, Clone)]
pub struct Event {
    shape: Shape,
    raw: Value,
}

impl Event {
    /// Reads an event, which must satisfy its schema.
    pub fn read(text: &str) -> Self {
        Self {
            shape: serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
            raw: serde_json::from_str(text).unwrap(),
        }
    }

    pub fn kind(&self) -> &str {
        self.raw["type"].as_str().unwrap()
    }

    pub fn sequence_number(&self) -> u64 {
        self.raw["sequence_number"].as_u64().unwrap()
    }

    pub fn text_delta(&self) -> Option<&str> {
        match &self.shape {
            Shape::TextDelta { delta, .. } => Some(delta),
            _ => None,
        }
    }

    pub fn arguments_delta(&self) -> Option<&str> {
        match &self.shape {
            Shape::ArgumentsDelta { delta, .. } => Some(delta),
            _ => None,
        }
    }

    /// The response, if this ends it.
    pub fn end(&self) -> Option<&Response> {
        match &self.shape {
            Shape::Completed { response, .. } | Shape::Incomplete { response, .. } | Shape::Failed { response, .. } => {
                Some(response)
            }
            _ => None,
        }
    }
}
