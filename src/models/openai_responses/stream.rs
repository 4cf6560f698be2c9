//! Events of a streamed response as model events. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    items: Vec<Slot>,
    /// Whether a summary has begun, so that the next one starts a paragraph.
    has_summary: bool,
}

/// An output item of which something came.
#[derive(Debug)]
struct Slot {
    /// The provider's index.
    key: u64,
    /// Our index, if it is a call.
    call: Option<usize>,
    /// Whether its content came in deltas; otherwise it is taken from the finished item.
    has_deltas: bool,
}

impl Reader {
    /// Nothing was read yet.
    pub fn new(draft: Draft) -> Self {
        Self {
            draft,
            items: Vec::new(),
            has_summary: false,
        }
    }

    fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        let at = self.items.iter().position(|slot| slot.key == key).unwrap_or_else(|| {
            self.items.push(Slot {
                key,
                call: None,
                has_deltas: false,
            });
            self.items.len() - 1
        });
        self.items.get_mut(at)
    }

    /// The call at this place, announced if it was not yet.
    fn call(&mut self, key: u64, item: &Item, ready: &mut VecDeque<ModelEvent>) -> Option<usize> {
        if let Some(known) = self.slot(key).and_then(|slot| slot.call) {
            return Some(known);
        }
        let id = item.call_id.as_deref().or(item.id.as_deref()).unwrap_or_default();
        let index = self.draft.call(id, item.name.as_deref().unwrap_or_default(), ready);
        self.slot(key)?.call = Some(index);
        Some(index)
    }

    fn begin(&mut self, key: u64, item: &Item, ready: &mut VecDeque<ModelEvent>) {
        if item.kind == "function_call" {
            self.call(key, item, ready);
        }
    }

    fn text(&mut self, key: u64, delta: String, ready: &mut VecDeque<ModelEvent>) {
        if let Some(slot) = self.slot(key) {
            slot.has_deltas = true;
        }
        self.draft.text(delta, ready);
    }

    fn next_summary(&mut self, ready: &mut VecDeque<ModelEvent>) {
        if std::mem::replace(&mut self.has_summary, true) {
            self.draft.reasoning("\n\n", ready);
        }
    }

    fn arguments(&mut self, key: u64, delta: String, ready: &mut VecDeque<ModelEvent>) {
        let Some(slot) = self.slot(key) else { return };
        slot.has_deltas = true;
        if let Some(index) = slot.call {
            self.draft.arguments(index, delta, ready);
        }
    }

    fn end(&mut self, key: u64, item: Item, ready: &mut VecDeque<ModelEvent>) {
        let has_deltas = self.slot(key).is_some_and(|slot| slot.has_deltas);
        match item.kind.as_str() {
            "function_call" => {
                let index = self.call(key, &item, ready);
                if let (Some(index), false) = (index, has_deltas) {
                    self.draft.arguments(index, item.arguments.unwrap_or_default(), ready);
                }
            }
            "message" if !has_deltas => {
                for part in item.content.into_iter().flatten() {
                    self.draft.text(part.text.or(part.refusal).unwrap_or_default(), ready);
                }
            }
            // Without its encrypted content an item means nothing to a provider that stored nothing.
            "reasoning" if item.encrypted_content.is_some() => ready.extend(seal(item)),
            _ => {}
        }
    }

    fn close(&mut self, response: Response) -> Result<Flow, CallError> {
        if let Some(usage) = response.usage {
            *self.draft.usage_mut() = usage.into();
        }
        match response.status.as_deref() {
            Some("failed" | "cancelled") => return Err(self.draft.reported(&response.error.unwrap_or_default())),
            Some("incomplete") => {
                let why = response.incomplete_details.and_then(|details| details.reason);
                self.draft.set_finish(match why.as_deref() {
                    Some("content_filter") => FinishReason::ContentFilter,
                    _ => FinishReason::Length,
                });
            }
            _ => self.draft.set_finish(FinishReason::Stop),
        }
        Ok(Flow::Complete)
    }
}

fn seal(item: Item) -> Option<ModelEvent> {
    let text = item.summary.iter().filter_map(|part| part.get("text")?.as_str());
    let text = text.collect::<Vec<_>>().join("\n\n");
    let signature = serde_json::to_string(&SealedItem {
        r#type: "reasoning",
        id: item.id,
        summary: item.summary,
        encrypted_content: item.encrypted_content,
    });
    Some(ModelEvent::Seal(Seal::Thought {
        text,
        signature: signature.ok()?,
    }))
}

impl Decoder for Reader {
    fn provider(&self) -> &str {
        self.draft.provider()
    }

    fn take(&mut self, event: Event<'_>, ready: &mut VecDeque<ModelEvent>) -> Result<Flow, CallError> {
        if event.data.trim_ascii() == b"[DONE]" {
            return Ok(Flow::Complete);
        }
        let malformed = |draft: &Draft| draft.malformed("sent a piece of the stream that is not a valid event");
        let piece: Piece = serde_json::from_slice(event.data).map_err(|_| malformed(&self.draft))?;
        let key = piece.output_index;
        let delta = piece.delta.unwrap_or_default();
        match piece.kind.as_str() {
            "response.output_item.added" => {
                if let Some(item) = &piece.item {
                    self.begin(key, item, ready);
                }
            }
            "response.output_text.delta" | "response.refusal.delta" => self.text(key, delta, ready),
            "response.reasoning_summary_part.added" => self.next_summary(ready),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.draft.reasoning(delta, ready);
            }
            "response.function_call_arguments.delta" => self.arguments(key, delta, ready),
            "response.output_item.done" => {
                if let Some(item) = piece.item {
                    self.end(key, item, ready);
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
                let mut response = piece.response.ok_or_else(|| malformed(&self.draft))?;
                if response.status.is_none() {
                    response.status = piece.kind.strip_prefix("response.").map(str::to_owned);
                }
                return self.close(response);
            }
            "error" => {
                // The fields stand beside the type, or in an object of their own.
                let error = piece
                    .error
                    .filter(Value::is_object)
                    .unwrap_or_else(|| serde_json::json!({"code": piece.code, "message": piece.message}));
                return Err(self.draft.reported(&error));
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    fn is_finishing(&self) -> bool {
        self.draft.is_finishing()
    }

    fn finish(&mut self, is_complete: bool) -> Result<ModelEvent, CallError> {
        if !self.draft.is_finishing() && is_complete {
            // `[DONE]` alone says nothing about how the response ended.
            return Err(self
                .draft
                .error(CallErrorClass::Network, "ended the stream in the middle of the answer"));
        }
        self.draft.finish(is_complete)
    }
}

#[derive(Deserialize)]
struct Piece {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    delta: Option<String>,
    #[serde(default)]
    item: Option<Item>,
    #[serde(default)]
    response: Option<Response>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    content: Option<Vec<Part>>,
    #[serde(default)]
    summary: Vec<Value>,
    #[serde(default)]
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// A reasoning item as it is shown to the provider again.
#[derive(Serialize)]
struct SealedItem {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    summary: Vec<Value>,
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default, deserialize_with = "tokens")]
    input_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default, deserialize_with = "tokens")]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default, deserialize_with = "tokens")]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default, deserialize_with = "tokens")]
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let prompt = wire.input_tokens.unwrap_or(0);
        let cache_read = wire
            .input_tokens_details
            .and_then(|details| details.cached_tokens)
            .unwrap_or(0)
            .min(prompt);
        Self {
            input: prompt - cache_read,
            output: wire.output_tokens.unwrap_or(0),
            cache_read,
            cache_write: 0,
            reasoning: wire
                .output_tokens_details
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or(0),
        }
    }
}
