//! Responses that are worked on after their request was answered.
//!
//! On disk such a response is `failed` with code `interrupted` from the start, and becomes what it really came to at its
//! end; while it is at work, this registry knows better. So a crash needs no cleaning up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::create::close;
use super::keep::{self, Record, now_s};
use super::prepare::Prepared;
use crate::domain::model::Usage;
use crate::domain::run::{RunEvent, RunHandle};
use crate::domain::{Fault, FaultKind};
use crate::http::agent_call::{Refusal, Slot, outcome_fault, vanished};
use crate::http::surface::{Exchange, Ports};
use crate::models::client::responses::{Answer, End};

/// How long a cancellation waits for the response to be stored.
const CANCEL_WAIT: Duration = Duration::from_secs(10);
/// How often the end of a response is offered to failing storage.
const STORE_ATTEMPTS: u32 = 5;
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Responses at work. There are never more than places for agent requests.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Background(Arc<Mutex<HashMap<String, Job>>>);

#[derive(Debug, Clone)]
struct Job {
    owner: String,
    snapshot: Bytes,
    cancel: CancellationToken,
    done: CancellationToken,
}

impl Background {
    fn find(&self, owner: &str, id: &str) -> Option<Job> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(id).filter(|job| job.owner == owner).cloned()
    }

    /// The response as it is now, if it is at work.
    pub(super) fn snapshot(&self, owner: &str, id: &str) -> Option<Bytes> {
        self.find(owner, id).map(|job| job.snapshot)
    }

    /// Whether it is at work.
    pub(super) fn is_at_work(&self, owner: &str, id: &str) -> bool {
        self.find(owner, id).is_some()
    }

    /// Stops it and waits until its end is stored. `false`: it is not at work.
    pub(super) async fn cancel(&self, owner: &str, id: &str) -> bool {
        let Some(job) = self.find(owner, id) else { return false };
        job.cancel.cancel();
        if tokio::time::timeout(CANCEL_WAIT, job.done.cancelled()).await.is_err() {
            tracing::warn!(target: "http", id, "a cancelled response was not stored in time");
        }
        true
    }

    fn insert(&self, id: String, job: Job) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, job);
    }

    fn remove(&self, id: &str) {
        let job = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some(job) = job {
            job.done.cancel();
        }
    }
}

/// Starts the run and returns the response as it is at first.
pub(super) async fn start(exchange: &Exchange<'_>, prepared: Prepared, slot: Slot) -> Result<Vec<u8>, Refusal> {
    let ports = exchange.surface.ports.clone();
    let Prepared {
        mut run,
        answer,
        record,
        ..
    } = prepared;
    // Nobody waits for the deltas, but a provider that streams shows that it is alive.
    run.stream = true;
    // A request in the background without storage was refused when it was read.
    let record = record.ok_or_else(|| Fault::new(FaultKind::Internal, "A background response must be stored."))?;
    let interrupted = Fault::unavailable("The gateway ended before the response did.").with_code("interrupted");
    let pessimistic = answer
        .clone()
        .close(&End::failed(&interrupted), &Usage::default(), answer.created_at);
    let stored = record
        .clone()
        .store(ports.store.clone(), pessimistic, ports.clock.now_ms())
        .await;
    stored.map_err(|error| keep::fault(&error))?;
    let handle = match ports.runs.start(run).await {
        Ok(handle) => handle,
        Err(fault) => {
            let removed = ports.store.delete_response(&record.owner, &record.id).await;
            if let Err(error) = removed {
                tracing::warn!(target: "http", %error, "a response that did not start could not be removed");
            }
            return Err(fault.into());
        }
    };
    let queued = answer.pending("queued");
    let job = Job {
        owner: record.owner.clone(),
        snapshot: answer.pending("in_progress").into(),
        cancel: CancellationToken::new(),
        done: CancellationToken::new(),
    };
    let (background, cancel) = (exchange.surface.background.clone(), job.cancel.clone());
    background.insert(record.id.clone(), job);
    let tasks = ports.lifecycle.tasks.clone();
    tasks.spawn(async move {
        // Left on every way out, so that nothing is called at work that is not.
        let _entry = Entry {
            background,
            id: record.id.clone(),
        };
        work(&ports, handle, answer, record, &cancel).await;
        drop(slot);
    });
    Ok(queued)
}

/// A place in the registry.
struct Entry {
    background: Background,
    id: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.background.remove(&self.id);
    }
}

async fn work(ports: &Ports, mut handle: RunHandle, mut answer: Answer, record: Record, cancel: &CancellationToken) {
    let outcome = loop {
        let event = tokio::select! {
            biased;
            () = cancel.cancelled() => break None,
            event = handle.next_event() => event,
        };
        match event {
            Some(RunEvent::Finished(outcome)) => break Some(Ok(outcome)),
            Some(_) => {}
            None => break Some(Err(vanished())),
        }
    };
    // The run of a cancelled response is aborted here.
    drop(handle);
    let now = now_s(&*ports.clock);
    let body = match outcome {
        None => answer.close(&End::Cancelled, &Usage::default(), now),
        Some(Err(fault)) => answer.close(&End::failed(&fault), &Usage::default(), now),
        Some(Ok(outcome)) => match outcome_fault(&outcome) {
            Some(fault) => answer.close(&End::failed(&fault), &outcome.usage, now),
            None => close(&mut answer, &outcome, now),
        },
    };
    for attempt in 1..=STORE_ATTEMPTS {
        let stored = record
            .clone()
            .store(ports.store.clone(), body.clone(), ports.clock.now_ms())
            .await;
        match stored {
            Ok(()) => return,
            Err(error) if attempt == STORE_ATTEMPTS => {
                tracing::error!(target: "http", id = record.id, %error, "the end of a background response is lost");
            }
            Err(_) => tokio::time::sleep(STORE_PAUSE).await,
        }
    }
}
