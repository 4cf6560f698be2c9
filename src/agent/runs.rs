//! The front of the run loop: accept, follow, stop, wait, resume.

mod abort;
mod accept;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::lane::Lanes;
use super::ledger::Ledger;
use super::raw_stream::RawStream;
use super::request;
use super::table::{Progress, RunTable};
use crate::base::{Clock, RunId};
use crate::domain::Fault;
use crate::domain::event::Publisher;
use crate::domain::run::{
    AbortReport, AbortRequest, Accepted, ActiveRuns, PortFuture, RunHandle, RunRecord, RunRequest, Runs,
};
use crate::domain::tool::Tools;
use crate::lifecycle::Lifecycle;
use crate::live::{Live, LiveHandle};
use crate::models::retry::RetryPolicy;
use crate::store::{Recovery, Store, StoreError, StoredRun};
use crate::telemetry::span::Tracer;

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
    /// Where model events are dumped, if they are.
    pub raw_stream: Option<RawStream>,
    /// Spans.
    pub tracer: Tracer,
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
    pub(super) ledger: Ledger,
    pub(super) retry: RetryPolicy,
    pub(super) raw_stream: Option<RawStream>,
    pub(super) tracer: Tracer,
    /// Wakes waiters for runs that were not known when they asked.
    registered: Notify,
}

impl AgentRuns {
    /// Builds the loop; nothing runs yet.
    pub fn new(deps: AgentRunsDeps) -> Self {
        Self(Arc::new(Inner {
            ledger: Ledger::new(deps.store.clone(), deps.lifecycle.clone()),
            store: deps.store,
            live: deps.live,
            publisher: deps.publisher,
            tools: deps.tools,
            clock: deps.clock,
            lifecycle: deps.lifecycle,
            lanes: Lanes::new(deps.max_concurrent),
            table: RunTable::default(),
            retry: RetryPolicy::default(),
            raw_stream: deps.raw_stream,
            tracer: deps.tracer,
            registered: Notify::new(),
        }))
    }

    pub(super) fn live(&self) -> Arc<Live> {
        self.0.live.load()
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    pub(super) fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
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
