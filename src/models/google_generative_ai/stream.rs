//! Pieces of a streamed `generateContent` answer as model events. Pure.
//!
//! There is no end mark: the piece with the reason for the end is the last one of use.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::Seal;
use crate::domain::model::{CallError, CallErrorClass, FinishReason, ModelEvent, Usage};
use crate::models::answer::{Decoder, Flow};
use crate::models::counts::tokens;
use crate::models::draft::Draft;
use crate::models::sse::Event;

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    draft: Draft,
}

impl Reader {
    /// Nothing was read yet.
    pub fn new(draft: Draft) -> Self {
        Self { draft }
    }

    fn part(&mut self, part: Part<'_>, ready: &mut VecDeque<ModelEvent>) {
        if let Some(text) = part.text {
            if part.thought {
                self.draft.reasoning(text, ready);
            } else {
                self.draft.text(text, ready);
            }
        }
        let Some(call) = part.function_call else { return };
        // Results name their call by an id, which Gemini may leave out.
        let id = call
            .id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| format!("call_{}", uuid::Uuid::new_v4().simple()));
        let index = self.draft.call(&id, &call.name.unwrap_or_default(), ready);
        self.draft
            .arguments(index, call.args.map_or("{}", RawValue::get), ready);
        if let Some(signature) = part.thought_signature {
            ready.push_back(ModelEvent::Seal(Seal::Call { id, signature }));
        }
    }

    fn end(&mut self, reason: &str) -> Result<(), CallError> {
        self.draft.set_finish(match reason {
            "STOP" => FinishReason::Stop,
            "MAX_TOKENS" => FinishReason::Length,
            "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" => {
                FinishReason::ContentFilter
            }
            // The model tripped over its own tool call; another attempt may succeed.
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
                return Err(self.draft.malformed(&format!("broke the answer off: {reason}")));
            }
            other => {
                let what = format!("broke the answer off: {}", crate::models::failure::shorten(other));
                return Err(self.draft.error(CallErrorClass::Server, &what));
            }
        });
        Ok(())
    }
}

impl Decoder for Reader {
    fn provider(&self) -> &str {
        self.draft.provider()
    }

    fn take(&mut self, event: Event<'_>, ready: &mut VecDeque<ModelEvent>) -> Result<Flow, CallError> {
        let piece: Piece<'_> = serde_json::from_slice(event.data).map_err(|_| {
            self.draft
                .malformed("sent a piece of the stream that is not a valid chunk")
        })?;
        if let Some(error) = piece.error {
            return Err(self.draft.reported(&error));
        }
        if let Some(usage) = piece.usage_metadata {
            *self.draft.usage_mut() = usage.into();
        }
        let is_blocked = piece
            .prompt_feedback
            .is_some_and(|feedback| feedback.block_reason.is_some());
        match piece.candidates.into_iter().flatten().next() {
            Some(candidate) => {
                for part in candidate
                    .content
                    .and_then(|content| content.parts)
                    .into_iter()
                    .flatten()
                {
                    self.part(part, ready);
                }
                if let Some(reason) = candidate.finish_reason.filter(|reason| !reason.is_empty()) {
                    self.end(&reason)?;
                }
            }
            None if is_blocked => self.draft.set_finish(FinishReason::ContentFilter),
            None => {}
        }
        Ok(Flow::More)
    }

    fn is_finishing(&self) -> bool {
        self.draft.is_finishing()
    }

    fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError> {
        self.draft.finish(is_complete)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default)]
    prompt_feedback: Option<Feedback>,
    #[serde(default)]
    usage_metadata: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    #[serde(default)]
    thought_signature: Option<String>,
    #[serde(borrow, default)]
    function_call: Option<FunctionCall<'a>>,
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    #[serde(default)]
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage {
    #[serde(default, deserialize_with = "tokens")]
    prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    candidates_token_count: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    thoughts_token_count: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    cached_content_token_count: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let prompt = wire.prompt_token_count.unwrap_or(0) + wire.tool_use_prompt_token_count.unwrap_or(0);
        let cache_read = wire.cached_content_token_count.unwrap_or(0).min(prompt);
        let reasoning = wire.thoughts_token_count.unwrap_or(0);
        Self {
            input: prompt - cache_read,
            output: wire.candidates_token_count.unwrap_or(0) + reasoning,
            cache_read,
            cache_write: 0,
            reasoning,
        }
    }
}
