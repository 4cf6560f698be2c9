//! Web pages of other origins that may call the API. Off unless an endpoint lists them.
//!
//! Requests carry a bearer credential that a page has to know, never a cookie, so credentials are not allowed along.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};

use super::Body;

/// How long a browser may remember a preflight, seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// What a page may read of a response beside the few headers it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id, retry-after, x-should-retry");
/// Longest list of request headers that is granted, bytes.
const MAX_REQUESTED: usize = 2_048;
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");

/// Configured origins in the form that browsers send.
pub(super) fn origins(configured: Option<&[String]>) -> Vec<String> {
    let normal = |origin: &String| origin.trim().trim_end_matches('/').to_ascii_lowercase();
    configured.unwrap_or_default().iter().map(normal).collect()
}

/// What a request's origin may do on one route.
#[derive(Debug, Clone)]
pub(super) enum Grant {
    /// The route is for no pages of other origins.
    Closed,
    /// Some may call it, and this is not one of them.
    Refused,
    /// This one may.
    Given(HeaderValue),
}

impl Grant {
    /// The grant of a request to a route with these lists.
    pub(super) fn of(lists: [&[String]; 2], headers: &HeaderMap) -> Self {
        let mut allowed = lists.into_iter().flatten();
        if lists.iter().all(|list| list.is_empty()) {
            return Self::Closed;
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Self::Refused;
        };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if allowed.any(|allowed| allowed == "*" || *allowed == text) {
            Self::Given(origin.clone())
        } else {
            Self::Refused
        }
    }

    /// Whether this page may call.
    pub(super) const fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }

    /// The answer to a preflight; `None`: it is none, or is answered like any other OPTIONS.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap, allow: &str) -> Option<Response<Body>> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !self.is_given() {
            return None;
        }
        let methods = HeaderValue::from_str(allow).ok()?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        out.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // SDKs send headers of their own making; which ones is no secret and changes with every version.
        let requested = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(requested) = requested.filter(|requested| requested.len() <= MAX_REQUESTED) {
            out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
        }
        if headers.contains_key(&PRIVATE_NETWORK) {
            let name = HeaderName::from_static("access-control-allow-private-network");
            out.insert(name, HeaderValue::from_static("true"));
        }
        Some(response)
    }

    /// Adds to a response what the browser wants to read.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        match self {
            Self::Closed => return,
            Self::Refused => {}
            Self::Given(origin) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}
