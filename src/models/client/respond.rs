//! Domain results as parts of responses.

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::model::{CallErrorClass, Usage};
use crate::domain::{Fault, FaultKind};
use crate::wire::openai::completion::Usage as WireUsage;
use crate::wire::openai::error::ErrorBody;

/// `usage` of a completion.
pub fn wire_usage(usage: &Usage) -> WireUsage {
    WireUsage::new(usage.prompt(), usage.cache_read, usage.output, usage.reasoning)
}

/// Told to clients when a provider is busy but does not say for how long.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A failed provider call as the client sees it: only what the client can act on keeps its own status. A refused key of
/// ours is never a 401, because the client's key is fine.
pub fn call_fault(class: CallErrorClass, message: impl Into<String>, retry_after: Option<Duration>) -> Fault {
    let (kind, code) = match class {
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
        CallErrorClass::Malformed => (FaultKind::Upstream, "provider_bad_answer"),
        CallErrorClass::NotConfigured => (FaultKind::Unavailable, "not_configured"),
        CallErrorClass::Cancelled => (FaultKind::Unavailable, "cancelled"),
    };
    let mut fault = Fault::new(kind, message).with_code(code);
    fault.retry_after = match class {
        CallErrorClass::RateLimit | CallErrorClass::Overloaded => Some(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        _ => retry_after,
    };
    fault
}

/// The error object of a fault. Faults without a code of their own get one by kind where clients act on it.
pub fn error_body(fault: &Fault) -> ErrorBody {
    let kind = match fault.kind {
        FaultKind::InvalidRequest | FaultKind::NotFound | FaultKind::Conflict | FaultKind::TooLarge => {
            "invalid_request_error"
        }
        FaultKind::Unauthenticated => "unauthorized",
        FaultKind::Forbidden => "forbidden",
        FaultKind::RateLimited => "rate_limit_error",
        FaultKind::Unavailable | FaultKind::Upstream | FaultKind::UpstreamTimeout | FaultKind::Internal => "api_error",
    };
    let fallback = match fault.kind {
        FaultKind::InvalidRequest | FaultKind::Conflict => None,
        FaultKind::Unauthenticated => Some("unauthorized"),
        FaultKind::Forbidden => Some("forbidden"),
        FaultKind::NotFound => Some("not_found"),
        FaultKind::TooLarge => Some("request_too_large"),
        FaultKind::RateLimited => Some("rate_limit_exceeded"),
        FaultKind::Unavailable => Some("unavailable"),
        FaultKind::Upstream => Some("upstream_error"),
        FaultKind::UpstreamTimeout => Some("upstream_timeout"),
        FaultKind::Internal => Some("internal_error"),
    };
    let mut body = ErrorBody::new(fault.message.clone(), kind);
    body.error.code = fault.code.or(fallback).map(Cow::Borrowed);
    body.error.param.clone_from(&fault.param);
    body
}
