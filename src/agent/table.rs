//! Runs that are accepted or at work, by id and by session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::base::{RunId, SessionKey};
use crate::domain::run::{ActiveRuns, RunOwner, RunRecord, RunRequest, RunSource};

/// How far a run got.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// Being written to disk.
    Accepting,
    /// On disk.
    Accepted,
    /// Refused while accepting; a caller that waited with the same key may try itself.
    Refused,
    /// Ended.
    Ended(Arc<RunRecord>),
}

/// One live run.
pub(super) struct ActiveRun {
    pub(super) run_id: RunId,
    pub(super) session_key: SessionKey,
    pub(super) key_as_sent: String,
    pub(super) source: RunSource,
    pub(super) owner: Option<RunOwner>,
    pub(super) accepted_at_ms: i64,
    /// Text of the input, to recognise a repeated message while it runs.
    pub(super) text: String,
    pub(super) cancel: CancellationToken,
    pub(super) progress: watch::Sender<Progress>,
    reason: Mutex<Option<&'static str>>,
    working: AtomicBool,
}

impl ActiveRun {
    pub(super) fn new(request: &RunRequest, text: String, accepted_at_ms: i64) -> Self {
        Self {
            run_id: request.run_id.clone(),
            session_key: request.conversation.key().clone(),
            key_as_sent: request.key_as_sent.clone(),
            source: request.source,
            owner: request.owner.clone(),
            accepted_at_ms,
            text,
            cancel: CancellationToken::new(),
            progress: watch::channel(Progress::Accepting).0,
            reason: Mutex::new(None),
            working: AtomicBool::new(false),
        }
    }

    /// Asks the run to stop; the first reason counts.
    pub(super) fn stop(&self, reason: &'static str) {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(reason);
        self.cancel.cancel();
    }

    /// Why it was stopped. A bare cancellation is a caller that went away.
    pub(super) fn stop_reason(&self) -> &'static str {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or("disconnect")
    }

    pub(super) fn set_working(&self) {
        self.working.store(true, Ordering::Relaxed);
    }

    fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed)
    }
}

/// The table; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct RunTable(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    runs: HashMap<RunId, Arc<ActiveRun>>,
    sessions: HashMap<SessionKey, Vec<RunId>>,
}

impl Inner {
    fn add(&mut self, run: &Arc<ActiveRun>) {
        self.runs.insert(run.run_id.clone(), Arc::clone(run));
        self.sessions
            .entry(run.session_key.clone())
            .or_default()
            .push(run.run_id.clone());
    }
}

impl RunTable {
    /// Adds a run unless its id, or the same text from a chat of the same session, is live; then that one is returned.
    pub(super) fn insert(&self, run: &Arc<ActiveRun>) -> Result<(), Arc<ActiveRun>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.runs.get(run.run_id.as_str()) {
            return Err(Arc::clone(known));
        }
        if run.source == RunSource::Chat {
            let twin = inner
                .sessions
                .get(run.session_key.as_str())
                .into_iter()
                .flatten()
                .filter_map(|id| inner.runs.get(id.as_str()))
                .find(|other| other.source == RunSource::Chat && !run.text.is_empty() && other.text == run.text);
            if let Some(twin) = twin {
                return Err(Arc::clone(twin));
            }
        }
        inner.add(run);
        Ok(())
    }

    /// Adds a run that was acknowledged before a restart, whatever else is live.
    pub(super) fn insert_unchecked(&self, run: &Arc<ActiveRun>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(run);
    }

    pub(super) fn remove(&self, run: &ActiveRun) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.runs.remove(run.run_id.as_str());
        if let Some(ids) = inner.sessions.get_mut(run.session_key.as_str()) {
            ids.retain(|id| *id != run.run_id);
            if ids.is_empty() {
                inner.sessions.remove(run.session_key.as_str());
            }
        }
    }

    pub(super) fn get(&self, run_id: &RunId) -> Option<Arc<ActiveRun>> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.runs.get(run_id.as_str()).cloned()
    }

    /// Live runs of a session, oldest first.
    pub(super) fn of_session(&self, key: &SessionKey) -> Vec<Arc<ActiveRun>> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .sessions
            .get(key.as_str())
            .into_iter()
            .flatten()
            .filter_map(|id| inner.runs.get(id.as_str()).cloned())
            .collect()
    }

    pub(super) fn all(&self) -> Vec<Arc<ActiveRun>> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.runs.values().cloned().collect()
    }

    pub(super) fn active(&self) -> ActiveRuns {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut active = ActiveRuns::default();
        for run in inner.runs.values() {
            if run.is_working() {
                active.running += 1;
                active.sessions.push(run.session_key.clone());
            } else {
                active.queued += 1;
            }
        }
        active
    }
}
