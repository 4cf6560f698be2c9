//! One run from its turn in the lane to its reported end.
//!
//! Order of effects: user message on disk, model call, answer on disk, end reported, lane released.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::emit::Emitter;
use super::lane::Place;
use super::prompt::system_prompt;
use super::report;
use super::runs::{Inner, store_fault};
use super::table::{ActiveRun, Progress};
use super::turn::{Produced, Turn, TurnEnd};
use crate::config::AgentProfile;
use crate::domain::Message;
use crate::domain::model::{CallErrorClass, FinishReason, ModelRef, Usage};
use crate::domain::run::{Conversation, RunEnd, RunEvent, RunFailure, RunOutcome, RunRequest, RunSource};
use crate::domain::tool::ToolContext;
use crate::live::Live;
use crate::models::retry::RetryBudget;
use crate::sessions::{history, rows, transcript};
use crate::store::{BeganRun, BeginRun, FinishRun, FinishedRun, NewMessage, StoreError};
use crate::telemetry::names;

/// Pause before storage is tried again for a run that was already acknowledged.
const STORAGE_RETRY: Duration = Duration::from_secs(1);

/// How often an answer is offered to failing storage before the run is reported as failed.
const FINISH_ATTEMPTS: u32 = 4;

/// The run's task.
pub(super) struct RunTask {
    pub(super) inner: Arc<Inner>,
    pub(super) live: Arc<Live>,
    pub(super) request: RunRequest,
    pub(super) active: Arc<ActiveRun>,
    pub(super) place: Option<Place>,
    pub(super) began: Option<BeganRun>,
    pub(super) follower: Option<mpsc::Sender<RunEvent>>,
}

/// The command that starts the run's turn in storage.
pub(super) fn begin_command(request: &RunRequest, now_ms: i64) -> BeginRun {
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
    /// Runs to the end. Never panics out; always leaves the table and the lane.
    pub(super) async fn run(self) {
        let span = tracing::info_span!(
            target: "agent", "run",
            run_id = %self.request.run_id,
            agent = %self.request.agent,
            source = self.request.source.as_str(),
        );
        self.work().instrument(span).await;
    }

    async fn work(mut self) {
        let waited = Instant::now();
        if !self.wait_for_turn().await {
            return self.leave_queue().await;
        }
        metrics::histogram!(names::LANE_WAIT, "lane" => "session").record(waited.elapsed().as_secs_f64());
        // The permit is held to the end of the work.
        let permit = tokio::select! {
            biased;
            () = self.active.cancel.cancelled() => None,
            permit = self.inner.lanes.work() => permit,
        };
        if permit.is_none() {
            return self.leave_queue().await;
        }
        if let Err(error) = self.begin().await {
            return self.refuse(&error).await;
        }
        self.active.set_working();
        let mut emitter = self.emitter();
        let started_at_ms = self.inner.clock.now_ms();
        if self.is_durable() {
            self.announce_begin(&emitter).await;
        }
        emitter.started(started_at_ms);

        let mut produced = Produced::default();
        let began = Instant::now();
        let end = self.model_work(&mut emitter, &mut produced).await;
        drop(permit);
        let ended_at_ms = self.inner.clock.now_ms().max(started_at_ms);
        let mut outcome = RunOutcome {
            end,
            text: std::mem::take(&mut produced.text),
            reasoning: std::mem::take(&mut produced.reasoning),
            tool_calls: std::mem::take(&mut produced.tool_calls),
            finish: produced.finish.unwrap_or(FinishReason::Stop),
            usage: produced.usage,
            model: produced.model.clone(),
            started_at_ms,
            ended_at_ms,
        };
        let session_id = self.began.as_ref().map(|began| began.session_id.clone());
        let result = (self.request.source == RunSource::Agent)
            .then(|| report::agent_result(&self.request, &outcome, &self.live, session_id.as_deref()));
        let mut finished = FinishedRun::default();
        let mut kept = Vec::new();
        if self.is_durable() {
            kept = self.kept_messages(&outcome, &produced);
            match self.finish(&outcome, kept.clone(), result.clone()).await {
                Ok(stored) => finished = stored,
                Err(error) => {
                    outcome.end = RunEnd::Failed(RunFailure {
                        class: CallErrorClass::Server,
                        message: error.to_string(),
                        status: None,
                        retry_after: None,
                    });
                }
            }
        }
        report::record_metrics(&self.request, &outcome, began.elapsed());
        let record = Arc::new(report::record(&self.request, &self.active, &outcome, result));
        if let Some(follower) = self.follower.take() {
            // The follower may have gone; the run ended all the same.
            follower
                .send_timeout(RunEvent::Finished(Box::new(outcome.clone())), Duration::from_secs(10))
                .await
                .unwrap_or_default();
        }
        match &outcome.end {
            RunEnd::Completed => emitter.completed(ended_at_ms),
            RunEnd::Aborted(reason) => emitter.aborted(reason, started_at_ms, ended_at_ms),
            RunEnd::TimedOut => emitter.aborted("timeout", started_at_ms, ended_at_ms),
            RunEnd::Failed(failure) => {
                emitter.failed(&failure.message, Some(failure.class.as_str()), ended_at_ms);
            }
        }
        if self.is_durable() && emitter.has_session_audience() {
            self.announce_end(&emitter, &outcome, &kept, &finished).await;
        }
        self.leave(Progress::Ended(record));
    }

    fn is_durable(&self) -> bool {
        matches!(self.request.conversation, Conversation::Durable(_))
    }

    fn leave(&self, progress: Progress) {
        self.inner.table.remove(&self.active);
        self.active.progress.send_replace(progress);
    }

    fn emitter(&self) -> Emitter {
        Emitter::new(
            Arc::clone(&self.inner.publisher),
            Arc::clone(&self.inner.clock),
            self.request.run_id.clone(),
            self.request.conversation.key().clone(),
            self.request.key_as_sent.clone(),
        )
    }

    /// Waits for the lane. `false`: stopped, or the process drains and this run stays on disk for the next start.
    async fn wait_for_turn(&mut self) -> bool {
        let stays_for_restart = self.follower.is_none();
        let mut phases = self.inner.lifecycle.watch();
        let Some(place) = self.place.as_mut() else { return true };
        tokio::select! {
            biased;
            () = self.active.cancel.cancelled() => false,
            _ = phases.wait_for(|phase| stays_for_restart && *phase >= crate::lifecycle::Phase::Draining) => false,
            () = place.turn() => true,
        }
    }

    /// Ends a run that never got its turn.
    async fn leave_queue(mut self) {
        if !self.active.cancel.is_cancelled() {
            // Draining: accepted on disk, resumed by the next process.
            return self.leave(Progress::Refused);
        }
        let reason = self.active.stop_reason();
        if reason == "shutdown" && self.follower.is_none() {
            return self.leave(Progress::Refused);
        }
        let now_ms = self.inner.clock.now_ms();
        let outcome = RunOutcome {
            end: RunEnd::Aborted(reason),
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: Usage::default(),
            model: None,
            started_at_ms: now_ms,
            ended_at_ms: now_ms,
        };
        if self.is_durable() {
            // An acknowledged message belongs to the history even if nobody will answer it.
            let begun = if self.follower.is_none() {
                self.begin().await
            } else {
                Ok(())
            };
            let stored = match begun {
                Ok(()) => self.finish(&outcome, Vec::new(), None).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                tracing::warn!(target: "agent", %error, "abort of a waiting run could not be stored");
            }
        }
        let mut emitter = self.emitter();
        emitter.aborted(reason, now_ms, now_ms);
        let record = report::record(&self.request, &self.active, &outcome, None);
        if let Some(follower) = self.follower.take() {
            follower
                .try_send(RunEvent::Finished(Box::new(outcome)))
                .unwrap_or_default();
        }
        self.leave(Progress::Ended(Arc::new(record)));
    }

    /// Puts the user's message on disk. A run that was acknowledged waits for storage to come back.
    async fn begin(&mut self) -> Result<(), StoreError> {
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

    /// Storage refused the start; nothing was shown yet.
    async fn refuse(mut self, error: &StoreError) {
        let now_ms = self.inner.clock.now_ms();
        let outcome = RunOutcome {
            end: RunEnd::Failed(RunFailure {
                class: CallErrorClass::Server,
                message: store_fault(error).message,
                status: None,
                retry_after: Some(Duration::from_secs(2)),
            }),
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: Usage::default(),
            model: None,
            started_at_ms: now_ms,
            ended_at_ms: now_ms,
        };
        if let Some(follower) = self.follower.take() {
            follower
                .send_timeout(RunEvent::Finished(Box::new(outcome.clone())), Duration::from_secs(10))
                .await
                .unwrap_or_default();
        }
        self.leave(Progress::Ended(Arc::new(report::record(
            &self.request,
            &self.active,
            &outcome,
            None,
        ))));
    }

    async fn model_work(&self, emitter: &mut Emitter, produced: &mut Produced) -> RunEnd {
        let failed = |class, message: String| {
            RunEnd::Failed(RunFailure {
                class,
                message,
                status: None,
                retry_after: None,
            })
        };
        let snapshot = &self.live.snapshot;
        let Some(profile) = snapshot.agent(self.request.agent.as_str()) else {
            let message = format!("agent \"{}\" no longer exists in configuration", self.request.agent);
            return failed(CallErrorClass::NotConfigured, message);
        };
        let candidates = self.candidates(profile);
        let messages = match self.context(profile, candidates.first()).await {
            Ok(messages) => messages,
            Err(error) => return failed(CallErrorClass::Server, error.to_string()),
        };
        let turn = Turn {
            live: &self.live,
            request: &self.request,
            candidates,
            system: system_prompt(profile, self.request.extra_system.as_deref()),
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

    async fn context(&self, profile: &AgentProfile, model: Option<&ModelRef>) -> Result<Vec<Arc<Message>>, StoreError> {
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
        let input = (!self.request.input.is_empty()).then(|| Message::User {
            parts: self.request.input.clone(),
        });
        Ok(self
            .request
            .supplied_history
            .iter()
            .chain(&self.request.tool_results)
            .cloned()
            .chain(input)
            .map(Arc::new)
            .collect())
    }

    fn kept_messages(&self, outcome: &RunOutcome, produced: &Produced) -> Vec<NewMessage> {
        let now_ms = outcome.ended_at_ms;
        let mut kept: Vec<NewMessage> = produced
            .rounds
            .iter()
            .filter_map(|message| transcript::from_model(message, now_ms))
            .collect();
        if !outcome.text.is_empty() || !outcome.tool_calls.is_empty() {
            kept.push(transcript::assistant_message(outcome, produced.api, self.cost(outcome)));
        }
        kept
    }

    fn cost(&self, outcome: &RunOutcome) -> f64 {
        let entry = outcome.model.as_ref().and_then(|model| self.live.models.entry(model));
        let usage = &outcome.usage;
        let tokens = [usage.input, usage.output, usage.cache_read, usage.cache_write];
        entry.map_or(0.0, |entry| rows::cost_usd(tokens, entry.cost))
    }

    async fn finish(
        &self,
        outcome: &RunOutcome,
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

    async fn row(&self) -> Option<Value> {
        match self.inner.store.session(self.request.conversation.key().as_str()).await {
            Ok(row) => row.map(|row| rows::wire_row(&row, &self.live.snapshot, &self.live.models)),
            Err(error) => {
                tracing::warn!(target: "agent", %error, "session row could not be read for its subscribers");
                None
            }
        }
    }

    async fn announce_begin(&self, emitter: &Emitter) {
        if !emitter.has_session_audience() {
            return;
        }
        let Some(began) = &self.began else { return };
        let row = self.row().await;
        let sent = begin_command(&self.request, self.inner.clock.now_ms());
        for (message, appended) in sent.messages.iter().zip(&began.messages) {
            let view = transcript::marked(&message.body, &appended.id, appended.seq);
            emitter.stored_message(&view, &appended.id, appended.seq, row.as_ref());
        }
        emitter.session_phase("start", row.as_ref());
    }

    async fn announce_end(&self, emitter: &Emitter, outcome: &RunOutcome, kept: &[NewMessage], finished: &FinishedRun) {
        let row = self.row().await;
        let phase = if matches!(outcome.end, RunEnd::Failed(_)) {
            "error"
        } else {
            "end"
        };
        emitter.session_phase(phase, row.as_ref());
        for (message, appended) in kept.iter().zip(&finished.messages) {
            let view = transcript::marked(&message.body, &appended.id, appended.seq);
            emitter.stored_message(&view, &appended.id, appended.seq, row.as_ref());
        }
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
