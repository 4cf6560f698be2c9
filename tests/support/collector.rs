//! A collector for OpenTelemetry: takes what is sent over HTTP and gRPC, or refuses it.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use openclaw::wire::otlp::any_value::Value;
use openclaw::wire::otlp::{ExportLogs, ExportMetrics, ExportTraces, KeyValue, LogRecord, Metric, Resource, Span};
use prost::Message as _;
use tokio::net::TcpListener;

/// One request that was taken.
#[derive(Clone)]
pub struct Sent {
    pub path: String,
    pub headers: HeaderMap,
    pub message: Bytes,
}

#[derive(Default)]
struct Shared {
    sent: Mutex<Vec<Sent>>,
    /// Answered instead of taking anything, unless 0.
    refuses: AtomicU16,
    refused: AtomicU16,
}

/// A running collector; ends with the test.
pub struct Collector {
    port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let app = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, shared, task }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers everything with this status; 0: takes it.
    pub fn refuse(&self, status: u16) {
        self.shared.refuses.store(status, Ordering::SeqCst);
    }

    /// How many requests were refused.
    pub fn refused(&self) -> u16 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.shared.sent.lock().unwrap().clone()
    }

    fn of(&self, kind: &str) -> Vec<Sent> {
        let is_wanted = |sent: &Sent| sent.path.to_ascii_lowercase().contains(kind);
        self.sent().into_iter().filter(is_wanted).collect()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.of("trace");
        let requests = requests
            .iter()
            .map(|sent| ExportTraces::decode(sent.message.clone()).unwrap());
        let scopes = requests
            .flat_map(|request| request.resource_spans)
            .flat_map(|spans| spans.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// All log records so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        let requests = self.of("logs");
        let requests = requests
            .iter()
            .map(|sent| ExportLogs::decode(sent.message.clone()).unwrap());
        let scopes = requests
            .flat_map(|request| request.resource_logs)
            .flat_map(|logs| logs.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    /// The metrics of the last request, with who sent them.
    pub fn metrics(&self) -> Option<(Resource, Vec<Metric>)> {
        let last = self.of("metrics").pop()?;
        let mut request = ExportMetrics::decode(last.message).unwrap();
        let sent = request.resource_metrics.remove(0);
        let metrics = sent.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect();
        Some((sent.resource.unwrap(), metrics))
    }
}

/// The text of an attribute.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(value) => Some(value.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::ArrayValue(_) => None,
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let is_grpc = headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/grpc");
    let refuses = shared.refuses.load(Ordering::SeqCst);
    if refuses != 0 {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(refuses).unwrap();
        response
            .headers_mut()
            .insert("retry-after", HeaderValue::from_static("0"));
        return response;
    }
    let message = if is_grpc { body.slice(5..) } else { body };
    shared.sent.lock().unwrap().push(Sent {
        path: uri.path().to_owned(),
        headers,
        message,
    });
    if !is_grpc {
        return Response::new(Body::empty());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
