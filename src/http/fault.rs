//! Faults as HTTP responses: the two JSON error shapes of this surface, and the mapping of kinds to statuses.
//!
//! Shape A (`{"error":{message,type,code,param}}`) is what OpenAI clients read. Shape B
//! (`{"ok":false,"error":{type,message}}`) is used for a missing scope on every route, as upstream does.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::reply::{self, SHOULD_RETRY, close_connection};
use super::{Body, read::ReadError};
use crate::auth::AuthFailure;
use crate::domain::{Fault, FaultKind, Scope};
use crate::models::client::error_body;
use crate::wire::openai::ErrorBody;

/// When a caller should come back that was told nothing more precise.
const RETRY_SOON: Duration = Duration::from_secs(5);

/// The status of a fault.
pub(super) const fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::InvalidRequest => StatusCode::BAD_REQUEST,
        FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::Conflict => StatusCode::CONFLICT,
        FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FaultKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::Upstream => StatusCode::BAD_GATEWAY,
        FaultKind::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Shape A.
pub(super) fn shape_a(fault: &Fault) -> Response<Body> {
    let mut response = reply::json(status(fault.kind), &error_body(fault));
    let passing = matches!(fault.kind, FaultKind::RateLimited | FaultKind::Unavailable).then_some(RETRY_SOON);
    if let Some(after) = fault.retry_after.or(passing) {
        put_retry_after(&mut response, after);
    }
    response
}

/// Tells automatic clients that the same request must not simply be sent again.
pub(super) fn no_retry(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    response
}

/// A refused caller: 401, or 429 while it is locked out. Why is for the log only.
pub(super) fn refused(failure: &AuthFailure) -> Response<Body> {
    let (status, message, kind) = if failure.retry_after.is_some() {
        (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many failed authentication attempts. Please try again later.",
            "rate_limited",
        )
    } else {
        (StatusCode::UNAUTHORIZED, "Unauthorized", "unauthorized")
    };
    let mut body = ErrorBody::new(message, kind);
    body.error.code = Some(kind.into());
    let mut response = reply::json(status, &body);
    match failure.retry_after {
        Some(after) => put_retry_after(&mut response, after),
        None => {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
    response
}

/// Shape B for a scope the caller lacks.
pub(super) fn missing_scope(scope: Scope) -> Response<Body> {
    forbidden(&format!("missing scope: {}", scope.as_str()))
}

/// Shape B, 403.
pub(super) fn forbidden(message: &str) -> Response<Body> {
    let body = json!({"ok": false, "error": {"type": "forbidden", "message": message}});
    reply::json(StatusCode::FORBIDDEN, &body)
}

/// A request body that could not be read. The rest of it is not wanted, so the connection ends.
pub(super) fn unreadable(error: &ReadError) -> Response<Body> {
    let mut response = match error {
        ReadError::TooLarge => shape_a(&Fault::new(FaultKind::TooLarge, "Payload too large")),
        ReadError::TooSlow => {
            let mut body = ErrorBody::new("Request body timeout", "invalid_request_error");
            body.error.code = Some("request_timeout".into());
            reply::json(StatusCode::REQUEST_TIMEOUT, &body)
        }
        ReadError::Broken => shape_a(&Fault::invalid("The request body could not be read.")),
    };
    close_connection(response.headers_mut());
    response
}

fn put_retry_after(response: &mut Response<Body>, after: Duration) {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
}
