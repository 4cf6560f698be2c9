//! Stopping runs: who may, and until their end is reported.

use std::time::Duration;

use super::AgentRuns;
use crate::agent::table::{ActiveRun, Progress};
use crate::domain::Fault;
use crate::domain::run::{AbortReport, AbortRequest};

/// How long an abort waits for the run to report its end.
const ABORT_DEADLINE: Duration = Duration::from_secs(10);

impl AgentRuns {
    pub(super) async fn abort_runs(&self, request: AbortRequest) -> Result<AbortReport, Fault> {
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
