//! Events of a streamed message as model events. Pure.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::Seal;
use crate::domain::model::{CallError, FinishReason, ModelEvent, Usage};
use crate::models::answer::{Decoder, Flow};
use crate::models::counts::tokens;
use crate::models::draft::Draft;
use crate::models::sse::Event;

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    draft: Draft,
    open: Vec<(u64, Open)>,
}

/// A content block that has begun and not ended.
#[derive(Debug)]
enum Open {
    Thought {
        text: String,
        signature: String,
    },
    Call {
        index: usize,
        input: Option<String>,
        has_arguments: bool,
    },
}

impl Reader {
    /// Nothing was read yet.
    pub fn new(draft: Draft) -> Self {
        Self {
            draft,
            open: Vec::new(),
        }
    }

    fn begin(&mut self, index: u64, block: Block<'_>, ready: &mut VecDeque<ModelEvent>) {
        match block.kind.as_str() {
            "text" => self.draft.text(block.text.unwrap_or_default(), ready),
            "thinking" => {
                let text = block.thinking.unwrap_or_default();
                self.draft.reasoning(text.clone(), ready);
                let signature = block.signature.unwrap_or_default();
                self.open.push((index, Open::Thought { text, signature }));
            }
            "redacted_thinking" => ready.extend(block.data.map(|data| ModelEvent::Seal(Seal::Hidden(data)))),
            "tool_use" => {
                let id = block.id.unwrap_or_default();
                let call = self.draft.call(&id, &block.name.unwrap_or_default(), ready);
                let open = Open::Call {
                    index: call,
                    input: block.input.map(|input| input.get().to_owned()),
                    has_arguments: false,
                };
                self.open.push((index, open));
            }
            // Results of tools that the provider ran itself are its own affair.
            _ => {}
        }
    }

    fn go_on(&mut self, index: u64, delta: Delta, ready: &mut VecDeque<ModelEvent>) {
        self.draft.text(delta.text.unwrap_or_default(), ready);
        match self.open.iter_mut().find(|(at, _)| *at == index) {
            Some((_, Open::Thought { text, signature })) => {
                if let Some(more) = delta.thinking {
                    text.push_str(&more);
                    self.draft.reasoning(more, ready);
                }
                signature.push_str(delta.signature.as_deref().unwrap_or_default());
            }
            Some((
                _,
                Open::Call {
                    index, has_arguments, ..
                },
            )) => {
                if let Some(more) = delta.partial_json.filter(|more| !more.is_empty()) {
                    *has_arguments = true;
                    self.draft.arguments(*index, more, ready);
                }
            }
            None => {}
        }
    }

    fn end(&mut self, index: u64, ready: &mut VecDeque<ModelEvent>) {
        let Some(at) = self.open.iter().position(|(at, _)| *at == index) else {
            return;
        };
        match self.open.swap_remove(at).1 {
            Open::Thought { text, signature } if !signature.is_empty() => {
                ready.push_back(ModelEvent::Seal(Seal::Thought { text, signature }));
            }
            // Arguments without a single delta are those that the block began with.
            Open::Call {
                index,
                input,
                has_arguments: false,
            } => self
                .draft
                .arguments(index, input.unwrap_or_else(|| "{}".to_owned()), ready),
            _ => {}
        }
    }

    fn count(&mut self, wire: &WireUsage) {
        let usage: &mut Usage = self.draft.usage_mut();
        // Later events repeat some of the counts, with the total so far.
        for (count, place) in [
            (wire.input_tokens, &mut usage.input),
            (wire.output_tokens, &mut usage.output),
            (wire.cache_read_input_tokens, &mut usage.cache_read),
            (wire.cache_creation_input_tokens, &mut usage.cache_write),
        ] {
            *place = count.unwrap_or(0).max(*place);
        }
    }
}

impl Decoder for Reader {
    fn provider(&self) -> &str {
        self.draft.provider()
    }

    fn take(&mut self, event: Event<'_>, ready: &mut VecDeque<ModelEvent>) -> Result<Flow, CallError> {
        let piece: Piece<'_> = serde_json::from_slice(event.data).map_err(|_| {
            self.draft
                .malformed("sent a piece of the stream that is not a valid event")
        })?;
        match piece.kind.as_str() {
            "message_start" => {
                if let Some(usage) = piece.message.and_then(|message| message.usage) {
                    self.count(&usage);
                }
            }
            "content_block_start" => {
                if let Some(block) = piece.content_block {
                    self.begin(piece.index, block, ready);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = piece.delta {
                    self.go_on(piece.index, delta, ready);
                }
            }
            "content_block_stop" => self.end(piece.index, ready),
            "message_delta" => {
                if let Some(usage) = &piece.usage {
                    self.count(usage);
                }
                if let Some(reason) = piece.delta.and_then(|delta| delta.stop_reason) {
                    self.draft.set_finish(finish_reason(&reason));
                }
            }
            "message_stop" => return Ok(Flow::Complete),
            "error" => return Err(self.draft.reported(&piece.error.unwrap_or_default())),
            // `ping`, and whatever comes to be.
            _ => {}
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

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    index: u64,
    #[serde(default)]
    message: Option<Start>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default, deserialize_with = "tokens")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    cache_creation_input_tokens: Option<u64>,
}
