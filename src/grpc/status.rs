//! Faults as gRPC statuses.

use tonic::{Code, Status};

use crate::auth::AuthFailure;
use crate::domain::Scope;

/// A refused caller. Why is for the log only.
pub(super) fn refused(failure: &AuthFailure) -> Status {
    tracing::debug!(target: "auth", reason = failure.reason, "gRPC request refused");
    if failure.retry_after.is_some() {
        Status::new(
            Code::ResourceExhausted,
            "too many failed authentication attempts; retry later",
        )
    } else {
        Status::unauthenticated("unauthorized")
    }
}

/// A scope that the caller lacks.
pub(super) fn missing_scope(scope: Scope) -> Status {
    Status::permission_denied(format!("missing scope: {}", scope.as_str()))
}
