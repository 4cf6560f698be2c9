//! A surface over doubles, for tests of this layer and of the listener.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::{Body, Gatekeeper, Peer, Ports, SocketFacts, SocketTask, Sockets, Surface};
use crate::auth::{AuthFailure, ClientFacts};
use crate::base::clock::ManualClock;
use crate::base::{AgentId, RunId};
use crate::config::{AuthMode, EmbeddingSettings, ResolvedAuth};
use crate::domain::embedding::{Embedder, EmbeddingCall, Embeddings};
use crate::domain::model::{CallError, FinishReason, Usage};
use crate::domain::run::{
    AbortReport, AbortRequest, Accepted, ActiveRuns, PortFuture, RUN_EVENT_CAPACITY, RunEnd, RunEvent, RunHandle,
    RunOutcome, RunRecord, RunRequest, Runs,
};
use crate::domain::{AuthMethod, Fault, Principal, Role, Scope, ScopeSet};
use crate::fetch::Fetcher;
use crate::health::fixtures::snapshot_from;
use crate::health::probes::tests::{World, probes};
use crate::lifecycle::Lifecycle;
use crate::live::{Live, LiveHandle};
use crate::models::Registry;
use crate::models::client::call_fault;
use crate::store::{Store, StoreOptions};
use crate::telemetry::span::Tracer;

/// Knows the bearer values `admin`, `writer` and `reader`; with mode `none` everybody is `admin`.
pub struct Gate;

impl Gatekeeper for Gate {
    fn facts(&self, _auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> ClientFacts {
        let forwarded = headers.contains_key("x-forwarded-for");
        ClientFacts {
            client_ip: peer.ip(),
            local_direct: peer.ip().is_loopback() && !forwarded,
            forwarded,
        }
    }

    fn admit(&self, auth: &ResolvedAuth, peer: SocketAddr, headers: &HeaderMap) -> Result<Principal, AuthFailure> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let scopes = match bearer {
            _ if auth.mode == AuthMode::None => ScopeSet::operator_default(),
            Some("admin") => ScopeSet::operator_default(),
            Some("writer") => ScopeSet::of(&[Scope::Write]),
            Some("reader") => ScopeSet::of(&[Scope::Read]),
            Some("locked") => {
                return Err(AuthFailure {
                    reason: "rate_limited",
                    retry_after: Some(Duration::from_millis(44_100)),
                });
            }
            _ => {
                return Err(AuthFailure {
                    reason: "token_mismatch",
                    retry_after: None,
                });
            }
        };
        Ok(Principal {
            role: Role::Operator,
            scopes,
            method: AuthMethod::Token,
            user: None,
            device: None,
            client_ip: peer.ip(),
            local_direct: true,
        })
    }
}

/// A step of a run.
#[derive(Clone)]
pub enum Step {
    /// The run says this.
    Say(RunEvent),
    /// Nothing happens for this long.
    Wait(Duration),
    /// Nothing happens any more.
    Hang,
}

/// Plays a script for every run.
#[derive(Default)]
pub struct Script {
    pub steps: Mutex<Vec<Step>>,
    pub requests: Mutex<Vec<RunRequest>>,
    /// Cancelled when a run was aborted because its handle was dropped.
    pub aborted: CancellationToken,
}

impl Runs for Script {
    fn submit(&self, _request: RunRequest) -> PortFuture<'_, Result<Accepted, Fault>> {
        Box::pin(async { Err(Fault::unavailable("not in this test")) })
    }

    fn start(&self, request: RunRequest) -> PortFuture<'_, Result<RunHandle, Fault>> {
        let run_id = request.run_id.clone();
        self.requests.lock().unwrap().push(request);
        let steps = self.steps.lock().unwrap().clone();
        let (sender, events) = mpsc::channel(RUN_EVENT_CAPACITY);
        tokio::spawn(async move {
            for step in steps {
                match step {
                    Step::Say(event) => {
                        if sender.send(event).await.is_err() {
                            return;
                        }
                    }
                    Step::Wait(time) => tokio::time::sleep(time).await,
                    Step::Hang => std::future::pending().await,
                }
            }
        });
        let abort = Some(self.aborted.clone().drop_guard());
        Box::pin(async move { Ok(RunHandle::spawned(run_id, events, abort)) })
    }

    fn abort(&self, _request: AbortRequest) -> PortFuture<'_, Result<AbortReport, Fault>> {
        Box::pin(async { Ok(AbortReport::default()) })
    }

    fn wait(&self, _run_id: RunId, _timeout: Duration) -> PortFuture<'_, Option<RunRecord>> {
        Box::pin(async { None })
    }

    fn active(&self) -> ActiveRuns {
        ActiveRuns::default()
    }
}

/// Asks the provider and counts nothing.
struct Direct(LiveHandle);

impl Embedder for Direct {
    fn embed<'a>(
        &'a self,
        _agent: &'a AgentId,
        settings: &'a EmbeddingSettings,
        call: EmbeddingCall,
    ) -> PortFuture<'a, Result<Embeddings, Fault>> {
        let models = Arc::clone(&self.0.load().models);
        Box::pin(async move {
            let refused = |error: CallError| call_fault(error.class, error.message, error.retry_after);
            let provider = models.embedder(settings).map_err(refused)?;
            provider.embed(&call).await.map_err(refused)
        })
    }
}

/// Sends back what it receives, and has no room for who sends the header `x-late`.
struct Echo;

impl Sockets for Echo {
    fn open(&self, facts: SocketFacts) -> Result<SocketTask, Fault> {
        if facts.headers.contains_key("x-late") {
            return Err(Fault::unavailable("Too many unauthenticated sockets"));
        }
        Ok(Box::new(|mut io| {
            Box::pin(async move {
                let (mut reader, mut writer) = tokio::io::split(&mut io);
                drop(tokio::io::copy(&mut reader, &mut writer).await);
            })
        }))
    }
}

/// The end of a run that answered `text`.
pub fn completed(text: &str) -> RunOutcome {
    RunOutcome {
        end: RunEnd::Completed,
        text: text.to_owned(),
        reasoning: String::new(),
        tool_calls: Vec::new(),
        finish: FinishReason::Stop,
        usage: Usage {
            input: 100,
            output: 7,
            cache_read: 11,
            ..Usage::default()
        },
        model: None,
        started_at_ms: 0,
        ended_at_ms: 0,
    }
}

/// The step that ends a run.
pub fn end(outcome: RunOutcome) -> Step {
    Step::Say(RunEvent::Finished(Box::new(outcome)))
}

/// The step that says `text`.
pub fn say(text: &str) -> Step {
    Step::Say(RunEvent::Text(text.to_owned()))
}

/// A surface and what stands behind it.
pub struct Rig {
    pub surface: Surface,
    pub script: Arc<Script>,
    pub lifecycle: Lifecycle,
    pub world: Arc<World>,
    pub live: LiveHandle,
    pub store: Store,
    _dir: TempDir,
}

/// Everything switched on.
pub fn all_on() -> Value {
    json!({"gateway": {"http": {"endpoints": {
        "chatCompletions": {"enabled": true},
        "responses": {"enabled": true},
    }}}})
}

impl Rig {
    /// A running surface with this configuration and script.
    pub fn new(config: Value, mode: AuthMode, steps: Vec<Step>) -> Self {
        let world = Arc::new(World::default());
        let snapshot = snapshot_from(config, mode);
        let (probes, lifecycle) = probes(&world, Arc::clone(&snapshot));
        let live = LiveHandle::new(Live {
            snapshot,
            models: Arc::new(Registry::default()),
        });
        let script = Arc::new(Script {
            steps: Mutex::new(steps),
            ..Script::default()
        });
        let dir = TempDir::new().unwrap();
        let store = Store::open(&dir.path().join("state.db"), StoreOptions::default()).unwrap();
        let surface = Surface::new(Ports {
            live: live.clone(),
            gate: Arc::new(Gate),
            runs: Arc::<Script>::clone(&script),
            embedder: Arc::new(Direct(live.clone())),
            store: store.clone(),
            probes,
            lifecycle: lifecycle.clone(),
            clock: Arc::new(ManualClock::at(1_700_000_000_500)),
            sockets: Arc::new(Echo),
            metrics: Arc::new(|| "openclaw_up 1\n".to_owned()),
            grpc: Routes::default(),
            // Links lead to servers of the tests, which are on this machine.
            fetcher: Fetcher::with_rule(|address| address != IpAddr::from([127, 0, 0, 9])),
            tracer: Tracer::default(),
        });
        Self {
            surface,
            script,
            lifecycle,
            world,
            live,
            store,
            _dir: dir,
        }
    }

    /// Serves these gRPC services.
    pub fn serve_grpc(&mut self, routes: Routes) {
        let mut ports = self.surface.0.ports.clone();
        ports.grpc = routes;
        self.surface = Surface::new(ports);
    }

    /// The probes behind the surface.
    pub fn probes(&self) -> crate::health::Probes {
        self.surface.0.ports.probes.clone()
    }

    /// A surface with everything on, mode token.
    pub fn on(steps: Vec<Step>) -> Self {
        Self::new(all_on(), AuthMode::Token, steps)
    }

    /// Sends a request from loopback.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        self.send_from("127.0.0.1:5555", method, path, headers, body).await
    }

    /// Sends a request from this address.
    pub async fn send_from(
        &self,
        peer: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let peer = Peer {
            addr: peer.parse().unwrap(),
            secure: false,
        };
        self.surface.answer(peer, request).await
    }

    /// Sends a chat request as `admin`.
    pub async fn chat(&self, headers: &[(&str, &str)], body: &Value) -> Response<Body> {
        let headers = [&[("authorization", "Bearer admin")], headers].concat();
        self.send("POST", "/v1/chat/completions", &headers, &body.to_string())
            .await
    }
}

/// The whole body as text.
pub async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The whole body as JSON.
pub async fn body_json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}
