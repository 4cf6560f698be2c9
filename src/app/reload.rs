//! Applies configuration changes to the running gateway.
//!
//! One task, one change at a time, whether a file changed or somebody asked for it. Prepare (load, registry, TLS, sockets)
//! may fail and changes nothing; commit is one swap, followed by side effects that cannot fail as a reload.

mod order;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::build::{Gateway, max_concurrent};
use super::config_desk::Order;
use super::listening::{Listening, PreparedListening};
use crate::bus::ClientView;
use crate::config::load::{LoadInput, Loaded};
use crate::config::reload::{Reload, Reloader};
use crate::config::watch::Watcher;
use crate::config::{Snapshot, last_good};
use crate::domain::Fault;
use crate::live::Live;
use crate::models::Registry;
use crate::telemetry::events::ConfigReload;

/// Follows the files until the process stops. `asked` wakes it without a file event (SIGHUP); `orders` are changes that
/// callers want.
pub(super) struct ReloadTask {
    pub(super) gateway: Gateway,
    pub(super) input: LoadInput,
    pub(super) listening: Listening,
    pub(super) asked: mpsc::Receiver<()>,
    pub(super) orders: mpsc::Receiver<Order>,
}

/// Why a look is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Files may have changed.
    Files,
    /// Somebody wants the secrets read again, whatever the reload mode says about files.
    Secrets,
}

impl ReloadTask {
    pub(super) async fn run(mut self) {
        let lifecycle = self.gateway.services.lifecycle.clone();
        let snapshot = self.gateway.services.snapshots.load();
        let mut reloader = Reloader::new(&snapshot);
        let mut watcher = Watcher::start(
            snapshot.watched_files.clone(),
            snapshot.settle(),
            &lifecycle.tasks,
            lifecycle.stop.clone(),
        );
        let control = watcher.control();
        drop(snapshot);
        loop {
            let order = tokio::select! {
                biased;
                () = lifecycle.stop.cancelled() => return,
                changed = watcher.changed() => if changed.is_none() { return } else { None },
                asked = self.asked.recv() => if asked.is_none() { return } else { None },
                order = self.orders.recv() => if order.is_none() { return } else { order },
            };
            if let Some(Order::Write(request, answer)) = order {
                self.write(*request, answer, &mut reloader).await;
            } else {
                let secrets = match order {
                    Some(Order::Secrets(answer)) => Some(answer),
                    _ => None,
                };
                let look = if secrets.is_some() { Look::Secrets } else { Look::Files };
                let Some((back, result)) = self.once(reloader, look).await else {
                    return;
                };
                reloader = back;
                if let Some(answer) = secrets {
                    // Whoever gave up waiting does not need the count.
                    answer.send(result.map(|()| self.secret_problems())).ok();
                }
            }
            let now = self.gateway.services.snapshots.load();
            control.update(reloader.watched().to_vec(), now.settle());
        }
    }

    fn next_input(&self, current: &Snapshot) -> LoadInput {
        let mut input = self.input.clone();
        input.generation = current.generation + 1;
        input.loaded_at_ms = self.gateway.services.clock.now_ms();
        input
    }

    fn secret_problems(&self) -> usize {
        let secrets = &self.gateway.services.snapshots.load().secrets;
        secrets.degraded.len() + secrets.failures().count()
    }

    /// One look; the result says whether what the files say is in force. `None`: the judging thread died, which ends
    /// reloading (logged).
    async fn once(&mut self, mut reloader: Reloader, look: Look) -> Option<(Reloader, Result<(), Fault>)> {
        let began = Instant::now();
        let current = self.gateway.services.snapshots.load();
        let input = self.next_input(&current);
        let judged = tokio::task::spawn_blocking({
            let current = Arc::clone(&current);
            move || {
                let judgement = reloader.evaluate(&input, &current);
                (reloader, judgement)
            }
        })
        .await;
        let (mut reloader, judgement) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                tracing::error!(target: "gateway/reload", %error, "config reload stopped working; restart the gateway");
                return None;
            }
        };
        let snapshots = &self.gateway.services.snapshots;
        let result = match judgement {
            Reload::Unchanged => {
                snapshots.set_broken(None);
                Ok(())
            }
            Reload::Ignored {
                loaded,
                changed,
                reason,
            } => {
                snapshots.set_broken(None);
                let same = loaded.snapshot.tree_hash == current.tree_hash;
                if same && look == Look::Secrets {
                    self.apply(loaded, &changed, false, began).await
                } else {
                    tracing::warn!(target: "gateway/reload", changed = changed.join(", "), "{reason}");
                    let differs = loaded.snapshot.hash != current.hash;
                    snapshots.set_waiting(differs.then_some(loaded.snapshot));
                    Err(Fault::unavailable(reason))
                }
            }
            Reload::Broken(error) => {
                let text = error.error.one_line();
                ConfigReload::Rejected { error: &text }.emit();
                snapshots.set_broken(Some(Arc::from(error)));
                Err(Fault::unavailable(format!("config reload skipped: {text}")))
            }
            Reload::Apply {
                loaded,
                changed,
                rebind,
            } => {
                let applied = self.apply(loaded, &changed, rebind, began).await;
                if applied.is_err() {
                    reloader.retry();
                }
                applied
            }
        };
        Some((reloader, result))
    }

    async fn apply(&mut self, loaded: Loaded, changed: &[String], rebind: bool, began: Instant) -> Result<(), Fault> {
        let snapshot = loaded.snapshot;
        let prepared = match self.listening.prepare(&snapshot, rebind).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let text = error.to_string();
                ConfigReload::Rejected { error: &text }.emit();
                self.gateway.services.snapshots.set_waiting(Some(snapshot));
                return Err(Fault::unavailable(format!("config reload skipped: {text}")));
            }
        };
        self.commit(&snapshot, prepared, changed, began);
        self.close_outdated(|_| true);
        keep_last_good(&snapshot, loaded.joined).await;
        Ok(())
    }

    /// The swap and what follows from it. Connections of an old shared secret are closed by the caller.
    fn commit(&self, snapshot: &Arc<Snapshot>, prepared: PreparedListening, changed: &[String], began: Instant) {
        let services = &self.gateway.services;
        let models = Arc::new(Registry::build(
            &snapshot.providers,
            &self.gateway.http,
            &self.gateway.cooldowns,
        ));
        services.live.commit(Live {
            snapshot: Arc::clone(snapshot),
            models,
        });
        services.snapshots.store(Arc::clone(snapshot));
        services.snapshots.set_broken(None);
        services.snapshots.set_waiting(None);
        self.listening.commit(prepared);
        self.gateway.runs.set_max_concurrent(max_concurrent(snapshot));
        self.gateway.logs.apply(snapshot);
        self.gateway.exporter.apply(snapshot.otlp());
        ConfigReload::Applied {
            generation: snapshot.generation,
            paths: changed,
            took: began.elapsed(),
        }
        .emit();
        for warning in &snapshot.warnings {
            tracing::warn!(target: "config", path = warning.path, "{}", warning.message);
        }
    }

    /// Closes those of `which` whose shared secret is no longer valid.
    fn close_outdated(&self, which: impl Fn(ClientView<'_>) -> bool) -> Outdated {
        let services = &self.gateway.services;
        let snapshot = services.snapshots.load();
        let current = &snapshot.auth.shared_generation;
        let spared = std::cell::Cell::new(false);
        services.hub.close_where(
            |client| {
                let outdated = client.shared_generation.is_some_and(|generation| generation != current);
                let close = outdated && which(client);
                spared.set(spared.get() || (outdated && !close));
                close
            },
            4001,
            "gateway auth changed",
        );
        Outdated { spared: spared.get() }
    }
}

/// What became of connections with an old shared secret.
struct Outdated {
    /// One of them was left open.
    spared: bool,
}

/// Keeps the copy that a later start may fall back to.
pub(super) async fn keep_last_good(snapshot: &Snapshot, joined: serde_json::Value) {
    let paths = snapshot.paths.clone();
    let kept = tokio::task::spawn_blocking(move || last_good::keep(&paths, &joined)).await;
    match kept {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(target: "config", %error, "the last good configuration could not be kept"),
        Err(error) => tracing::error!(target: "config", %error, "the last good configuration could not be kept"),
    }
}
