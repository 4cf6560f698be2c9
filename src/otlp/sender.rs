//! One signal's way to its collector: a request, repeated while it is worth it, over HTTP or gRPC.

use std::error::Error as _;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};
use prost::Message;
use reqwest::{Client, Response, redirect};
use tokio_util::sync::CancellationToken;

use crate::config::otlp::{OtlpTarget, Signal};
use crate::config::types::diagnostics::OtelProtocol;
use crate::telemetry::events::ExporterState;
use crate::wire::otlp::ExportResponse;

/// Tries for one request.
const TRIES: u32 = 5;
/// Pause before the second try; doubles with every further one.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, also if the collector asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest answer that is read, bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Why a request was not taken.
#[derive(Debug)]
struct Refusal {
    /// From a closed set, for metrics.
    class: &'static str,
    /// For the log; holds neither headers nor paths.
    reason: String,
    /// Whether the same request may be taken later.
    may_pass: bool,
    /// When the collector wants it again.
    after: Option<Duration>,
}

impl Refusal {
    fn permanent(class: &'static str, reason: impl Into<String>) -> Self {
        Self {
            class,
            reason: reason.into(),
            may_pass: false,
            after: None,
        }
    }

    fn passing(class: &'static str, reason: impl Into<String>) -> Self {
        Self {
            may_pass: true,
            ..Self::permanent(class, reason)
        }
    }
}

/// Sends requests of one signal.
pub(super) struct Sender {
    signal: Signal,
    target: OtlpTarget,
    client: Option<Client>,
    /// Whether the last request failed, which is said once.
    is_failing: bool,
}

impl Sender {
    /// Nothing is contacted yet.
    pub(super) fn new(signal: Signal, target: OtlpTarget) -> Self {
        Self {
            signal,
            target,
            client: None,
            is_failing: false,
        }
    }

    /// Sends a request, again and again while that makes sense. After `end` it is tried once.
    pub(super) async fn deliver(&mut self, message: &impl Message, end: &CancellationToken) {
        let body = self.frame(message);
        let signal = self.signal.as_str();
        let mut tried = 0;
        let refusal = loop {
            tried += 1;
            let refusal = match self.send(body.clone()).await {
                Ok(answer) => return self.delivered(&answer),
                Err(refusal) => refusal,
            };
            if !refusal.may_pass || tried >= TRIES || end.is_cancelled() {
                break refusal;
            }
            self.complain(&refusal);
            let own = PAUSE * (1 << (tried - 1));
            let pause = refusal.after.map_or(own, |asked| asked.max(own)).min(LONGEST_PAUSE);
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = tokio::time::sleep(pause.mul_f64(0.75 + 0.5 * rand::random::<f64>())) => {}
            }
        };
        self.complain(&refusal);
        ExporterState::Failed {
            signal,
            reason: refusal.class,
        }
        .emit();
    }

    fn delivered(&mut self, answer: &ExportResponse) {
        let signal = self.signal.as_str();
        ExporterState::Sent { signal }.emit();
        if std::mem::take(&mut self.is_failing) {
            tracing::info!(target: "otlp", signal, "the collector takes telemetry again");
        }
        if let Some(partial) = &answer.partial_success
            && let Ok(items @ 1..) = u64::try_from(partial.rejected)
        {
            tracing::debug!(target: "otlp", signal, items, "the collector refused items: {}", partial.error_message);
            ExporterState::Dropped { signal, items }.emit();
        }
    }

    fn complain(&mut self, refusal: &Refusal) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let host = self.target.url.host_str().unwrap_or_default();
            tracing::warn!(target: "otlp", signal = self.signal.as_str(), host,
                "telemetry is not taken: {} (check diagnostics.otel or OTEL_EXPORTER_OTLP_ENDPOINT)", refusal.reason);
        }
    }

    /// The message, for gRPC with its five bytes in front.
    fn frame(&self, message: &impl Message) -> Bytes {
        let length = message.encoded_len();
        let mut body = BytesMut::with_capacity(length + 5);
        if self.target.protocol == OtelProtocol::Grpc {
            body.put_u8(0);
            body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        }
        // The buffer grows, so there is always room.
        message.encode(&mut body).unwrap_or_default();
        body.freeze()
    }

    async fn send(&mut self, body: Bytes) -> Result<ExportResponse, Refusal> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let target = self.target.clone();
                // Reads certificates from disk.
                let built = tokio::task::spawn_blocking(move || client(&target)).await;
                let built = built.unwrap_or_else(|error| Err(error.to_string()));
                let client = built.map_err(|reason| Refusal::permanent("setup", reason))?;
                self.client.insert(client).clone()
            }
        };
        let mut url = self.target.url.clone();
        if self.target.protocol == OtelProtocol::Grpc {
            url.set_path(method(self.signal));
        }
        let headers = self.headers()?;
        let response = client
            .post(url)
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| {
                let class = if error.is_timeout() { "timeout" } else { "unreachable" };
                Refusal::passing(class, innermost(&error))
            })?;
        match self.target.protocol {
            OtelProtocol::HttpProtobuf => over_http(response).await,
            OtelProtocol::Grpc => over_grpc(response).await,
        }
    }

    fn headers(&self) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.target.headers {
            let unusable = || Refusal::permanent("setup", format!("the header \"{name}\" cannot be sent"));
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?, value);
        }
        let kind = match self.target.protocol {
            OtelProtocol::HttpProtobuf => "application/x-protobuf",
            OtelProtocol::Grpc => {
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                "application/grpc"
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(headers)
    }
}

fn client(target: &OtlpTarget) -> Result<Client, String> {
    let mut builder = Client::builder()
        .timeout(target.timeout)
        .connect_timeout(target.timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("openclaw/", env!("CARGO_PKG_VERSION")));
    if target.protocol == OtelProtocol::Grpc {
        builder = builder.http2_prior_knowledge();
    }
    if target.url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &target.certificate {
        let unreadable = |error: &dyn std::fmt::Display| format!("certificates of {}: {error}", path.display());
        let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(&error))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| innermost(&error))
}

const fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

async fn over_http(response: Response) -> Result<ExportResponse, Refusal> {
    let status = response.status();
    let after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    if status.is_success() {
        let (_, body) = collected(response).await?;
        // A collector may answer with nothing, or in JSON.
        return Ok(ExportResponse::decode(body).unwrap_or_default());
    }
    let reason = format!("HTTP status {}", status.as_u16());
    Err(match status.as_u16() {
        429 | 502 | 503 | 504 => Refusal {
            after,
            ..Refusal::passing("overloaded", reason)
        },
        401 | 403 => Refusal::permanent("unauthorized", reason),
        _ => Refusal::permanent("refused", reason),
    })
}

async fn over_grpc(response: Response) -> Result<ExportResponse, Refusal> {
    if !response.status().is_success() {
        return over_http(response).await;
    }
    // A refusal without any message has its status among the headers.
    let head = response.headers().clone();
    let (trailers, body) = collected(response).await?;
    let field = |name: &str| trailers.get(name).or_else(|| head.get(name))?.to_str().ok();
    let code: u32 = field("grpc-status").and_then(|code| code.parse().ok()).unwrap_or(2);
    if code == 0 {
        let message = body.get(5..).map(Bytes::copy_from_slice).unwrap_or_default();
        return Ok(ExportResponse::decode(message).unwrap_or_default());
    }
    let reason = format!("gRPC status {code} {}", field("grpc-message").unwrap_or_default());
    Err(match code {
        // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
        1 | 4 | 8 | 10 | 11 | 14 | 15 => Refusal::passing("overloaded", reason),
        7 | 16 => Refusal::permanent("unauthorized", reason),
        _ => Refusal::permanent("refused", reason),
    })
}

/// Trailers and body of an answer.
async fn collected(response: Response) -> Result<(HeaderMap, Bytes), Refusal> {
    let body = Limited::new(reqwest::Body::from(response), MAX_ANSWER);
    let collected = body
        .collect()
        .await
        .map_err(|_| Refusal::passing("unreachable", "the answer broke off or was endless"))?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok((trailers, collected.to_bytes()))
}

/// The cause of an error; what surrounds it would show the URL, which may hold a credential.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    match cause {
        Some(cause) => cause.to_string(),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None => "the request could not be made".to_owned(),
    }
}
