//! The events of a streamed response. Before the last one, the response is stored.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::keep::{self, Record, now_s};
use crate::base::Clock;
use crate::domain::Fault;
use crate::domain::model::Usage;
use crate::domain::run::RunEvent;
use crate::http::agent_call::{Narrator, Told, outcome_fault};
use crate::http::surface::Ports;
use crate::models::client::responses::{End, Narration};
use crate::store::{Store, StoreError};

type Saving = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// Tells a run as the events of a response.
pub(super) struct Teller {
    narration: Narration,
    record: Option<Record>,
    store: Store,
    clock: Arc<dyn Clock>,
    last: Option<Last>,
}

/// The end that waits to be told.
struct Last {
    end: End,
    usage: Usage,
    snapshot: Vec<u8>,
    saving: Saving,
}

impl Teller {
    /// A teller that stores the response under `record`, if there is one.
    pub(super) fn new(narration: Narration, record: Option<Record>, ports: &Ports) -> Self {
        Self {
            narration,
            record,
            store: ports.store.clone(),
            clock: Arc::clone(&ports.clock),
            last: None,
        }
    }

    fn finish(&mut self, out: &mut BytesMut, end: End, snapshot: Vec<u8>, usage: Usage) -> Told {
        let Some(record) = self.record.take() else {
            self.narration.conclude(out, &end, &snapshot);
            return Told::All;
        };
        let saving = record.store(self.store.clone(), snapshot.clone(), self.clock.now_ms());
        self.last = Some(Last {
            end,
            usage,
            snapshot,
            saving: Box::pin(saving),
        });
        Told::Soon
    }
}

impl Narrator for Teller {
    fn open(&mut self, out: &mut BytesMut) {
        self.narration.begin(out);
    }

    fn tell(&mut self, out: &mut BytesMut, event: RunEvent) -> Told {
        let RunEvent::Finished(outcome) = &event else {
            self.narration.tell(out, &event);
            return Told::More;
        };
        let (end, whole) = match outcome_fault(outcome) {
            Some(fault) => (End::failed(&fault), None),
            None => (End::of(outcome.finish), Some(&**outcome)),
        };
        let now = now_s(&*self.clock);
        let snapshot = self.narration.end(out, &end, whole, &outcome.usage, now);
        self.finish(out, end, snapshot, outcome.usage)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<()> {
        let Some(last) = &mut self.last else {
            return Poll::Ready(());
        };
        let saved = std::task::ready!(last.saving.as_mut().poll(cx));
        if let Some(last) = self.last.take() {
            match saved {
                Ok(()) => self.narration.conclude(out, &last.end, &last.snapshot),
                Err(error) => {
                    let end = End::failed(&keep::fault(&error));
                    let snapshot = self.narration.end(out, &end, None, &last.usage, now_s(&*self.clock));
                    self.narration.conclude(out, &end, &snapshot);
                }
            }
        }
        Poll::Ready(())
    }

    fn fail(&mut self, out: &mut BytesMut, fault: &Fault) {
        let end = End::failed(fault);
        let snapshot = self
            .narration
            .end(out, &end, None, &Usage::default(), now_s(&*self.clock));
        self.narration.conclude(out, &end, &snapshot);
    }
}
