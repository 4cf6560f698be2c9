//! Items that a response puts out.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OutputItem {
    /// What the provider shows of its reasoning.
    Reasoning(Reasoning),
    /// Text.
    Message(MessageOut),
    /// A call of a client tool.
    FunctionCall(FunctionCall),
}

/// `message` of the assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageOut {
    /// `msg_...`
    pub id: String,
    /// `in_progress`, `completed` or `incomplete`.
    pub status: &'static str,
    /// The whole text; `None`: nothing yet.
    pub text: Option<String>,
    /// `commentary` before tool calls, else `final_answer`; `None` while unknown.
    pub phase: Option<&'static str>,
}

/// `reasoning`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoning {
    /// `rs_...`
    pub id: String,
    /// `in_progress`, `completed` or `incomplete`.
    pub status: &'static str,
    /// What is shown of it; `None`: nothing yet.
    pub summary: Option<String>,
}

/// `function_call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// `fc_...`
    pub id: String,
    /// The id that the output must name.
    pub call_id: String,
    /// Tool name.
    pub name: String,
    /// JSON text.
    pub arguments: String,
    /// `in_progress`, `completed` or `incomplete`.
    pub status: &'static str,
}

/// `compaction`: the summary of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// `cmp_...`
    pub id: String,
    /// To be sent back as it is.
    pub encrypted_content: String,
}

/// A text part: `output_text` or `summary_text`.
#[derive(Debug, Clone, Copy)]
pub enum TextPart<'a> {
    /// Of a message.
    Output(&'a str),
    /// Of reasoning.
    Summary(&'a str),
}

impl Serialize for TextPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Output(text) => {
                let mut part = serializer.serialize_struct("OutputText", 4)?;
                part.serialize_field("type", "output_text")?;
                part.serialize_field("text", text)?;
                part.serialize_field("annotations", &[(); 0])?;
                part.serialize_field("logprobs", &[(); 0])?;
                part.end()
            }
            Self::Summary(text) => {
                let mut part = serializer.serialize_struct("SummaryText", 2)?;
                part.serialize_field("type", "summary_text")?;
                part.serialize_field("text", text)?;
                part.end()
            }
        }
    }
}

impl OutputItem {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Reasoning(item) => &item.id,
            Self::Message(item) => &item.id,
            Self::FunctionCall(item) => &item.id,
        }
    }
}

impl Serialize for MessageOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content: Vec<TextPart<'_>> = self.text.as_deref().map(TextPart::Output).into_iter().collect();
        let mut item = serializer.serialize_struct("Message", 6)?;
        item.serialize_field("id", &self.id)?;
        item.serialize_field("type", "message")?;
        item.serialize_field("status", self.status)?;
        item.serialize_field("role", "assistant")?;
        item.serialize_field("content", &content)?;
        if let Some(phase) = self.phase {
            item.serialize_field("phase", phase)?;
        }
        item.end()
    }
}

impl Serialize for Reasoning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let summary: Vec<TextPart<'_>> = self.summary.as_deref().map(TextPart::Summary).into_iter().collect();
        let mut item = serializer.serialize_struct("Reasoning", 4)?;
        item.serialize_field("id", &self.id)?;
        item.serialize_field("type", "reasoning")?;
        item.serialize_field("status", self.status)?;
        item.serialize_field("summary", &summary)?;
        item.end()
    }
}

impl Serialize for FunctionCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_struct("FunctionCall", 6)?;
        item.serialize_field("id", &self.id)?;
        item.serialize_field("type", "function_call")?;
        item.serialize_field("status", self.status)?;
        item.serialize_field("call_id", &self.call_id)?;
        item.serialize_field("name", &self.name)?;
        item.serialize_field("arguments", &self.arguments)?;
        item.end()
    }
}

impl Serialize for Compaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_struct("Compaction", 3)?;
        item.serialize_field("id", &self.id)?;
        item.serialize_field("type", "compaction")?;
        item.serialize_field("encrypted_content", &self.encrypted_content)?;
        item.end()
    }
}
