//! The model work of the run: which models, with what context, until when.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::RunTask;
use crate::agent::emit::Emitter;
use crate::agent::prompt::system_prompt;
use crate::agent::thinking;
use crate::agent::turn::{Produced, Turn, TurnEnd};
use crate::config::AgentProfile;
use crate::domain::Message;
use crate::domain::model::{CallErrorClass, ModelRef};
use crate::domain::run::{RunEnd, RunFailure};
use crate::domain::tool::ToolContext;
use crate::models::retry::RetryBudget;
use crate::sessions::{history, rows};
use crate::store::StoreError;

impl RunTask {
    pub(super) async fn model_work(&mut self, emitter: &mut Emitter, produced: &mut Produced) -> RunEnd {
        let failed = |class, message: String| {
            RunEnd::Failed(RunFailure {
                class,
                message,
                status: None,
                retry_after: None,
            })
        };
        let live = Arc::clone(&self.live);
        let Some(profile) = live.snapshot.agent(self.request.agent.as_str()) else {
            let message = format!("agent \"{}\" no longer exists in configuration", self.request.agent);
            return failed(CallErrorClass::NotConfigured, message);
        };
        let candidates = self.candidates(profile);
        let messages = match self.context(profile, candidates.first()).await {
            Ok(messages) => messages,
            Err(error) => return failed(CallErrorClass::Server, error.to_string()),
        };
        let turn = Turn {
            live: &live,
            request: &self.request,
            candidates,
            system: system_prompt(profile, self.request.extra_system.as_deref()),
            thinking: thinking::level(&self.request, self.began.as_ref().map(|began| &began.settings), profile),
            messages,
            tools: self.inner.tools.as_ref(),
            tool_context: ToolContext {
                agent: self.request.agent.clone(),
                session: self.request.conversation.key().clone(),
                run: self.request.run_id.clone(),
            },
            budget: RetryBudget::new(self.inner.retry),
            follower: self.follower.clone(),
            cancel: &self.active.cancel,
            raw_stream: self.inner.raw_stream.as_ref(),
            clock: self.inner.clock.as_ref(),
            tracer: &self.inner.tracer,
        };
        let deadline = self.request.timeout.or(profile.run_timeout);
        let work = AssertUnwindSafe(turn.run(emitter, produced)).catch_unwind();
        tokio::pin!(work);
        let mut timed_out = false;
        let end = loop {
            tokio::select! {
                biased;
                end = &mut work => break end,
                () = sleep_or_never(deadline), if !timed_out => {
                    timed_out = true;
                    self.active.stop("timeout");
                }
            }
        };
        match end {
            Ok(TurnEnd::Answered) => RunEnd::Completed,
            Ok(TurnEnd::Cancelled) if timed_out => RunEnd::TimedOut,
            Ok(TurnEnd::Cancelled) => RunEnd::Aborted(self.active.stop_reason()),
            Ok(TurnEnd::Failed(failure)) => RunEnd::Failed(failure),
            Err(_panic) => {
                tracing::error!(target: "agent", "the run panicked; it is reported as failed");
                failed(CallErrorClass::Server, "internal error".to_owned())
            }
        }
    }

    /// Models to try, in order. A model that somebody chose is not replaced by another.
    fn candidates(&self, profile: &AgentProfile) -> Vec<ModelRef> {
        let models = &self.live.models;
        if let Some(chosen) = &self.request.model {
            return vec![chosen.clone()];
        }
        if let Some(chosen) = self
            .began
            .as_ref()
            .and_then(|began| rows::model_override(&began.settings, models))
        {
            return vec![chosen];
        }
        let configured = profile.model.primary.iter().chain(&profile.model.fallbacks);
        let candidates: Vec<ModelRef> = configured.filter_map(|name| models.resolve(name)).collect();
        if candidates.is_empty() && profile.model.primary.is_none() {
            return models.default_model().into_iter().collect();
        }
        candidates
    }

    async fn context(
        &mut self,
        profile: &AgentProfile,
        model: Option<&ModelRef>,
    ) -> Result<Vec<Arc<Message>>, StoreError> {
        if self.is_durable() && self.request.supplied_history.is_empty() {
            const DEFAULT_WINDOW: u64 = 32_000;
            const CHARS_PER_TOKEN: u64 = 3;
            let window = model
                .and_then(|model| self.live.models.entry(model))
                .map_or(DEFAULT_WINDOW, |entry| {
                    entry.context_window.saturating_sub(entry.max_tokens).max(1_000)
                });
            let budget = usize::try_from(window.saturating_mul(CHARS_PER_TOKEN)).unwrap_or(usize::MAX);
            return history::model_context(
                &self.inner.store,
                self.request.conversation.key(),
                profile.context_messages,
                budget,
            )
            .await;
        }
        // Taken, not copied: what is to be kept of it is on disk by now.
        let request = &mut self.request;
        let input = std::mem::take(&mut request.input);
        let history = std::mem::take(&mut request.supplied_history);
        let results = std::mem::take(&mut request.tool_results);
        let input = (!input.is_empty()).then_some(Message::User { parts: input });
        Ok(history.into_iter().chain(results).chain(input).map(Arc::new).collect())
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
