//! The model work of one run: tool rounds, until there is an answer or a reason why not. `chain` picks who is asked.
//!
//! One retry budget per run. A call is repeated only while nothing of it was shown; after the first delta an error ends
//! the run, so text is never repeated.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::emit::Emitter;
use super::raw_stream::RawStream;
use super::{spans, thinking};
use crate::base::Clock;
use crate::config::types::agents::Thinking;
use crate::domain::model::{CallError, CallErrorClass, FinishReason, ModelCall, ModelEvent, ModelRef, ToolSpec, Usage};
use crate::domain::run::{RunEvent, RunFailure, RunRequest};
use crate::domain::tool::{ToolContext, Tools};
use crate::domain::{Message, Seal, Sealed, ToolCall};
use crate::live::Live;
use crate::models::registry::Account;
use crate::models::retry::{RetryBudget, call_until_first_event};
use crate::telemetry::events::ModelCalled;
use crate::telemetry::span::Tracer;

/// Most model calls of one run; a model that keeps calling tools is stopped here.
const MAX_ROUNDS: usize = 32;

/// A follower that takes nothing for this long is gone.
const FOLLOWER_PATIENCE: Duration = Duration::from_secs(60);

/// Everything the work needs.
pub(super) struct Turn<'a> {
    pub(super) live: &'a Live,
    pub(super) request: &'a RunRequest,
    pub(super) candidates: Vec<ModelRef>,
    pub(super) system: Option<String>,
    /// How hard the model should think, where it can.
    pub(super) thinking: Thinking,
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) tools: &'a dyn Tools,
    pub(super) tool_context: ToolContext,
    pub(super) budget: RetryBudget,
    pub(super) follower: Option<mpsc::Sender<RunEvent>>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) raw_stream: Option<&'a RawStream>,
    pub(super) clock: &'a dyn Clock,
    pub(super) tracer: &'a Tracer,
}

/// How the work ended.
pub(super) enum TurnEnd {
    /// There is an answer (or calls for the client).
    Answered,
    /// The run was cancelled.
    Cancelled,
    /// The provider failed.
    Failed(RunFailure),
}

/// What the work produced, also when it failed half-way.
#[derive(Default)]
pub(super) struct Produced {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Usage,
    /// Tokens of the last call alone; its prompt is the size of the context.
    pub(super) last_call: Usage,
    pub(super) model: Option<ModelRef>,
    pub(super) api: &'static str,
    /// What the provider wants to see again with the answer.
    pub(super) seals: Vec<Seal>,
    /// Finished rounds before the last answer: assistant messages with calls, and their results.
    pub(super) rounds: Vec<Message>,
}

pub(super) enum CallEnd {
    Done(Answer),
    /// Failed before anything was shown.
    Clean(CallError),
    /// Failed after text was shown; holds what was shown.
    Torn(CallError, Answer),
    Cancelled(Answer),
}

impl Turn<'_> {
    /// Does the work.
    pub(super) async fn run(mut self, emitter: &mut Emitter, produced: &mut Produced) -> TurnEnd {
        let server_tools = self.tools.specs(&self.request.agent);
        let offered: Arc<[ToolSpec]> = if server_tools.is_empty() {
            Arc::clone(&self.request.client_tools)
        } else {
            self.request.client_tools.iter().cloned().chain(server_tools).collect()
        };
        for _ in 0..MAX_ROUNDS {
            let answer = match self.answer(&offered, emitter, produced).await {
                CallEnd::Done(answer) => answer,
                CallEnd::Cancelled(partial) => {
                    keep(produced, partial);
                    return TurnEnd::Cancelled;
                }
                CallEnd::Torn(error, partial) => {
                    keep(produced, partial);
                    return TurnEnd::Failed(failure(error));
                }
                CallEnd::Clean(error) => return TurnEnd::Failed(failure(error)),
            };
            let for_client = |call: &ToolCall| self.request.client_tools.iter().any(|tool| tool.name == call.name);
            if answer.tool_calls.is_empty() || answer.tool_calls.iter().any(for_client) {
                keep(produced, answer);
                return TurnEnd::Answered;
            }
            let assistant = Message::Assistant {
                text: answer.text,
                reasoning: Some(answer.reasoning).filter(|text| !text.is_empty()),
                tool_calls: answer.tool_calls.clone(),
                sealed: sealed(produced, answer.seals),
            };
            self.remember(assistant, produced);
            for call in &answer.tool_calls {
                let Some(result) = self.invoke(call).await else {
                    return TurnEnd::Cancelled;
                };
                self.remember(result, produced);
            }
            emitter.next_answer();
        }
        TurnEnd::Failed(RunFailure {
            class: CallErrorClass::Malformed,
            message: format!("the model kept calling tools for {MAX_ROUNDS} rounds; the run was ended"),
            status: None,
            retry_after: None,
        })
    }

    fn remember(&mut self, message: Message, produced: &mut Produced) {
        produced.rounds.push(message.clone());
        self.messages.push(Arc::new(message));
    }

    async fn invoke(&self, call: &ToolCall) -> Option<Message> {
        let mut span = spans::tool(self.tracer, self.request.trace);
        let output = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return None,
            output = self.tools.invoke(&self.tool_context, call) => output,
        };
        spans::tool_called(&mut span, call, output.as_ref().map(|output| output.content.as_str()));
        let content = output.map_or_else(
            || format!("error: there is no tool named {:?}; answer without it", call.name),
            |output| output.content,
        );
        Some(Message::Tool {
            call_id: call.id.clone(),
            name: Some(call.name.clone()),
            content,
        })
    }

    pub(super) fn call(&self, model: &ModelRef, tools: &Arc<[ToolSpec]>, emitter: &Emitter) -> ModelCall {
        ModelCall {
            model: Arc::clone(&model.model),
            system: self.system.clone(),
            messages: self.messages.clone(),
            tools: Arc::clone(tools),
            tool_choice: self.request.tool_choice.clone(),
            parallel_tool_calls: self.request.parallel_tool_calls,
            sampling: match self.live.models.entry(model) {
                Some(entry) if entry.reasoning => thinking::with_effort(&self.request.sampling, self.thinking),
                _ => Arc::clone(&self.request.sampling),
            },
            stream: self.request.stream || emitter.has_audience(),
            trace: self.request.trace,
        }
    }

    /// One request with one account, repeated while nothing was shown and the budget allows.
    pub(super) async fn attempt(
        &mut self,
        account: &Account,
        model: &ModelRef,
        call: &mut ModelCall,
        gives_way: bool,
        emitter: &mut Emitter,
    ) -> CallEnd {
        let began = Instant::now();
        let mut first_event = None;
        let label = self.live.models.label(model);
        let mut span = spans::model_call(self.tracer, self.request.trace, account, label, call);
        call.trace = span.context();
        let end = self.exchange(account, call, gives_way, &mut first_event, emitter).await;
        let error = match &end {
            CallEnd::Done(_) => None,
            CallEnd::Clean(error) | CallEnd::Torn(error, _) => Some(error.class.as_str()),
            CallEnd::Cancelled(_) => Some(CallErrorClass::Cancelled.as_str()),
        };
        spans::model_called(&mut span, &end, error, first_event.map(|at| at.duration_since(began)));
        drop(span);
        ModelCalled {
            api: account.provider.api(),
            provider: account.provider.id(),
            model: label,
            error,
            first_event: first_event.map(|at: Instant| at.duration_since(began)),
            duration: began.elapsed(),
            tokens: match &end {
                CallEnd::Done(answer) => answer.usage.map(|usage| [usage.prompt(), usage.output]),
                _ => None,
            },
        }
        .emit();
        end
    }

    async fn exchange(
        &mut self,
        account: &Account,
        call: &ModelCall,
        gives_way: bool,
        first_event: &mut Option<Instant>,
        emitter: &mut Emitter,
    ) -> CallEnd {
        let mut answer = Answer::default();
        let opened = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return CallEnd::Cancelled(answer),
            opened = call_until_first_event(account.provider.as_ref(), call, &mut self.budget, gives_way) => opened,
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => return CallEnd::Clean(error),
        };
        *first_event = Some(Instant::now());
        let mut shown = false;
        loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return CallEnd::Cancelled(answer),
                next = stream.next() => next,
            };
            let event = match next {
                Some(Ok(event)) => event,
                Some(Err(error)) if shown => return CallEnd::Torn(error, answer),
                Some(Err(error)) => return CallEnd::Clean(error),
                None => break,
            };
            if let Some(raw) = self.raw_stream {
                raw.note(
                    self.request,
                    account.provider.id(),
                    &call.model,
                    &event,
                    self.clock.now_ms(),
                );
            }
            if let Err(endless) = answer.take(&event) {
                let error = malformed(endless.to_string());
                return if shown {
                    CallEnd::Torn(error, answer)
                } else {
                    CallEnd::Clean(error)
                };
            }
            if matches!(event, ModelEvent::Finish { .. }) {
                break;
            }
            if let ModelEvent::Text(delta) = &event {
                emitter.text(delta);
            }
            if !self.tell(event, &mut shown).await {
                return CallEnd::Cancelled(answer);
            }
        }
        let what = match answer.finish {
            None if shown => "the provider cut the answer",
            None => "the provider ended its answer before it began",
            Some(FinishReason::Stop | FinishReason::ToolCalls) if answer.is_empty() && !call.accepts_empty() => {
                "the provider sent an empty answer"
            }
            Some(_) => return CallEnd::Done(answer),
        };
        let error = malformed(what.to_owned());
        if shown {
            CallEnd::Torn(error, answer)
        } else {
            CallEnd::Clean(error)
        }
    }

    /// Passes an event to the follower. `false`: the follower is gone.
    async fn tell(&self, event: ModelEvent, shown: &mut bool) -> bool {
        let event = match event {
            ModelEvent::Text(delta) => RunEvent::Text(delta),
            ModelEvent::Reasoning(delta) => RunEvent::Reasoning(delta),
            ModelEvent::ToolCallStart { index, id, name } => RunEvent::ToolCallStart { index, id, name },
            ModelEvent::ToolCallArguments { index, delta } => RunEvent::ToolCallArguments { index, delta },
            ModelEvent::Logprobs(object) => RunEvent::Logprobs(object),
            ModelEvent::Seal(_) | ModelEvent::Finish { .. } => return true,
        };
        *shown = true;
        let Some(follower) = &self.follower else { return true };
        match follower.try_send(event) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(event)) => tokio::select! {
                biased;
                () = self.cancel.cancelled() => false,
                sent = follower.send_timeout(event, FOLLOWER_PATIENCE) => sent.is_ok(),
            },
        }
    }
}

fn keep(produced: &mut Produced, answer: Answer) {
    produced.text = answer.text;
    produced.reasoning = answer.reasoning;
    produced.tool_calls = answer.tool_calls;
    produced.seals = answer.seals;
    produced.finish = answer.finish;
}

/// The seals of a finished round, with the model that made them.
fn sealed(produced: &Produced, seals: Vec<Seal>) -> Option<Arc<Sealed>> {
    let model = produced.model.as_ref()?;
    (!seals.is_empty()).then(|| {
        Arc::new(Sealed {
            api: Arc::from(produced.api),
            provider: Arc::clone(&model.provider),
            model: Arc::clone(&model.model),
            seals,
        })
    })
}

fn malformed(message: String) -> CallError {
    CallError {
        class: CallErrorClass::Malformed,
        status: None,
        message,
        retry_after: None,
    }
}

fn failure(error: CallError) -> RunFailure {
    RunFailure {
        class: error.class,
        message: error.message,
        status: error.status,
        retry_after: error.retry_after,
    }
}
