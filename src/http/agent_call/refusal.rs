//! A call of an agent that gets no answer.

use http::Response;

use crate::domain::{Fault, FaultKind};
use crate::http::{Body, fault};

/// A fault, with whether an automatic retry could do harm.
#[derive(Debug)]
pub(in crate::http) struct Refusal {
    fault: Fault,
    ran: bool,
}

impl From<Fault> for Refusal {
    /// Nothing has happened yet.
    fn from(fault: Fault) -> Self {
        Self { fault, ran: false }
    }
}

impl Refusal {
    /// The run began and came to this.
    pub(in crate::http) const fn of_run(fault: Fault) -> Self {
        Self { fault, ran: true }
    }

    /// The fault alone, for surfaces without statuses.
    pub(in crate::http) fn into_fault(self) -> Fault {
        self.fault
    }

    /// As the client sees it.
    pub(in crate::http) fn into_response(self) -> Response<Body> {
        let response = if self.fault.kind == FaultKind::Forbidden {
            fault::forbidden(&self.fault.message)
        } else {
            fault::shape_a(&self.fault)
        };
        // What was refused for the moment says when to come back; anything else ran already, tools included, or will
        // fail the same way again.
        if self.ran && self.fault.retry_after.is_none() {
            fault::no_retry(response)
        } else {
            response
        }
    }
}
