//! The front of the run loop: accept, follow, stop, wait, resume.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::lane::{Lanes, Place};
use super::request;
use super::table::{ActiveRun, Progress, RunTable};
use super::task::RunTask;
use crate::base::{Clock, RunId};
use crate::domain::event::Publisher;
use crate::domain::run::{
    AbortReport, AbortRequest, Accepted, ActiveRuns, Conversation, PortFuture, RUN_EVENT_CAPACITY, RunEvent, RunHandle,
    RunRecord, RunRequest, Runs,
};
use crate::domain::tool::Tools;
use crate::domain::{Fault, FaultKind, Part};
use crate::lifecycle::{Lifecycle, Phase};
use crate::live::LiveHandle;
use crate::models::retry::RetryPolicy;
use crate::store::{AcceptOutcome, BeganRun, NewRun, Recovery, Store, StoreError, StoredRun};

/// How long an abort waits for the run to report its end.
const ABORT_DEADLINE: Duration = Duration::from_secs(10);

/// What the run loop works with.
pub struct AgentRunsDeps {
    /// Durable state.
    pub store: Store,
    /// Configuration and models.
    pub live: LiveHandle,
    /// Where events go.
    pub publisher: Arc<dyn Publisher>,
    /// Server tools.
    pub tools: Arc<dyn Tools>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Life of the process.
    pub lifecycle: Lifecycle,
    /// Most runs at work at once.
    pub max_concurrent: usize,
}

/// The run loop; cheap to clone.
#[derive(Clone)]
pub struct AgentRuns(Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) live: LiveHandle,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) tools: Arc<dyn Tools>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifecycle: Lifecycle,
    pub(super) lanes: Lanes,
    pub(super) table: RunTable,
    pub(super) retry: RetryPolicy,
    /// Wakes waiters for runs that were not known when they asked.
    registered: Notify,
}

/// What became of a registration.
enum Registration {
    /// It is ours to accept.
    New(Arc<ActiveRun>),
    /// The same run (or the same text) is live.
    Live(Arc<ActiveRun>),
}

impl AgentRuns {
    /// Builds the loop; nothing runs yet.
    pub fn new(deps: AgentRunsDeps) -> Self {
        Self(Arc::new(Inner {
            store: deps.store,
            live: deps.live,
            publisher: deps.publisher,
            tools: deps.tools,
            clock: deps.clock,
            lifecycle: deps.lifecycle,
            lanes: Lanes::new(deps.max_concurrent),
            table: RunTable::default(),
            retry: RetryPolicy::default(),
            registered: Notify::new(),
        }))
    }

    /// Starts what an earlier process accepted and never began, and reports what it left half-done.
    pub fn resume(&self, recovery: &Recovery) {
        for run in &recovery.interrupted {
            tracing::warn!(target: "agent", run_id = %run.run_id, session = %run.session_key,
                "run was interrupted by the end of the previous process; it is marked and not repeated");
        }
        for stored in &recovery.pending {
            let Some(request) = request::from_stored(stored) else {
                tracing::error!(target: "agent", run_id = %stored.run_id, "accepted run cannot be read; it is left as it is");
                continue;
            };
            match self.resume_one(request, stored.accepted_at_ms) {
                Ok(()) => tracing::info!(target: "agent", run_id = %stored.run_id, session = %stored.session_key,
                    "resuming a run that was accepted before the restart"),
                Err(fault) => tracing::error!(target: "agent", run_id = %stored.run_id, error = %fault,
                    "accepted run could not be resumed; it stays for the next start"),
            }
        }
    }

    fn resume_one(&self, request: RunRequest, accepted_at_ms: i64) -> Result<(), Fault> {
        let active = Arc::new(ActiveRun::new(&request, text_of(&request.input), accepted_at_ms));
        // The same text may wait twice in one session: both were acknowledged, so both run.
        self.0.table.insert_unchecked(&active);
        let place = self.place(&request)?;
        active.progress.send_replace(Progress::Accepted);
        self.spawn(request, active, place);
        Ok(())
    }

    /// Changes how many runs may be at work at once.
    pub fn set_max_concurrent(&self, bound: usize) {
        self.0.lanes.resize(bound, &self.0.lifecycle.tasks);
    }

    /// Runs that the end of the process has to wait for: those at work, and those somebody follows.
    pub fn live_count(&self) -> usize {
        self.0.table.all().len()
    }

    /// Stops every run that is still at work; each reports its end with reason `shutdown`.
    pub fn stop_all(&self) {
        for run in self.0.table.all() {
            run.stop("shutdown");
        }
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
        let active = Arc::new(ActiveRun::new(request, text_of(&request.input), self.0.clock.now_ms()));
        match self.0.table.insert(&active) {
            Ok(()) => {
                self.0.registered.notify_waiters();
                Registration::New(active)
            }
            Err(live) => Registration::Live(live),
        }
    }

    async fn submit_run(&self, request: RunRequest) -> Result<Accepted, Fault> {
        self.check_open()?;
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

    async fn start_run(&self, request: RunRequest) -> Result<RunHandle, Fault> {
        self.check_open()?;
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
            let begin = place
                .is_first()
                .then(|| super::task::begin_command(&request, active.accepted_at_ms));
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
        request: RunRequest,
        active: Arc<ActiveRun>,
        place: Option<Place>,
        began: Option<BeganRun>,
        follower: Option<mpsc::Sender<RunEvent>>,
    ) -> RunTask {
        RunTask {
            inner: Arc::clone(&self.0),
            live: self.0.live.load(),
            request,
            active,
            place,
            began,
            follower,
        }
    }

    fn spawn(&self, request: RunRequest, active: Arc<ActiveRun>, place: Option<Place>) {
        let task = self.task(request, active, place, None, None);
        self.0.lifecycle.tasks.spawn(task.run());
    }

    async fn abort_runs(&self, request: AbortRequest) -> Result<AbortReport, Fault> {
        let targets = match &request.run_id {
            Some(run_id) => match self.0.table.get(run_id) {
                None => return Ok(AbortReport::default()),
                Some(run) => {
                    let same_key = match &request.key_as_sent {
                        Some(sent) => *sent == run.key_as_sent,
                        None => request.session_key == run.session_key,
                    };
                    if !same_key {
                        return Err(Fault::invalid("runId does not match sessionKey"));
                    }
                    if !may_stop(&request, &run) {
                        return Err(Fault::invalid("unauthorized"));
                    }
                    vec![run]
                }
            },
            None => {
                let live = self.0.table.of_session(&request.session_key);
                let known = !live.is_empty();
                let mine: Vec<_> = live.into_iter().filter(|run| may_stop(&request, run)).collect();
                if known && mine.is_empty() {
                    return Err(Fault::invalid("unauthorized"));
                }
                mine
            }
        };
        let mut report = AbortReport::default();
        for run in &targets {
            run.stop(request.reason);
        }
        for run in targets {
            let mut progress = run.progress.subscribe();
            let ended = progress.wait_for(|state| matches!(state, Progress::Ended(_) | Progress::Refused));
            if tokio::time::timeout(ABORT_DEADLINE, ended).await.is_err() {
                tracing::warn!(target: "agent", run_id = %run.run_id, "aborted run did not report its end in time");
            }
            report.run_ids.push(run.run_id.clone());
        }
        Ok(report)
    }

    async fn wait_run(&self, run_id: RunId, timeout: Duration) -> Option<RunRecord> {
        let waiting = async {
            loop {
                let registered = self.0.registered.notified();
                if let Some(run) = self.0.table.get(&run_id) {
                    let mut progress = run.progress.subscribe();
                    if let Ok(state) = progress.wait_for(|state| matches!(state, Progress::Ended(_))).await
                        && let Progress::Ended(record) = &*state
                    {
                        return (**record).clone();
                    }
                    continue;
                }
                match self.0.store.run(run_id.as_str()).await {
                    Ok(Some(stored)) if stored.state.is_terminal() => return record_of(&stored),
                    Ok(_) => registered.await,
                    Err(error) => {
                        tracing::warn!(target: "agent", %error, "stored run could not be read");
                        registered.await;
                    }
                }
            }
        };
        tokio::time::timeout(timeout, waiting).await.ok()
    }
}

impl Runs for AgentRuns {
    fn submit(&self, request: RunRequest) -> PortFuture<'_, Result<Accepted, Fault>> {
        Box::pin(self.submit_run(request))
    }

    fn start(&self, request: RunRequest) -> PortFuture<'_, Result<RunHandle, Fault>> {
        Box::pin(self.start_run(request))
    }

    fn abort(&self, request: AbortRequest) -> PortFuture<'_, Result<AbortReport, Fault>> {
        Box::pin(self.abort_runs(request))
    }

    fn wait(&self, run_id: RunId, timeout: Duration) -> PortFuture<'_, Option<RunRecord>> {
        Box::pin(self.wait_run(run_id, timeout))
    }

    fn active(&self) -> ActiveRuns {
        self.0.table.active()
    }
}

fn may_stop(request: &AbortRequest, run: &ActiveRun) -> bool {
    if request.is_admin {
        return true;
    }
    match (&request.owner, &run.owner) {
        (Some(caller), Some(owner)) => {
            caller.conn == owner.conn || (caller.device.is_some() && caller.device == owner.device)
        }
        _ => false,
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

/// The stored run as waiters and replays see it.
pub(super) fn record_of(stored: &StoredRun) -> RunRecord {
    RunRecord {
        run_id: RunId::new(stored.run_id.as_str()),
        session_key: crate::base::SessionKey::new(stored.session_key.as_str()),
        state: stored.state.as_str(),
        accepted_at_ms: stored.accepted_at_ms,
        started_at_ms: stored.started_at_ms,
        ended_at_ms: stored.ended_at_ms,
        error: stored.error.clone(),
        stop_reason: stored.stop_reason.clone(),
        result: stored
            .result
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok()),
    }
}

/// A storage failure as callers see it.
pub(super) fn store_fault(error: &StoreError) -> Fault {
    Fault::unavailable(error.to_string())
        .with_code("storage_unavailable")
        .with_retry_after(Duration::from_secs(2))
}
