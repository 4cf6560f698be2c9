//! How a run that did not complete is told to an OpenAI client.

use std::time::Duration;

use crate::domain::run::{RunEnd, RunOutcome};
use crate::domain::{Fault, FaultKind};
use crate::models::client::call_fault;

/// When to try again after a shutdown: a successor is up by then.
const AFTER_SHUTDOWN: Duration = Duration::from_secs(5);

/// The fault of a run; `None` if it completed.
pub(in crate::http) fn fault(outcome: &RunOutcome) -> Option<Fault> {
    match &outcome.end {
        RunEnd::Completed => None,
        RunEnd::Failed(failure) => Some(call_fault(failure.class, failure.message.clone(), failure.retry_after)),
        RunEnd::TimedOut => {
            Some(Fault::new(FaultKind::UpstreamTimeout, "The agent did not finish in time.").with_code("run_timeout"))
        }
        RunEnd::Aborted("shutdown") => {
            let fault = Fault::unavailable("The gateway is shutting down; retry shortly.").with_code("draining");
            Some(fault.with_retry_after(AFTER_SHUTDOWN))
        }
        RunEnd::Aborted(_) => {
            Some(Fault::new(FaultKind::Conflict, "The run was stopped before it finished.").with_code("run_aborted"))
        }
    }
}

/// The run loop went away without a word.
pub(in crate::http) fn vanished() -> Fault {
    Fault::new(FaultKind::Internal, "The run ended without a result.").with_code("run_lost")
}
