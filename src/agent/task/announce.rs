//! What subscribers of the session hear when the run begins and when it is over.

use serde_json::Value;

use super::RunTask;
use super::storage::begin_command;
use crate::agent::emit::Emitter;
use crate::domain::run::{RunEnd, RunOutcome};
use crate::sessions::{rows, transcript};
use crate::store::{FinishedRun, NewMessage};

impl RunTask {
    async fn row(&self) -> Option<Value> {
        match self.inner.store.session(self.request.conversation.key().as_str()).await {
            Ok(row) => row.map(|row| rows::wire_row(&row, &self.live.snapshot, &self.live.models)),
            Err(error) => {
                tracing::warn!(target: "agent", %error, "session row could not be read for its subscribers");
                None
            }
        }
    }

    pub(super) async fn announce_begin(&self, emitter: &Emitter) {
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

    pub(super) async fn announce_end(
        &self,
        emitter: &Emitter,
        outcome: &RunOutcome,
        kept: &[NewMessage],
        finished: &FinishedRun,
    ) {
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
