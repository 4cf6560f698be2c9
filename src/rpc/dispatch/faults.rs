//! From a failed method to its `res` frame. The only place that maps faults to codes of this surface.

use serde_json::Value;

use crate::domain::{Fault, FaultKind};
use crate::rpc::method::MethodFailure;
use crate::wire::error::{ErrorCode, ErrorShape};
use crate::wire::frame;

/// The frame for a failure.
pub(super) fn render(id: &Value, failure: MethodFailure, protocol: u8) -> String {
    let error = shape(failure.fault, protocol);
    frame::failure(id, &error, failure.payload.as_deref())
}

fn shape(fault: Fault, protocol: u8) -> ErrorShape {
    let code = match fault.kind {
        FaultKind::Forbidden if protocol >= 4 => ErrorCode::Forbidden,
        FaultKind::InvalidRequest
        | FaultKind::Unauthenticated
        | FaultKind::Forbidden
        | FaultKind::NotFound
        | FaultKind::Conflict
        | FaultKind::TooLarge => ErrorCode::InvalidRequest,
        FaultKind::RateLimited
        | FaultKind::Unavailable
        | FaultKind::Upstream
        | FaultKind::UpstreamTimeout
        | FaultKind::Internal => ErrorCode::Unavailable,
    };
    // Protocol 3 knows a missing scope by its text alone.
    let is_scope = fault.kind == FaultKind::Forbidden
        && fault.details.as_ref().and_then(|details| details.get("code")) == Some(&Value::from("MISSING_SCOPE"));
    let details = fault.details.filter(|_| protocol >= 4 || !is_scope);
    let retry_after_ms = fault
        .retry_after
        .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    ErrorShape {
        code,
        message: fault.message,
        details,
        retryable: retry_after_ms.map(|_| true),
        retry_after_ms,
    }
}
