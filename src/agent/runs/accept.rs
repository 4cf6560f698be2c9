//! How a run is let in: registered, placed in its session's lane, stored, then spawned.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{AgentRuns, record_of, store_fault};
use crate::agent::lane::Place;
use crate::agent::request;
use crate::agent::spans;
use crate::agent::table::{ActiveRun, Progress};
use crate::agent::task::{RunTask, begin_command};
use crate::base::RunId;
use crate::domain::run::{Accepted, Conversation, RUN_EVENT_CAPACITY, RunEvent, RunHandle, RunRequest};
use crate::domain::{Fault, FaultKind, Part};
use crate::lifecycle::Phase;
use crate::store::{AcceptOutcome, BeganRun, NewRun};

/// What became of a registration.
enum Registration {
    /// It is ours to accept.
    New(Arc<ActiveRun>),
    /// The same run (or the same text) is live.
    Live(Arc<ActiveRun>),
}

impl AgentRuns {
    /// Lets a run in that was acknowledged before a restart.
    pub(super) fn resume_one(&self, request: RunRequest, accepted_at_ms: i64) -> Result<(), Fault> {
        let active = Arc::new(ActiveRun::new(&request, text_of(&request.input), accepted_at_ms));
        // The same text may wait twice in one session: both were acknowledged, so both run.
        self.0.table.insert_unchecked(&active);
        let place = self.place(&request)?;
        active.progress.send_replace(Progress::Accepted);
        self.spawn(request, active, place);
        Ok(())
    }

    fn place(&self, request: &RunRequest) -> Result<Option<Place>, Fault> {
        match &request.conversation {
            Conversation::Ephemeral(_) => Ok(None),
            Conversation::Durable(key) => self.0.lanes.take(key).map(Some).map_err(|_full| {
                Fault::new(
                    FaultKind::RateLimited,
                    format!("session \"{key}\" has too many waiting messages; retry when some are answered"),
                )
                .with_code("session_queue_full")
                .with_retry_after(Duration::from_secs(5))
            }),
        }
    }

    fn check_open(&self) -> Result<(), Fault> {
        match self.0.lifecycle.phase() {
            Phase::Starting => {
                Err(Fault::unavailable("gateway starting; retry shortly").with_retry_after(Duration::from_millis(500)))
            }
            Phase::Running => Ok(()),
            Phase::Draining | Phase::Stopping => {
                Err(Fault::unavailable("gateway is draining for shutdown; retry shortly")
                    .with_code("draining")
                    .with_retry_after(Duration::from_secs(5)))
            }
        }
    }

    fn register(&self, request: &RunRequest) -> Registration {
        // Only in a session can the same text come twice.
        let text = match &request.conversation {
            Conversation::Durable(_) => text_of(&request.input),
            Conversation::Ephemeral(_) => String::new(),
        };
        let active = Arc::new(ActiveRun::new(request, text, self.0.clock.now_ms()));
        match self.0.table.insert(&active) {
            Ok(()) => {
                self.0.registered.notify_waiters();
                Registration::New(active)
            }
            Err(live) => Registration::Live(live),
        }
    }

    /// Refuses what would cost more than configuration allows. A run that was accepted before costs nothing again.
    async fn check_spend(&self, request: &RunRequest) -> Result<(), Fault> {
        let live = self.0.live.load();
        let now_ms = self.0.clock.now_ms();
        let Err(fault) = self.0.ledger.check(&live.snapshot, &request.agent, now_ms).await else {
            return Ok(());
        };
        match self.0.store.run(request.run_id.as_str()).await {
            Ok(Some(_)) => Ok(()),
            _ => Err(fault),
        }
    }

    pub(super) async fn submit_run(&self, request: RunRequest) -> Result<Accepted, Fault> {
        self.check_open()?;
        self.check_spend(&request).await?;
        loop {
            match self.register(&request) {
                Registration::New(active) => return self.accept(request, active).await,
                Registration::Live(live) => {
                    // Acknowledge a repetition only once the first is on disk.
                    let mut progress = live.progress.subscribe();
                    let state = progress
                        .wait_for(|progress| !matches!(progress, Progress::Accepting))
                        .await
                        .map(|state| state.clone());
                    match state {
                        Ok(Progress::Accepted) => {
                            return Ok(Accepted::InFlight {
                                run_id: live.run_id.clone(),
                                accepted_at_ms: live.accepted_at_ms,
                            });
                        }
                        Ok(Progress::Ended(record)) if live.run_id == request.run_id => {
                            return Ok(Accepted::Done {
                                record: (*record).clone(),
                            });
                        }
                        // Refused, or a twin that just ended: this one stands on its own. It has left the table by now
                        // or is about to; let it.
                        _ => {
                            self.0.table.remove(&live);
                            tokio::task::yield_now().await;
                        }
                    }
                }
            }
        }
    }

    async fn accept(&self, request: RunRequest, active: Arc<ActiveRun>) -> Result<Accepted, Fault> {
        let refuse = |active: &ActiveRun| {
            self.0.table.remove(active);
            active.progress.send_replace(Progress::Refused);
        };
        let place = match self.place(&request) {
            Ok(place) => place,
            Err(fault) => {
                refuse(&active);
                return Err(fault);
            }
        };
        match self
            .0
            .store
            .accept_run(new_run(&request, active.accepted_at_ms), None)
            .await
        {
            Ok(AcceptOutcome::New { .. }) => {
                let accepted_at_ms = active.accepted_at_ms;
                active.progress.send_replace(Progress::Accepted);
                self.spawn(request, active, place);
                Ok(Accepted::New { accepted_at_ms })
            }
            Ok(AcceptOutcome::Denied) => {
                refuse(&active);
                Err(Fault::invalid("send blocked by session policy"))
            }
            Ok(AcceptOutcome::Known(stored)) => {
                refuse(&active);
                if stored.state.is_terminal() {
                    Ok(Accepted::Done {
                        record: record_of(&stored),
                    })
                } else {
                    Ok(Accepted::InFlight {
                        run_id: RunId::new(stored.run_id.as_str()),
                        accepted_at_ms: stored.accepted_at_ms,
                    })
                }
            }
            Err(error) => {
                refuse(&active);
                Err(store_fault(&error))
            }
        }
    }

    pub(super) async fn start_run(&self, request: RunRequest) -> Result<RunHandle, Fault> {
        self.check_open()?;
        self.check_spend(&request).await?;
        let Registration::New(active) = self.register(&request) else {
            return Err(Fault::new(
                FaultKind::Conflict,
                format!("run \"{}\" is already active", request.run_id),
            ));
        };
        let (follower, events) = mpsc::channel(RUN_EVENT_CAPACITY);
        let run_id = request.run_id.clone();
        let leave = |fault: Fault| {
            self.0.table.remove(&active);
            active.progress.send_replace(Progress::Refused);
            fault
        };
        let place = self.place(&request).map_err(leave)?;
        let mut began = None;
        if let Some(place) = &place {
            let begin = place.is_first().then(|| begin_command(&request, active.accepted_at_ms));
            match self
                .0
                .store
                .accept_run(new_run(&request, active.accepted_at_ms), begin)
                .await
            {
                Ok(AcceptOutcome::New { began: begun }) => began = begun,
                Ok(AcceptOutcome::Denied) => return Err(leave(Fault::invalid("send blocked by session policy"))),
                Ok(AcceptOutcome::Known(stored)) => {
                    let message = format!(
                        "run \"{}\" was accepted before (state {})",
                        stored.run_id,
                        stored.state.as_str()
                    );
                    return Err(leave(Fault::new(FaultKind::Conflict, message)));
                }
                Err(error) => return Err(leave(store_fault(&error))),
            }
        }
        active.progress.send_replace(Progress::Accepted);
        let abort = active.cancel.clone().drop_guard();
        let is_ephemeral = place.is_none();
        let task = self.task(request, active, place, began, Some(follower));
        let tasks = self.0.lifecycle.tasks.clone();
        if is_ephemeral {
            let finish = Box::new(move |work| drop(tasks.spawn(work)));
            return Ok(RunHandle::driven(run_id, events, abort, Box::pin(task.run()), finish));
        }
        tasks.spawn(task.run());
        Ok(RunHandle::spawned(run_id, events, Some(abort)))
    }

    fn task(
        &self,
        mut request: RunRequest,
        active: Arc<ActiveRun>,
        place: Option<Place>,
        began: Option<BeganRun>,
        follower: Option<mpsc::Sender<RunEvent>>,
    ) -> RunTask {
        let span = spans::run(&self.0.tracer, &request);
        request.trace = span.context();
        RunTask {
            inner: Arc::clone(&self.0),
            live: self.0.live.load(),
            request,
            active,
            place,
            began,
            follower,
            span,
        }
    }

    fn spawn(&self, request: RunRequest, active: Arc<ActiveRun>, place: Option<Place>) {
        let task = self.task(request, active, place, None, None);
        self.0.lifecycle.tasks.spawn(task.run());
    }
}

fn new_run(request: &RunRequest, now_ms: i64) -> NewRun {
    NewRun {
        run_id: request.run_id.to_string(),
        session_key: request.conversation.key().to_string(),
        agent_id: request.agent.to_string(),
        source: request.source.as_str(),
        send_allowed: request.send_allowed,
        request: request::to_json(request),
        now_ms,
    }
}

fn text_of(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image { .. } | Part::Audio { .. } => None,
        })
        .collect();
    texts.join("\n")
}
