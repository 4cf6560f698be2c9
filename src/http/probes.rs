//! Probe responses. How much is told depends on who asks.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::{Body, reply};
use crate::health::Probes;

/// How much a probe may tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Yes or no.
    Brief,
    /// What is failing, and numbers.
    Full,
}

/// `/healthz`
pub(super) fn liveness(probes: &Probes) -> Response<Body> {
    if probes.is_live() {
        no_store(reply::json_bytes(StatusCode::OK, r#"{"ok":true,"status":"live"}"#))
    } else {
        no_store(reply::json_bytes(
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"ok":false,"status":"unresponsive"}"#,
        ))
    }
}

/// `/readyz`
pub(super) async fn readiness(probes: &Probes, detail: Detail) -> Response<Body> {
    match detail {
        Detail::Full => {
            let readiness = probes.readiness().await;
            no_store(reply::json(code(readiness.ready), &readiness))
        }
        Detail::Brief => {
            let ready = probes.failing().await.is_empty();
            let body = if ready {
                r#"{"ready":true}"#
            } else {
                r#"{"ready":false}"#
            };
            no_store(reply::json_bytes(code(ready), body))
        }
    }
}

/// `/startupz`. Clients read `status` and `pendingReason` without credentials while the gateway starts, so those are
/// always there.
pub(super) fn startup(probes: &Probes, detail: Detail) -> Response<Body> {
    let startup = probes.startup();
    let mut body = match startup.pending {
        None => json!({"ok": true, "status": "started"}),
        Some(pending) => json!({"ok": false, "status": "starting", "pendingReason": pending}),
    };
    if let (Detail::Full, Some(body)) = (detail, body.as_object_mut()) {
        if startup.started {
            body.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        }
        body.insert("uptimeMs".to_owned(), json!(startup.uptime_ms));
    }
    no_store(reply::json(code(startup.started), &body))
}

const fn code(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn no_store(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
