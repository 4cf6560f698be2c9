//! How a run that did not complete is told to an OpenAI client.
//!
//! A provider that rejects our key is not the client's fault, so it is a 502 and never a 401.

use std::time::Duration;

use crate::domain::model::CallErrorClass;
use crate::domain::run::{RunEnd, RunFailure, RunOutcome};
use crate::domain::{Fault, FaultKind};

/// What a provider means that says 429 without a time.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(10);

/// The fault of a run; `None` if it completed.
pub(super) fn fault(outcome: &RunOutcome) -> Option<Fault> {
    match &outcome.end {
        RunEnd::Completed => None,
        RunEnd::Failed(failure) => Some(failed(failure)),
        RunEnd::TimedOut => Some(
            Fault::new(FaultKind::UpstreamTimeout, "The agent did not finish in time.").with_code("run_timeout"),
        ),
        RunEnd::Aborted("shutdown") => {
            Some(Fault::unavailable("The gateway is shutting down; retry shortly.").with_code("draining"))
        }
        RunEnd::Aborted(_) => {
            Some(Fault::new(FaultKind::Conflict, "The run was stopped before it finished.").with_code("run_aborted"))
        }
    }
}

/// The run loop went away without a word.
pub(super) fn vanished() -> Fault {
    Fault::new(FaultKind::Internal, "The run ended without a result.").with_code("run_lost")
}

fn failed(failure: &RunFailure) -> Fault {
    let (kind, code) = match failure.class {
        CallErrorClass::Auth => (FaultKind::Upstream, "provider_auth"),
        CallErrorClass::Billing => (FaultKind::Upstream, "provider_billing"),
        CallErrorClass::RateLimit => (FaultKind::RateLimited, "rate_limit_exceeded"),
        CallErrorClass::Overloaded => (FaultKind::Unavailable, "provider_overloaded"),
        CallErrorClass::BadRequest => (FaultKind::InvalidRequest, "provider_bad_request"),
        CallErrorClass::ContextOverflow => (FaultKind::InvalidRequest, "context_length_exceeded"),
        CallErrorClass::ModelNotFound => (FaultKind::Upstream, "provider_model_not_found"),
        CallErrorClass::Timeout => (FaultKind::UpstreamTimeout, "provider_timeout"),
        CallErrorClass::Network => (FaultKind::Upstream, "provider_unreachable"),
        CallErrorClass::Server => (FaultKind::Upstream, "provider_error"),
        CallErrorClass::Malformed => (FaultKind::Upstream, "provider_malformed"),
        CallErrorClass::NotConfigured => (FaultKind::Unavailable, "provider_not_configured"),
        CallErrorClass::Cancelled => (FaultKind::Conflict, "run_aborted"),
    };
    let mut fault = Fault::new(kind, failure.message.clone()).with_code(code);
    fault.retry_after = failure
        .retry_after
        .or_else(|| (kind == FaultKind::RateLimited).then_some(RATE_LIMIT_PAUSE));
    fault
}
