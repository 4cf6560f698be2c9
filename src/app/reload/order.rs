//! Carries out a change that somebody asked for: judge, stage, prepare, put in place, commit.
//!
//! The file and what is in force change together: until the last step that can fail, both are as they were.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{ReloadTask, keep_last_good};
use crate::app::config_desk::{refused, unwritten};
use crate::config::Snapshot;
use crate::config::edit::{Proposal, Proposed, propose};
use crate::config::load::LoadInput;
use crate::config::reload::Reloader;
use crate::config::rules::Plan;
use crate::config::write::{Staged, WriteError, back_up, stage};
use crate::domain::config_control::{ChangeNote, ConfigChanged, ConfigRequest};
use crate::domain::{Fault, FaultKind};

/// A change that is judged and lies beside the file.
struct Ready {
    proposal: Proposal,
    staged: Staged,
}

enum Judged {
    Same(Arc<Snapshot>),
    Ready(Box<Ready>),
}

impl ReloadTask {
    /// Carries out one change and answers it.
    pub(super) async fn write(
        &mut self,
        request: ConfigRequest,
        answer: oneshot::Sender<Result<ConfigChanged, Fault>>,
        reloader: &mut Reloader,
    ) {
        // Whoever gave up waiting no longer wants the change.
        if answer.is_closed() {
            return;
        }
        let caller = request.caller.clone();
        let (result, keep) = match Box::pin(self.change(request, reloader)).await {
            Ok((changed, keep)) => (Ok(changed), keep),
            Err(fault) => (Err(fault), None),
        };
        if let Err(Ok(unheard)) = answer.send(result)
            && unheard.close_caller
        {
            self.close_outdated(|client| Some(client.id) == caller.as_ref());
        }
        if let Some((snapshot, joined)) = keep {
            keep_last_good(&snapshot, joined).await;
        }
    }

    async fn change(
        &mut self,
        request: ConfigRequest,
        reloader: &mut Reloader,
    ) -> Result<(ConfigChanged, Option<(Arc<Snapshot>, Value)>), Fault> {
        let began = Instant::now();
        let snapshots = self.gateway.services.snapshots.clone();
        let current = snapshots.load();
        let input = self.next_input(&current);
        let (now_ms, path) = (input.loaded_at_ms, input.paths.config.clone());
        let ConfigRequest {
            change,
            base_hash,
            caller,
            note,
        } = request;
        let known: Vec<Arc<Snapshot>> = std::iter::once(Arc::clone(&current))
            .chain(snapshots.waiting())
            .collect();
        let judged = blocking(move || judge(&input, &change, base_hash.as_deref(), &known)).await??;
        let Ready { proposal, staged } = match judged {
            Judged::Ready(ready) => *ready,
            Judged::Same(snapshot) => {
                let changed = ConfigChanged {
                    snapshot,
                    same: true,
                    not_applied: None,
                    close_caller: false,
                    note: None,
                };
                return Ok((changed, None));
            }
        };
        let Proposal { loaded, before, .. } = proposal;
        let snapshot = Arc::clone(&loaded.snapshot);
        let (paths, plan) = reloader.plan(&snapshot, &current);
        let prepared = match &plan {
            Plan::Ignore(_) => None,
            Plan::Apply { rebind } => {
                let prepared = self.listening.prepare(&snapshot, *rebind).await;
                Some(prepared.map_err(|error| Fault::unavailable(format!("config not written: {error}")))?)
            }
        };
        let state_dir = snapshot.state_dir.clone();
        let placed = blocking(move || place(staged, before.as_deref(), &state_dir, now_ms)).await;
        if let Err(fault) = placed.and_then(|placed| placed.map_err(|error| unwritten(&error))) {
            if let Plan::Apply { rebind } = plan {
                self.take_back(&current, rebind).await;
            }
            return Err(fault);
        }
        tracing::info!(target: "config", path = %path.display(), changed = paths.join(", "), "config file written");
        reloader.accept(&snapshot);
        snapshots.set_broken(None);
        let mut changed = ConfigChanged {
            snapshot: Arc::clone(&snapshot),
            same: false,
            not_applied: None,
            close_caller: false,
            note: None,
        };
        let mut keep = None;
        match (plan, prepared) {
            (Plan::Ignore(reason), _) => {
                tracing::warn!(target: "gateway/reload", changed = paths.join(", "), "{reason}");
                snapshots.set_waiting(Some(Arc::clone(&snapshot)));
                changed.not_applied = Some(reason);
            }
            (Plan::Apply { .. }, Some(prepared)) => {
                self.commit(&snapshot, prepared, &paths, began);
                let spared = caller.as_ref();
                let outdated = self.close_outdated(|client| Some(client.id) != spared);
                changed.close_caller = outdated.spared;
                keep = Some((Arc::clone(&snapshot), loaded.joined));
            }
            (Plan::Apply { .. }, None) => {}
        }
        if let Some(note) = note {
            changed.note = Some(described(note, &snapshot, now_ms));
        }
        Ok((changed, keep))
    }

    /// The listener goes back to what it was, after the file could not be put in place.
    async fn take_back(&mut self, current: &Snapshot, rebind: bool) {
        match self.listening.prepare(current, rebind).await {
            Ok(prepared) => self.listening.commit(prepared),
            Err(error) => {
                tracing::error!(target: "gateway/reload", %error, "the listener could not be put back after a failed write");
            }
        }
    }
}

fn judge(
    input: &LoadInput,
    change: &crate::config::edit::Change,
    base_hash: Option<&str>,
    known: &[Arc<Snapshot>],
) -> Result<Judged, Fault> {
    match propose(input, change, base_hash, known).map_err(|error| refused(&error))? {
        Proposed::Same(snapshot) => Ok(Judged::Same(snapshot)),
        Proposed::New(proposal) => {
            let staged = stage(&input.paths.config, &proposal.bytes).map_err(|error| unwritten(&error))?;
            Ok(Judged::Ready(Box::new(Ready {
                proposal: *proposal,
                staged,
            })))
        }
    }
}

fn place(staged: Staged, before: Option<&[u8]>, state_dir: &std::path::Path, now_ms: i64) -> Result<(), WriteError> {
    if let Some(before) = before
        && let Err(error) = back_up(state_dir, before, now_ms)
    {
        tracing::warn!(target: "config", %error, "no backup of the config file was kept");
    }
    staged.commit(before)
}

/// What is said about the change. Upstream leaves it in the state directory for the start that follows a change; here
/// changes are in force at once and nothing has to be told later.
fn described(note: ChangeNote, snapshot: &Snapshot, now_ms: i64) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    put("kind", note.kind.into());
    put("status", "ok".into());
    put("ts", now_ms.into());
    if let Some(key) = note.session_key {
        put("sessionKey", key.into());
    }
    if let Some(context) = note.delivery_context {
        put("deliveryContext", context);
    }
    put("message", note.message.into());
    put("doctorHint", "Run: openclaw doctor --non-interactive".into());
    let root = snapshot.path.to_string_lossy();
    put("stats", json!({ "mode": note.mode, "root": root }));
    Value::Object(fields)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::new(FaultKind::Internal, format!("config not written: {error}")))
}
