//! The entry of the HTTP surface: one request in, one response out.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{self, HeaderMap};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};

use super::access::{self, Gatekeeper};
use super::agent_call::{self, Inputs, Slots};
use super::body::BodyError;
use super::cors::Grant;
use super::grpc::{self, Grpc};
use super::probes::{self, Detail};
use super::reply::{self, REQUEST_ID};
use super::responses::{self, Background};
use super::route::Route;
use super::settings::Settings;
use super::upgrade::{self, Sockets};
use super::{Body, Peer, chat, embeddings, fault, management, models, page, request_id};
use crate::base::Clock;
use crate::config::{AuthMode, TrustedProxy};
use crate::domain::embedding::Embedder;
use crate::domain::run::Runs;
use crate::domain::{Fault, FaultKind, Principal, Scope};
use crate::fetch::Fetcher;
use crate::health::Probes;
use crate::lifecycle::Lifecycle;
use crate::live::{Live, LiveHandle};
use crate::store::Store;
use crate::telemetry::requests::HttpRequests;
use crate::telemetry::span::{Span, SpanKind, Tracer};
use crate::telemetry::trace::TRACEPARENT;

/// Renders all metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the surface needs of the rest of the gateway.
#[derive(Clone)]
pub struct Ports {
    /// Configuration and what was derived from it.
    pub live: LiveHandle,
    /// The authenticator.
    pub gate: Arc<dyn Gatekeeper>,
    /// The run loop.
    pub runs: Arc<dyn Runs>,
    /// Embedding models.
    pub embedder: Arc<dyn Embedder>,
    /// Stored responses.
    pub store: Store,
    /// Probes.
    pub probes: Probes,
    /// Life of the process.
    pub lifecycle: Lifecycle,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where WebSockets go.
    pub sockets: Arc<dyn Sockets>,
    /// Metrics.
    pub metrics: RenderMetrics,
    /// gRPC services.
    pub grpc: tonic::service::Routes,
    /// Follows links in requests.
    pub fetcher: Fetcher,
    /// Spans.
    pub tracer: Tracer,
}

pub(super) struct Inner {
    pub(super) ports: Ports,
    settings: ArcSwap<Settings>,
    grpc: Grpc,
    /// Agent requests at work.
    pub(super) slots: Slots,
    /// Resolves links and documents in requests.
    pub(super) inputs: Inputs,
    requests: HttpRequests,
    /// Responses that are worked on in the background.
    pub(super) background: Background,
}

/// The HTTP surface; cheap to clone.
#[derive(Clone)]
pub struct Surface(pub(super) Arc<Inner>);

/// One request as handlers see it.
pub(super) struct Exchange<'a> {
    pub surface: &'a Inner,
    pub live: Arc<Live>,
    pub settings: Arc<Settings>,
    pub peer: Peer,
    /// What the web page that sent the request may do.
    pub page: Grant,
}

impl Surface {
    /// A surface over these ports.
    pub fn new(ports: Ports) -> Self {
        let settings = Settings::of(&ports.live.load().snapshot);
        Self(Arc::new(Inner {
            inputs: Inputs::new(ports.fetcher.clone()),
            grpc: Grpc::new(ports.grpc.clone()),
            ports,
            settings: ArcSwap::from_pointee(settings),
            slots: Slots::default(),
            requests: HttpRequests::default(),
            background: Background::default(),
        }))
    }

    /// Answers one request.
    pub async fn answer<B>(&self, peer: Peer, mut request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let began = Instant::now();
        let id = request_id::of(request.headers());
        let is_http2 = request.version() == Version::HTTP_2;
        let exchange = self.0.exchange(peer, request.uri().path(), request.headers());
        let hsts = exchange.settings.hsts.clone();
        let (route, method) = (
            route_label(&request, &exchange.settings),
            method_label(request.method()),
        );
        let page = exchange.page.clone();
        let span = self.0.span(method, route, request.headers_mut());
        let answer = AssertUnwindSafe(self.dispatch(&exchange, request, &id))
            .catch_unwind()
            .await;
        let mut response = answer.unwrap_or_else(|_| {
            tracing::error!(target: "http", request_id = ?id, "a handler panicked");
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        });
        let status = response.status();
        self.0
            .requests
            .answered(route, method, status.as_u16(), began.elapsed());
        if let Some(mut span) = span {
            span.set("http.response.status_code", u64::from(status.as_u16()));
            if status.is_server_error() {
                span.fail("server_error");
            }
            if span.is_recorded() {
                response = response.map(|body| body.within(span));
            }
        }
        let draining = self.0.ports.lifecycle.is_draining();
        let headers = response.headers_mut();
        reply::put_security_headers(headers, hsts.as_ref());
        headers.insert(REQUEST_ID, id);
        page.mark(headers);
        // While draining, load balancers should move on with their next request.
        if is_http2 {
            headers.remove(header::CONNECTION);
        } else if draining && !headers.contains_key(header::UPGRADE) {
            reply::close_connection(headers);
        }
        response
    }

    async fn dispatch<B>(&self, exchange: &Exchange<'_>, request: Request<B>, id: &HeaderValue) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        if !upgrade::is_wanted(request.version(), request.headers()) {
            return exchange.dispatch(request, id).await;
        }
        if exchange.settings.responses && request.uri().path() == "/v1/responses" {
            return responses::accept(&self.0, exchange, request);
        }
        let ports = &self.0.ports;
        upgrade::accept(&*ports.sockets, &ports.lifecycle, exchange.peer, request)
    }
}

impl Inner {
    /// An exchange with this peer under the present configuration.
    pub(super) fn exchange(&self, peer: Peer, path: &str, headers: &HeaderMap) -> Exchange<'_> {
        let live = self.ports.live.load();
        let settings = self.settings(&live);
        let page = Grant::of(Route::of(path, &settings).origins(&settings), headers);
        Exchange {
            surface: self,
            live,
            settings,
            peer,
            page,
        }
    }

    /// The span of a request that works for somebody, now the parent of what the request does. Probes and pages have
    /// none: there are many, and they tell nothing.
    fn span(&self, method: &'static str, route: &'static str, headers: &mut HeaderMap) -> Option<Span> {
        if !self.ports.tracer.is_on() || !route.starts_with("/v1/") {
            return None;
        }
        let parent = agent_call::trace(headers);
        let mut span = self
            .ports
            .tracer
            .start(format!("{method} {route}"), SpanKind::Server, parent);
        if span.context() != parent {
            headers.remove(TRACEPARENT);
            let own = span
                .context()
                .and_then(|own| HeaderValue::try_from(own.to_string()).ok());
            headers.extend(own.map(|own| (TRACEPARENT, own)));
        }
        span.set("http.request.method", method);
        span.set("http.route", route);
        Some(span)
    }

    /// Settings of this generation.
    fn settings(&self, live: &Live) -> Arc<Settings> {
        let known = self.settings.load();
        if known.generation == live.snapshot.generation {
            return Arc::clone(&known);
        }
        let fresh = Arc::new(Settings::of(&live.snapshot));
        self.settings.store(Arc::clone(&fresh));
        fresh
    }
}

impl Exchange<'_> {
    async fn dispatch<B>(&self, request: Request<B>, id: &HeaderValue) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let ports = &self.surface.ports;
        if grpc::is_wanted(request.headers()) {
            let mut request = request;
            request.extensions_mut().insert(self.peer.addr);
            return self.surface.grpc.answer(request, self.settings.body_silence).await;
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let route = Route::of(path, &self.settings);
        tracing::debug!(target: "http", method = %parts.method, ?route, request_id = ?id, "request");
        let Some(allow) = route.allow() else {
            return unknown(route, &parts.method, path);
        };
        if let Some(granted) = self.page.preflight(&parts.method, &parts.headers, allow) {
            return granted;
        }
        let is_head = parts.method == Method::HEAD;
        if !allow.split(", ").any(|method| method == parts.method.as_str()) {
            let refusal = reply::method_not_allowed(allow);
            return if is_head { reply::without_body(refusal) } else { refusal };
        }
        let headers = &parts.headers;
        let response = match route {
            Route::Chat => return chat::handle(self, headers, body).await,
            Route::Embeddings => return embeddings::handle(self, headers, body).await,
            Route::Responses(endpoint) => {
                let query = parts.uri.query().unwrap_or_default();
                return responses::handle(self, endpoint, &parts.method, query, headers, body).await;
            }
            Route::Liveness => probes::liveness(&ports.probes),
            Route::Readiness => probes::readiness(&ports.probes, self.detail(headers)).await,
            Route::Startup => probes::startup(&ports.probes, self.detail(headers)),
            Route::Page => page::home(),
            Route::Models | Route::Model(_) | Route::Metrics => match self.authorize(headers, Scope::Read) {
                Err(refusal) => *refusal,
                Ok(_) => match route {
                    Route::Models => models::list(&self.live.snapshot),
                    Route::Model(id) => models::get(&self.live.snapshot, id),
                    _ => management::metrics(&ports.metrics),
                },
            },
            Route::UnknownApi | Route::Unknown => unknown(route, &parts.method, path),
        };
        if is_head {
            reply::without_body(response)
        } else {
            response
        }
    }

    /// The caller, if it may do what needs `scope`.
    pub(super) fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<Principal, Box<Response<Body>>> {
        let auth = &self.live.snapshot.auth;
        let gate = &*self.surface.ports.gate;
        access::authorize(gate, auth, self.peer.addr, headers, self.page.is_given(), scope)
    }

    /// Local callers and authenticated ones are told more. With mode `none` everybody is authenticated, so only being
    /// local counts.
    fn detail(&self, headers: &HeaderMap) -> Detail {
        let auth = &self.live.snapshot.auth;
        let gate = &*self.surface.ports.gate;
        if gate.facts(auth, self.peer.addr, headers).local_direct {
            return Detail::Full;
        }
        // Without a credential there is nothing to judge, and nothing to count as a failed attempt.
        let shows_credential = match auth.mode {
            AuthMode::None => false,
            AuthMode::Token | AuthMode::Password => headers.contains_key(header::AUTHORIZATION),
            AuthMode::TrustedProxy => {
                let names_user = |rules: &TrustedProxy| headers.contains_key(rules.user_header.as_str());
                auth.trusted_proxy.as_ref().is_some_and(names_user)
            }
        };
        if shows_credential && gate.admit(auth, self.peer.addr, headers).is_ok() {
            Detail::Full
        } else {
            Detail::Brief
        }
    }
}

fn route_label<B>(request: &Request<B>, settings: &Settings) -> &'static str {
    if upgrade::is_wanted(request.version(), request.headers()) {
        "websocket"
    } else if grpc::is_wanted(request.headers()) {
        "grpc"
    } else {
        Route::of(request.uri().path(), settings).template()
    }
}

/// Clients may invent methods; labels must not grow with them.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

fn unknown(route: Route<'_>, method: &Method, path: &str) -> Response<Body> {
    if route == Route::UnknownApi {
        let text = format!("Unknown endpoint: {method} {path}");
        return fault::shape_a(&Fault::new(FaultKind::NotFound, text));
    }
    reply::not_found()
}
