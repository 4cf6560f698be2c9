//! One run from its turn in the lane to its reported end.
//!
//! Order of effects: user message on disk, model call, answer on disk, end reported, lane released.

mod announce;
mod model;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

pub(super) use self::storage::begin_command;
use super::emit::Emitter;
use super::lane::Place;
use super::runs::{Inner, store_fault};
use super::table::{ActiveRun, Progress};
use super::turn::Produced;
use super::{report, spans};
use crate::domain::model::{CallErrorClass, FinishReason};
use crate::domain::run::{Conversation, RunEnd, RunEvent, RunFailure, RunOutcome, RunRequest, RunSource};
use crate::live::Live;
use crate::store::{BeganRun, FinishedRun, StoreError};
use crate::telemetry::events::SessionState;
use crate::telemetry::names;
use crate::telemetry::span::Span;

/// The run's task.
pub(super) struct RunTask {
    pub(super) inner: Arc<Inner>,
    pub(super) live: Arc<Live>,
    pub(super) request: RunRequest,
    pub(super) active: Arc<ActiveRun>,
    pub(super) place: Option<Place>,
    pub(super) began: Option<BeganRun>,
    pub(super) follower: Option<mpsc::Sender<RunEvent>>,
    /// Ends with the task.
    pub(super) span: Span,
}

impl RunTask {
    /// Runs to the end. Never panics out; always leaves the table and the lane.
    pub(super) async fn run(self) {
        let span = tracing::info_span!(
            target: "agent", "run",
            run_id = %self.request.run_id,
            agent = %self.request.agent,
            source = self.request.source.as_str(),
            traceId = tracing::field::Empty,
            spanId = tracing::field::Empty,
        );
        if let Some(trace) = self.request.trace {
            span.record("traceId", hex::encode(trace.trace_id));
            span.record("spanId", hex::encode(trace.span_id));
        }
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
            SessionState::Processing.emit();
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
        let model = outcome.model.as_ref();
        let prices = model
            .and_then(|model| self.live.models.entry(model))
            .map(|entry| entry.cost);
        self.inner
            .ledger
            .record(
                &self.live.snapshot,
                &self.request.agent,
                outcome.usage,
                prices,
                ended_at_ms,
            )
            .await;
        let session_id = self.began.as_ref().map(|began| began.session_id.clone());
        let result = (self.request.source == RunSource::Agent).then(|| {
            let prompt_tokens = produced.last_call.prompt();
            report::agent_result(
                &self.request,
                &outcome,
                prompt_tokens,
                &self.live,
                session_id.as_deref(),
            )
        });
        let mut finished = FinishedRun::default();
        let mut kept = Vec::new();
        if self.is_durable() {
            kept = self.kept_messages(&outcome, &produced);
            match self
                .finish(&outcome, produced.last_call.prompt(), kept.clone(), result.clone())
                .await
            {
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
        let label = outcome
            .model
            .as_ref()
            .map_or("none", |model| self.live.models.label(model));
        report::record_metrics(&self.request, &outcome, label, self.cost(&outcome), began.elapsed());
        spans::run_ended(&mut self.span, &outcome, label);
        if self.is_durable() {
            SessionState::Idle(report::outcome_name(&outcome.end)).emit();
        }
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
        if !place.is_first() {
            SessionState::Waiting.emit();
        }
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
        let outcome = RunOutcome::without_work(RunEnd::Aborted(reason), now_ms);
        if self.is_durable() {
            // An acknowledged message belongs to the history even if nobody will answer it.
            let begun = if self.follower.is_none() {
                self.begin().await
            } else {
                Ok(())
            };
            let stored = match begun {
                Ok(()) => self.finish(&outcome, 0, Vec::new(), None).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                tracing::warn!(target: "agent", %error, "abort of a waiting run could not be stored");
            }
        }
        spans::run_ended(&mut self.span, &outcome, "none");
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

    /// Storage refused the start; nothing was shown yet.
    async fn refuse(mut self, error: &StoreError) {
        let now_ms = self.inner.clock.now_ms();
        let failure = RunFailure {
            class: CallErrorClass::Server,
            message: store_fault(error).message,
            status: None,
            retry_after: Some(Duration::from_secs(2)),
        };
        let outcome = RunOutcome::without_work(RunEnd::Failed(failure), now_ms);
        spans::run_ended(&mut self.span, &outcome, "none");
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
}
