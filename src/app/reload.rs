//! Applies configuration changes to the running gateway.
//!
//! One task, one reload at a time. Prepare (load, registry, TLS, sockets) may fail and changes nothing; commit is one
//! swap, followed by side effects that cannot fail as a reload.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::build::{Gateway, max_concurrent};
use super::run::{Listening, console_level};
use crate::config::load::{LoadInput, Loaded};
use crate::config::reload::{Reload, Reloader};
use crate::config::watch::{Control, Watcher};
use crate::config::{Snapshot, last_good};
use crate::live::Live;
use crate::models::Registry;
use crate::telemetry::events::ConfigReload;

/// Follows the files until the process stops. `asked` wakes it without a file event (SIGHUP).
pub(super) struct ReloadTask {
    pub(super) gateway: Gateway,
    pub(super) input: LoadInput,
    pub(super) listening: Listening,
    pub(super) asked: mpsc::Receiver<()>,
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
        loop {
            tokio::select! {
                biased;
                () = lifecycle.stop.cancelled() => return,
                changed = watcher.changed() => if changed.is_none() { return },
                asked = self.asked.recv() => if asked.is_none() { return },
            }
            let Some(back) = self.once(reloader, &control).await else {
                return;
            };
            reloader = back;
        }
    }

    /// One look. `None`: the judging thread died, which ends reloading (logged).
    async fn once(&mut self, mut reloader: Reloader, control: &Control) -> Option<Reloader> {
        let began = Instant::now();
        let current = self.gateway.services.snapshots.load();
        let mut input = self.input.clone();
        input.generation = current.generation + 1;
        input.loaded_at_ms = self.gateway.services.clock.now_ms();
        let judged = tokio::task::spawn_blocking({
            let current = Arc::clone(&current);
            move || {
                let judgement = reloader.evaluate(&input, &current);
                (reloader, judgement)
            }
        })
        .await;
        let (reloader, judgement) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                tracing::error!(target: "gateway/reload", %error, "config reload stopped working; restart the gateway");
                return None;
            }
        };
        match judgement {
            Reload::Unchanged => {
                self.gateway.services.snapshots.set_broken(None);
            }
            Reload::Ignored { changed, reason } => {
                tracing::warn!(target: "gateway/reload", changed = changed.join(", "), "{reason}");
            }
            Reload::Broken(error) => {
                ConfigReload::Rejected {
                    error: &error.error.one_line(),
                }
                .emit();
                self.gateway.services.snapshots.set_broken(Some(Arc::from(error)));
            }
            Reload::Apply {
                loaded,
                changed,
                rebind,
            } => self.apply(loaded, &changed, rebind, began).await,
        }
        let now = self.gateway.services.snapshots.load();
        control.update(reloader.watched().to_vec(), now.settle());
        Some(reloader)
    }

    async fn apply(&mut self, loaded: Loaded, changed: &[String], rebind: bool, began: Instant) {
        let services = &self.gateway.services;
        let snapshot = loaded.snapshot;
        let prepared = match self.listening.prepare(&snapshot, rebind).await {
            Ok(prepared) => prepared,
            Err(error) => {
                ConfigReload::Rejected {
                    error: &error.to_string(),
                }
                .emit();
                return;
            }
        };
        let models = Arc::new(Registry::build(&snapshot.providers, &self.gateway.http));

        services.live.commit(Live {
            snapshot: Arc::clone(&snapshot),
            models,
        });
        services.snapshots.store(Arc::clone(&snapshot));
        services.snapshots.set_broken(None);
        self.listening.commit(prepared);
        self.gateway.runs.set_max_concurrent(max_concurrent(&snapshot));
        self.gateway.logs.set_level(&console_level(&snapshot));
        let current = &snapshot.auth.shared_generation;
        services.hub.close_where(
            |client| client.shared_generation.is_some_and(|generation| generation != current),
            4001,
            "gateway auth changed",
        );
        ConfigReload::Applied {
            generation: snapshot.generation,
            paths: changed,
            took: began.elapsed(),
        }
        .emit();
        for warning in &snapshot.warnings {
            tracing::warn!(target: "config", path = warning.path, "{}", warning.message);
        }
        keep_last_good(&snapshot, loaded.joined).await;
    }
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
