//! What a run brought, as a response object.

use serde::Serialize;

use super::ids::IdMaker;
use crate::domain::Fault;
use crate::domain::model::{FinishReason, Usage};
use crate::domain::run::RunOutcome;
use crate::models::client::error_body;
use crate::wire::openai::responses::output::{FunctionCall, MessageOut, Reasoning};
use crate::wire::openai::responses::{Echo, Incomplete, OutputItem, ResponseError, ResponseObject, Usage as WireUsage};

/// How a response ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It answered.
    Completed,
    /// It was cut; the reason in the words of the API.
    Incomplete(&'static str),
    /// It failed.
    Failed(ResponseError),
    /// It was stopped by `POST …/cancel`.
    Cancelled,
}

impl End {
    /// The end of a run that completed.
    pub const fn of(finish: FinishReason) -> Self {
        match finish {
            FinishReason::Stop | FinishReason::ToolCalls => Self::Completed,
            FinishReason::Length => Self::Incomplete("max_output_tokens"),
            FinishReason::ContentFilter => Self::Incomplete("content_filter"),
        }
    }

    /// The end of a run that did not.
    pub fn failed(fault: &Fault) -> Self {
        let error = error_body(fault).error;
        Self::Failed(ResponseError {
            code: error.code.unwrap_or("server_error".into()),
            message: error.message,
        })
    }

    /// The status of the response.
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A response that takes shape.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its ids.
    pub ids: IdMaker,
    /// Unix seconds.
    pub created_at: i64,
    /// What it repeats of the request.
    pub echo: Echo,
    pub(super) items: Vec<OutputItem>,
}

impl Answer {
    /// A response without output.
    pub const fn new(ids: IdMaker, created_at: i64, echo: Echo) -> Self {
        Self {
            ids,
            created_at,
            echo,
            items: Vec::new(),
        }
    }

    /// Its snapshot while it is worked on; `status` is `in_progress` or `queued`.
    pub fn pending(&self, status: &'static str) -> Vec<u8> {
        self.json(status, None, None, None)
    }

    /// Takes the whole output from the end of the run.
    pub fn fill(&mut self, outcome: &RunOutcome) {
        if !outcome.reasoning.is_empty() {
            self.push_reasoning(outcome.reasoning.clone());
        }
        if !outcome.text.is_empty() || outcome.tool_calls.is_empty() {
            self.push_message(Some(outcome.text.clone()));
        }
        for call in outcome.tool_calls.iter().take(self.most_calls()) {
            let index = self.push_call(&call.id, &call.name);
            if let Some(OutputItem::FunctionCall(item)) = self.items.get_mut(index) {
                item.arguments.clone_from(&call.arguments);
            }
        }
    }

    /// Its last snapshot. Items get their final status, messages their phase.
    pub fn close(&mut self, end: &End, usage: &Usage, now_s: i64) -> Vec<u8> {
        self.settle(end);
        let error = match end {
            End::Failed(error) => Some(error.clone()),
            _ => None,
        };
        let incomplete = match end {
            End::Incomplete(reason) => Some(Incomplete { reason }),
            _ => None,
        };
        let usage = (usage.total() > 0 || *end == End::Completed)
            .then(|| WireUsage::new(usage.prompt(), usage.cache_read, usage.output, usage.reasoning));
        let completed_at = (*end == End::Completed).then_some(now_s);
        self.json(end.status(), completed_at, usage, Some((error, incomplete)))
    }

    /// Final statuses: everything is complete, but for the last item of a response that was cut.
    pub(super) fn settle(&mut self, end: &End) {
        let last = self.items.len().saturating_sub(1);
        let mut is_before_calls = false;
        for (index, item) in self.items.iter_mut().enumerate().rev() {
            let is_cut = *end != End::Completed && index == last;
            let settled = if is_cut { "incomplete" } else { "completed" };
            match item {
                OutputItem::Reasoning(item) => item.status = settled,
                OutputItem::Message(item) => {
                    item.status = settled;
                    item.phase = Some(if is_before_calls { "commentary" } else { "final_answer" });
                    is_before_calls = true;
                }
                OutputItem::FunctionCall(item) => {
                    item.status = settled;
                    is_before_calls = true;
                }
            }
        }
    }

    pub(super) fn most_calls(&self) -> usize {
        let most = self.echo.max_tool_calls.unwrap_or(u64::MAX);
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    pub(super) fn push_reasoning(&mut self, text: String) -> usize {
        let index = self.items.len();
        self.items.push(OutputItem::Reasoning(Reasoning {
            id: self.ids.output("rs", index),
            status: "in_progress",
            summary: Some(text).filter(|text| !text.is_empty()),
        }));
        index
    }

    pub(super) fn push_message(&mut self, text: Option<String>) -> usize {
        let index = self.items.len();
        self.items.push(OutputItem::Message(MessageOut {
            id: self.ids.output("msg", index),
            status: "in_progress",
            text,
            phase: None,
        }));
        index
    }

    pub(super) fn push_call(&mut self, call_id: &str, name: &str) -> usize {
        let index = self.items.len();
        self.items.push(OutputItem::FunctionCall(FunctionCall {
            id: self.ids.output("fc", index),
            call_id: call_id.to_owned(),
            name: name.to_owned(),
            arguments: String::new(),
            status: "in_progress",
        }));
        index
    }

    fn json(
        &self,
        status: &'static str,
        completed_at: Option<i64>,
        usage: Option<WireUsage>,
        trouble: Option<(Option<ResponseError>, Option<Incomplete>)>,
    ) -> Vec<u8> {
        let (error, incomplete_details) = trouble.unwrap_or_default();
        to_json(&ResponseObject {
            id: self.ids.response(),
            created_at: self.created_at,
            status,
            completed_at,
            error,
            incomplete_details,
            output: &self.items,
            usage,
            echo: &self.echo,
        })
    }
}

/// Texts, numbers and checked JSON under constant keys: serialising cannot fail.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value);
    debug_assert!(json.is_ok(), "a response cannot be serialised");
    json.unwrap_or_default()
}
