//! Domain results as parts of responses.

use std::borrow::Cow;

use crate::domain::model::Usage;
use crate::domain::{Fault, FaultKind};
use crate::wire::openai::completion::Usage as WireUsage;
use crate::wire::openai::error::ErrorBody;

/// `usage` of a completion.
pub fn wire_usage(usage: &Usage) -> WireUsage {
    WireUsage::new(usage.prompt(), usage.cache_read, usage.output, usage.reasoning)
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
