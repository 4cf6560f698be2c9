//! What the run leaves in storage: its messages when it begins, its answer and end when it is over.

use std::time::Duration;

use serde_json::Value;

use super::RunTask;
use crate::agent::report;
use crate::agent::turn::Produced;
use crate::domain::run::{RunOutcome, RunRequest};
use crate::sessions::{rows, transcript};
use crate::store::{BeginRun, FinishRun, FinishedRun, NewMessage, StoreError};

/// Pause before storage is tried again for a run that was already acknowledged.
const STORAGE_RETRY: Duration = Duration::from_secs(1);

/// How often an answer is offered to failing storage before the run is reported as failed.
const FINISH_ATTEMPTS: u32 = 4;

/// The command that starts the run's turn in storage.
pub(in crate::agent) fn begin_command(request: &RunRequest, now_ms: i64) -> BeginRun {
    let mut messages: Vec<NewMessage> = request
        .tool_results
        .iter()
        .filter_map(|message| transcript::from_model(message, now_ms))
        .collect();
    if !request.input.is_empty() {
        messages.push(transcript::user_message(&request.input, now_ms));
    }
    BeginRun {
        run_id: request.run_id.to_string(),
        session_key: request.conversation.key().to_string(),
        agent_id: request.agent.to_string(),
        messages,
        now_ms,
    }
}

impl RunTask {
    /// Puts the user's message on disk. A run that was acknowledged waits for storage to come back.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        if !self.is_durable() || self.began.is_some() {
            return Ok(());
        }
        loop {
            let command = begin_command(&self.request, self.inner.clock.now_ms());
            match self.inner.store.begin_run(command).await {
                Ok(began) => {
                    self.began = Some(began);
                    return Ok(());
                }
                Err(error)
                    if self.follower.is_some() || self.inner.lifecycle.is_draining() || !error.is_transient() =>
                {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(target: "agent", %error, "storage refuses the start of an accepted run; trying again");
                    tokio::select! {
                        biased;
                        () = self.active.cancel.cancelled() => return Err(error),
                        () = tokio::time::sleep(STORAGE_RETRY) => {}
                    }
                }
            }
        }
    }

    pub(super) fn kept_messages(&self, outcome: &RunOutcome, produced: &Produced) -> Vec<NewMessage> {
        let now_ms = outcome.ended_at_ms;
        let mut kept: Vec<NewMessage> = produced
            .rounds
            .iter()
            .filter_map(|message| transcript::from_model(message, now_ms))
            .collect();
        if !outcome.text.is_empty() || !outcome.tool_calls.is_empty() {
            let cost = self.cost(outcome);
            kept.push(transcript::assistant_message(
                outcome,
                produced.api,
                &produced.seals,
                cost,
            ));
        }
        kept
    }

    pub(super) fn cost(&self, outcome: &RunOutcome) -> f64 {
        let entry = outcome.model.as_ref().and_then(|model| self.live.models.entry(model));
        let usage = &outcome.usage;
        let tokens = [usage.input, usage.output, usage.cache_read, usage.cache_write];
        entry.map_or(0.0, |entry| rows::cost_usd(tokens, entry.cost))
    }

    pub(super) async fn finish(
        &self,
        outcome: &RunOutcome,
        prompt_tokens: u64,
        messages: Vec<NewMessage>,
        result: Option<Value>,
    ) -> Result<FinishedRun, StoreError> {
        let (state, error, stop_reason) = report::stored_end(&outcome.end);
        let usage = &outcome.usage;
        let command = FinishRun {
            run_id: self.request.run_id.to_string(),
            session_key: self.request.conversation.key().to_string(),
            state,
            messages,
            usage: [usage.input, usage.output, usage.cache_read, usage.cache_write],
            prompt_tokens,
            model: outcome
                .model
                .as_ref()
                .map(|model| (model.provider.to_string(), model.model.to_string())),
            error,
            stop_reason,
            result: result.map(|value| value.to_string()),
            now_ms: outcome.ended_at_ms,
        };
        let mut attempt = 1;
        loop {
            match self.inner.store.finish_run(command.clone()).await {
                Ok(finished) => return Ok(finished),
                Err(error) if attempt >= FINISH_ATTEMPTS => {
                    self.finish_later(command);
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(target: "agent", %error, attempt, "the end of a run could not be stored; trying again");
                    tokio::time::sleep(Duration::from_millis(150) * attempt).await;
                    attempt += 1;
                }
            }
        }
    }

    /// Keeps offering the end of the run to storage, so that its session does not stay `running`.
    fn finish_later(&self, command: FinishRun) {
        let store = self.inner.store.clone();
        let stop = self.inner.lifecycle.stop.clone();
        self.inner.lifecycle.tasks.spawn(async move {
            while store.finish_run(command.clone()).await.is_err() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(STORAGE_RETRY) => {}
                }
            }
        });
    }
}
