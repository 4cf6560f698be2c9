//! The management surface: metrics and probes for the pod network, without credentials. It never serves anything else.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::probes::{self, Detail};
use super::surface::RenderMetrics;
use super::{Body, reply};
use crate::health::Probes;

/// Media type of the Prometheus text format.
pub(super) const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Answers on the management listener; cheap to clone.
#[derive(Clone)]
pub struct Management {
    probes: Probes,
    metrics: RenderMetrics,
}

impl Management {
    /// A surface over these.
    pub fn new(probes: Probes, metrics: RenderMetrics) -> Self {
        Self { probes, metrics }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let path = request.uri().path();
        let is_known = matches!(path, "/metrics" | "/healthz" | "/readyz" | "/startupz");
        if is_known && !is_head && request.method() != Method::GET {
            return reply::method_not_allowed("GET, HEAD");
        }
        let response = match path {
            "/metrics" => metrics(&self.metrics),
            "/healthz" => probes::liveness(&self.probes),
            "/readyz" => probes::readiness(&self.probes, Detail::Full).await,
            "/startupz" => probes::startup(&self.probes, Detail::Full),
            _ => reply::not_found(),
        };
        if is_head {
            reply::without_body(response)
        } else {
            response
        }
    }
}

/// The metrics page.
pub(super) fn metrics(render: &RenderMetrics) -> Response<Body> {
    let mut response = reply::text(StatusCode::OK, render());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, METRICS_TYPE);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
