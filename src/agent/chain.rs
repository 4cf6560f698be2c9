//! Who is asked for an answer: the models of a chain in order, each with its accounts, within one budget of calls.

use std::sync::Arc;

use super::answer::Answer;
use super::emit::Emitter;
use super::rotation::Rotation;
use super::turn::{CallEnd, Produced, Turn};
use crate::domain::model::{CallError, CallErrorClass, ModelRef, ToolSpec};
use crate::telemetry::events::ModelFailedOver;

impl Turn<'_> {
    /// One answer: candidates in order, within the run's one retry budget.
    pub(super) async fn answer(
        &mut self,
        tools: &Arc<[ToolSpec]>,
        emitter: &mut Emitter,
        produced: &mut Produced,
    ) -> CallEnd {
        let mut last = not_configured("no model is configured: set agents.defaults.model and models.providers");
        let mut candidates = std::mem::take(&mut self.candidates);
        for at in 0..candidates.len() {
            let Some(candidate) = candidates.get(at) else { break };
            let further = candidates.len() - at - 1;
            match self.ask(candidate, further, tools, emitter, produced).await {
                CallEnd::Clean(error) => last = error,
                CallEnd::Done(answer) => {
                    // Later rounds stay with the model that answered, and fall back from there.
                    self.candidates = candidates.split_off(at);
                    self.budget.succeeded();
                    produced.last_call = answer.usage.unwrap_or_default();
                    produced.usage += produced.last_call;
                    return CallEnd::Done(answer);
                }
                end => return end,
            }
            // Another model would be given the same too long conversation.
            if last.class == CallErrorClass::ContextOverflow || self.budget.is_spent() {
                break;
            }
            if let Some(next) = candidates.get(at + 1) {
                ModelFailedOver {
                    from: (&candidate.provider, self.live.models.label(candidate)),
                    to: (&next.provider, self.live.models.label(next)),
                    reason: last.class.as_str(),
                }
                .emit();
            }
        }
        CallEnd::Clean(last)
    }

    /// One model: its accounts in order. `further` models come after it.
    async fn ask(
        &mut self,
        model: &ModelRef,
        further: usize,
        tools: &Arc<[ToolSpec]>,
        emitter: &mut Emitter,
        produced: &mut Produced,
    ) -> CallEnd {
        let live = self.live;
        let accounts = live.models.accounts(model, self.clock.now_ms());
        let mut call = self.call(model, tools, emitter);
        let mut rotation = Rotation::new(live.models.rest_policy(model), further > 0);
        let mut last = not_configured(&format!("model provider \"{}\" is not configured", model.provider));
        for (at, account) in accounts.iter().enumerate() {
            let left = accounts.len() - at - 1;
            produced.model = Some(model.clone());
            produced.api = account.provider.api();
            self.budget.next_candidate(left + further);
            match self.attempt(account, model, &mut call, left > 0, emitter).await {
                CallEnd::Clean(error) => last = error,
                end => {
                    if matches!(end, CallEnd::Done(_)) {
                        live.models.succeeded(account);
                    }
                    return end;
                }
            }
            live.models.failed(account, model, &last, self.clock.now_ms());
            let Some(pause) = rotation
                .next(last.class)
                .filter(|_| left > 0 && !self.budget.is_spent())
            else {
                break;
            };
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return CallEnd::Cancelled(Answer::default()),
                () = tokio::time::sleep(pause) => {}
            }
        }
        CallEnd::Clean(last)
    }
}

fn not_configured(message: &str) -> CallError {
    CallError {
        class: CallErrorClass::NotConfigured,
        status: None,
        message: message.to_owned(),
        retry_after: None,
    }
}
