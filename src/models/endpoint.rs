//! What every HTTP dialect shares: the checked settings of a provider, its deadlines, sending, what a refusal means.
//!
//! Pure conversions stay with the dialects; this is the one place where a request leaves and an answer begins.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::timeout;
use url::Url;

use super::answer::{Answer, Decoder, Framing};
use super::body::read_error_body;
use super::draft::Draft;
use super::failure::{Complaint, call_error, classify, parse_retry_after, redact};
use super::http::{HttpClients, SendError, is_private};
use crate::base::{Clock, Secret, SystemClock};
use crate::config::{ModelEntry, ProviderSettings};
use crate::domain::model::{CallError, CallErrorClass, ModelCall, ModelStream};
use crate::telemetry::trace::TRACEPARENT;

/// Longest silence of a provider on the internet, before the first byte and between two.
const DEFAULT_IDLE: Duration = Duration::from_secs(120);

/// An answer in one piece is silent until it is complete.
const DEFAULT_WHOLE: Duration = Duration::from_secs(600);

/// Bodies of this size are not written between two other tasks.
const LARGE_BODY: usize = 256 * 1024;

/// How long the words of a refusal are waited for.
const ERROR_BODY_DEADLINE: Duration = Duration::from_secs(10);

/// How long silence is borne; `None`: for ever (the run has its own deadline).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the request to the head of a streamed answer.
    pub first_byte: Option<Duration>,
    /// From the request to the head of an answer in one piece.
    pub whole_answer: Option<Duration>,
    /// Between two pieces of the body.
    pub idle: Option<Duration>,
}

impl Deadlines {
    /// A configured time rules all; otherwise the defaults, which do not apply to machines of one's own.
    pub fn new(configured: Option<Duration>, address: &Url) -> Self {
        let default = |value| (!is_private(address)).then_some(value);
        Self {
            first_byte: configured.or(default(DEFAULT_IDLE)),
            whole_answer: configured.or(default(DEFAULT_WHOLE)),
            idle: configured.or(default(DEFAULT_IDLE)),
        }
    }
}

/// What a dialect adds to the settings.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// Used where `baseUrl` is absent; empty: there is no default.
    pub default_base: &'static str,
    /// Header of the key; `None`: `Authorization: Bearer`.
    pub key_header: Option<&'static str>,
}

/// One request as a dialect wrote it.
#[derive(Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: Url,
    /// JSON.
    pub body: Vec<u8>,
    /// Headers of this request only.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the answer should look like.
    pub accept: &'static str,
    /// Whether the answer begins early and comes in pieces.
    pub is_streamed: bool,
}

/// A provider's address with everything that goes with it.
pub struct Endpoint {
    provider: Arc<str>,
    base: Url,
    headers: HeaderMap,
    secrets: Arc<[Secret]>,
    models: Vec<ModelEntry>,
    deadlines: Deadlines,
    http: HttpClients,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("provider", &self.provider)
            .field("host", &self.base.host_str())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, dialect: Dialect, http: HttpClients) -> Result<Self, String> {
        let id = &settings.id;
        let key = settings
            .api_key
            .as_ref()
            .map_err(|reason| format!("provider `{id}` cannot be used: {reason}"))?;
        let text = match settings.base_url.trim_end_matches('/') {
            "" => dialect.default_base,
            text => text,
        };
        let base = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| format!("provider `{id}` has no usable baseUrl; it must be an http or https address"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut secrets = Vec::new();
        if let Some(key) = key {
            match dialect.key_header.filter(|_| !settings.key_is_bearer) {
                Some(name) => {
                    headers.insert(HeaderName::from_static(name), sensitive(id, "apiKey", key.expose())?);
                }
                None => {
                    let value = format!("Bearer {}", key.expose());
                    headers.insert(AUTHORIZATION, sensitive(id, "apiKey", &value)?);
                }
            }
            secrets.push(key.clone());
        }
        for (name, value) in &settings.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("provider `{id}` has a header with the invalid name `{name}`"))?;
            headers.insert(parsed, sensitive(id, name, value.expose())?);
            secrets.push(value.clone());
        }
        Ok(Self {
            provider: Arc::from(id.as_str()),
            deadlines: Deadlines::new(settings.idle_timeout, &base),
            base,
            headers,
            secrets: secrets.into(),
            models: settings.models.clone(),
            http,
        })
    }

    /// Key of `models.providers`.
    pub fn provider(&self) -> &Arc<str> {
        &self.provider
    }

    /// The configured address.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The configured address with `path` (without leading slash) appended.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// The same endpoint with another address.
    #[must_use]
    pub fn moved_to(mut self, base: Url) -> Self {
        self.base = base;
        self
    }

    /// Adds a header to every request, unless the configuration sets it.
    pub fn set_default_header(&mut self, name: &'static str, value: &'static str) {
        self.headers
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }

    /// What is known about `model`, if it is listed.
    pub fn entry(&self, model: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|entry| entry.id == model)
    }

    /// The largest answer of `model`, if it is known.
    pub fn max_tokens(&self, model: &str) -> Option<u64> {
        self.entry(model).map(|entry| entry.max_tokens).filter(|max| *max > 0)
    }

    /// How long silence is borne.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// A fresh answer to `call`.
    pub fn draft(&self, call: &ModelCall) -> Draft {
        Draft::new(
            Arc::clone(&self.provider),
            Arc::clone(&self.secrets),
            call.accepts_empty(),
        )
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    pub async fn send(&self, call: &ModelCall, outgoing: Outgoing) -> Result<Response, CallError> {
        let mut request = Request::new(Method::POST, outgoing.url);
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static(outgoing.accept));
        headers.extend(outgoing.headers);
        if let Some(value) = call
            .trace
            .and_then(|trace| HeaderValue::try_from(trace.to_string()).ok())
        {
            headers.insert(TRACEPARENT, value);
        }
        *request.body_mut() = Some(Bytes::from(outgoing.body).into());
        let deadline = if outgoing.is_streamed {
            self.deadlines.first_byte
        } else {
            self.deadlines.whole_answer
        };
        let sending = self.http.send(request);
        let sent = match deadline {
            None => sending.await,
            Some(deadline) => timeout(deadline, sending).await.map_err(|_| {
                self.error(
                    CallErrorClass::Timeout,
                    &format!("did not answer within {} s", deadline.as_secs()),
                )
            })?,
        };
        sent.map_err(|error| self.not_sent(&error))
    }

    /// Sends a request and reads its answer as a stream. Any status but 2xx is an error.
    pub async fn stream<D: Decoder>(
        &self,
        call: &ModelCall,
        outgoing: Outgoing,
        framing: Framing,
        decoder: D,
    ) -> Result<ModelStream, CallError> {
        let response = self.send(call, outgoing).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await.0);
        }
        self.read(response, framing, decoder)
    }

    /// Reads an accepted answer as a stream.
    pub fn read<D: Decoder>(&self, response: Response, framing: Framing, decoder: D) -> Result<ModelStream, CallError> {
        if content_type(&response).starts_with("text/html") {
            return Err(self.error(
                CallErrorClass::Malformed,
                "answered with a web page instead of a completion; check baseUrl",
            ));
        }
        Ok(Box::pin(Answer::new(response, framing, decoder, self.deadlines.idle)))
    }

    /// What a status other than 2xx means.
    pub async fn refusal(&self, response: Response) -> (CallError, Complaint) {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = read_error_body(response, ERROR_BODY_DEADLINE).await;
        let complaint = Complaint::parse(&body);
        let class = classify(status, &complaint);
        let message = match (class, complaint.message.as_str()) {
            (CallErrorClass::NotConfigured, _) => {
                format!("answered with a redirect (HTTP {status}); set its baseUrl to the final address")
            }
            (_, "") => format!("answered HTTP {status}"),
            (_, words) => format!("answered HTTP {status}: {words}"),
        };
        let error = CallError {
            status: Some(status),
            retry_after: retry_after.or(complaint.retry_after),
            ..self.error(class, &message)
        };
        (error, complaint)
    }

    /// A failure of this provider. `what` follows its name; secrets are removed.
    pub fn error(&self, class: CallErrorClass, what: &str) -> CallError {
        let message = format!("provider `{}` {what}", self.provider);
        call_error(class, redact(message, self.secrets.iter()))
    }

    /// Writes the body of a request. While a large one is written, other work of this thread goes on elsewhere.
    pub fn write(
        &self,
        call: &ModelCall,
        write: impl FnOnce() -> Result<Vec<u8>, serde_json::Error>,
    ) -> Result<Vec<u8>, CallError> {
        let is_large = call.messages.iter().map(|message| message.bulk()).sum::<usize>() >= LARGE_BODY;
        let can_leave =
            || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        let written = if is_large && can_leave() {
            tokio::task::block_in_place(write)
        } else {
            write()
        };
        written.map_err(|error| self.unwritable(&error))
    }

    /// The request cannot be written in this dialect.
    fn unwritable(&self, error: &serde_json::Error) -> CallError {
        let message = format!(
            "the request to provider `{}` could not be written: {error}",
            self.provider
        );
        call_error(CallErrorClass::BadRequest, message)
    }

    fn not_sent(&self, error: &SendError) -> CallError {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        let class = match error {
            SendError::Setup(_) => CallErrorClass::NotConfigured,
            SendError::ConnectTimeout => CallErrorClass::Timeout,
            SendError::Connect(_) | SendError::Broken(_) => CallErrorClass::Network,
        };
        self.error(class, &format!("at {host}:{port}: {error}"))
    }
}

/// The `Content-Type`, empty if there is none.
pub fn content_type(response: &Response) -> &str {
    response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    text(&HeaderName::from_static("retry-after-ms"))
        .and_then(|value| value.trim().parse().ok())
        .map(Duration::from_millis)
        .or_else(|| text(&RETRY_AFTER).and_then(|value| parse_retry_after(value, SystemClock.now_ms())))
}

fn sensitive(provider: &str, what: &str, value: &str) -> Result<HeaderValue, String> {
    let mut header = HeaderValue::from_str(value)
        .map_err(|_| format!("provider `{provider}`: {what} holds characters that cannot be sent in a header"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_apply_to_the_internet_and_where_configured() {
        let public = Url::parse("https://api.example.com/v1").unwrap();
        let private = Url::parse("http://192.168.1.9:8000/v1").unwrap();
        let set = Some(Duration::from_secs(5));
        assert_eq!(Deadlines::new(None, &public).first_byte, Some(DEFAULT_IDLE));
        assert_eq!(Deadlines::new(None, &private).idle, None);
        assert_eq!(Deadlines::new(set, &private).idle, set);
        assert_eq!(Deadlines::new(set, &public).whole_answer, set);
    }
}
