//! Dialect `openai-completions`: `POST <base>/chat/completions`, spoken by OpenAI and by most servers of open models.
//!
//! `request` builds bodies, `chunk` (with the shapes in `shape`) reads answers, both pure; `answer` pulls a body through them; this file does the
//! IO: headers, deadlines, classification of refusals. A provider that refuses `stream_options` is remembered.

pub mod answer;
pub mod chunk;
pub mod request;
mod shape;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response};
use tokio::time::timeout;
use url::Url;

use self::answer::Answer;
use self::chunk::Assembler;
use self::request::RequestSettings;
use super::body::{BodyError, MAX_ANSWER_BYTES, read_error_body, read_whole};
use super::failure::{Complaint, call_error, classify, parse_retry_after, redact};
use super::http::{HttpClients, SendError, is_private};
use crate::base::{Clock, Secret, SystemClock};
use crate::config::{ModelEntry, ProviderSettings};
use crate::domain::Message;
use crate::domain::model::{CallError, CallErrorClass, ModelCall, ModelProvider, ModelStream};

/// The dialect's name in config.
pub const API: &str = "openai-completions";

/// Longest silence of a provider on the internet, before the first byte and between two.
const DEFAULT_IDLE: Duration = Duration::from_secs(120);

/// An answer in one piece is silent until it is complete.
const DEFAULT_WHOLE: Duration = Duration::from_secs(600);

/// How long the words of a refusal are waited for.
const ERROR_BODY_DEADLINE: Duration = Duration::from_secs(10);

/// One configured provider of this dialect.
pub struct OpenAiCompletions {
    id: Arc<str>,
    endpoint: Url,
    headers: HeaderMap,
    secrets: Arc<[Secret]>,
    models: Vec<ModelEntry>,
    deadlines: Deadlines,
    renames_max_tokens: bool,
    refuses_stream_options: AtomicBool,
    http: HttpClients,
}

/// How long silence is borne; `None`: for ever (the run has its own deadline).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deadlines {
    first_byte: Option<Duration>,
    whole_answer: Option<Duration>,
    idle: Option<Duration>,
}

impl Deadlines {
    /// A configured time rules all; otherwise the defaults, which do not apply to machines of one's own.
    fn new(configured: Option<Duration>, endpoint: &Url) -> Self {
        let default = |value| (!is_private(endpoint)).then_some(value);
        Self {
            first_byte: configured.or(default(DEFAULT_IDLE)),
            whole_answer: configured.or(default(DEFAULT_WHOLE)),
            idle: configured.or(default(DEFAULT_IDLE)),
        }
    }
}

impl fmt::Debug for OpenAiCompletions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiCompletions")
            .field("id", &self.id)
            .field("host", &self.endpoint.host_str())
            .finish_non_exhaustive()
    }
}

impl OpenAiCompletions {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Self, String> {
        let id = &settings.id;
        let key = settings
            .api_key
            .as_ref()
            .map_err(|reason| format!("provider `{id}` cannot be used: {reason}"))?;
        let endpoint = format!("{}/chat/completions", settings.base_url.trim_end_matches('/'));
        let endpoint = Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| format!("provider `{id}` has no usable baseUrl; it must be an http or https address"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut secrets = Vec::new();
        if let Some(key) = key {
            headers.insert(
                AUTHORIZATION,
                sensitive(id, "apiKey", &format!("Bearer {}", key.expose()))?,
            );
            secrets.push(key.clone());
        }
        for (name, value) in &settings.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("provider `{id}` has a header with the invalid name `{name}`"))?;
            headers.insert(parsed, sensitive(id, name, value.expose())?);
            secrets.push(value.clone());
        }
        Ok(Self {
            id: Arc::from(id.as_str()),
            deadlines: Deadlines::new(settings.idle_timeout, &endpoint),
            renames_max_tokens: endpoint.host_str() == Some("api.openai.com"),
            endpoint,
            headers,
            secrets: secrets.into(),
            models: settings.models.clone(),
            refuses_stream_options: AtomicBool::new(false),
            http,
        })
    }

    async fn begin(&self, call: &ModelCall) -> Result<ModelStream, CallError> {
        let with_options = call.stream && !self.refuses_stream_options.load(Ordering::Relaxed);
        let response = self.post(call, with_options).await?;
        if response.status().is_success() {
            return self.read(call, response).await;
        }
        let (error, complaint) = self.refusal(response).await;
        let is_about_options = matches!(error.status, Some(400 | 422)) && complaint.message.contains("stream_options");
        if !(with_options && is_about_options) {
            return Err(error);
        }
        tracing::info!(target: "models", provider = %self.id, "the provider does not accept stream_options; left out from now on");
        self.refuses_stream_options.store(true, Ordering::Relaxed);
        let response = self.post(call, false).await?;
        if response.status().is_success() {
            return self.read(call, response).await;
        }
        Err(self.refusal(response).await.0)
    }

    async fn post(&self, call: &ModelCall, stream_options: bool) -> Result<Response, CallError> {
        let settings = RequestSettings {
            max_tokens: self.max_tokens(&call.model),
            stream_options,
            renames_max_tokens: self.renames_max_tokens,
        };
        let body = request::to_request(call, &settings).map_err(|error| {
            call_error(
                CallErrorClass::BadRequest,
                format!("the request to provider `{}` could not be written: {error}", self.id),
            )
        })?;
        let mut request = Request::new(Method::POST, self.endpoint.clone());
        *request.headers_mut() = self.headers.clone();
        let accept = if call.stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(value) = call
            .traceparent
            .as_deref()
            .and_then(|text| HeaderValue::from_str(text).ok())
        {
            request
                .headers_mut()
                .insert(HeaderName::from_static("traceparent"), value);
        }
        *request.body_mut() = Some(Bytes::from(body).into());
        let deadline = if call.stream {
            self.deadlines.first_byte
        } else {
            self.deadlines.whole_answer
        };
        let sending = self.http.send(request);
        let sent = match deadline {
            None => sending.await,
            Some(deadline) => timeout(deadline, sending)
                .await
                .map_err(|_| silence(&self.id, deadline))?,
        };
        sent.map_err(|error| self.not_sent(&error))
    }

    async fn read(&self, call: &ModelCall, response: Response) -> Result<ModelStream, CallError> {
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        // Some servers leave the content type of a stream out; what calls itself JSON or markup is no stream.
        let is_stream = call.stream && !content_type.starts_with("application/json");
        if is_stream && content_type.starts_with("text/html") {
            return Err(self.malformed("answered with a web page instead of a completion; check baseUrl"));
        }
        let mut assembler = Assembler::new(Arc::clone(&self.id), Arc::clone(&self.secrets), accepts_empty(call));
        if is_stream {
            return Ok(Box::pin(Answer::new(response, assembler, self.deadlines.idle)));
        }
        let body = read_whole(response, MAX_ANSWER_BYTES, self.deadlines.idle)
            .await
            .map_err(|error| match error {
                BodyError::Silent { .. } => {
                    call_error(CallErrorClass::Timeout, format!("provider `{}`: {error}", self.id))
                }
                BodyError::Cut => call_error(CallErrorClass::Network, format!("provider `{}`: {error}", self.id)),
                BodyError::TooLarge { .. } => self.malformed(&error.to_string()),
            })?;
        let events = assembler.take_whole(&body)?;
        Ok(Box::pin(stream::iter(events.into_iter().map(Ok))))
    }

    /// What a status other than 2xx means.
    async fn refusal(&self, response: Response) -> (CallError, Complaint) {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = read_error_body(response, ERROR_BODY_DEADLINE).await;
        let complaint = Complaint::parse(&body);
        let class = classify(status, &complaint);
        let message = match (class, complaint.message.as_str()) {
            (CallErrorClass::NotConfigured, _) => format!(
                "provider `{}` answered with a redirect (HTTP {status}); set its baseUrl to the final address",
                self.id
            ),
            (_, "") => format!("provider `{}` answered HTTP {status}", self.id),
            (_, words) => format!("provider `{}` answered HTTP {status}: {words}", self.id),
        };
        let error = CallError {
            class,
            status: Some(status),
            message: redact(message, self.secrets.iter()),
            retry_after,
        };
        (error, complaint)
    }

    fn not_sent(&self, error: &SendError) -> CallError {
        let host = self.endpoint.host_str().unwrap_or_default();
        let port = self.endpoint.port_or_known_default().unwrap_or_default();
        let class = match error {
            SendError::Setup(_) => CallErrorClass::NotConfigured,
            SendError::ConnectTimeout => CallErrorClass::Timeout,
            SendError::Connect(_) | SendError::Broken(_) => CallErrorClass::Network,
        };
        let message = format!("provider `{}` at {host}:{port}: {error}", self.id);
        call_error(class, redact(message, self.secrets.iter()))
    }

    fn malformed(&self, what: &str) -> CallError {
        call_error(CallErrorClass::Malformed, format!("provider `{}`: {what}", self.id))
    }

    fn max_tokens(&self, model: &str) -> Option<u64> {
        self.models
            .iter()
            .find(|entry| entry.id == model)
            .map(|entry| entry.max_tokens)
            .filter(|max| *max > 0)
    }
}

impl ModelProvider for OpenAiCompletions {
    fn id(&self) -> &str {
        &self.id
    }

    fn api(&self) -> &'static str {
        API
    }

    fn call<'a>(
        &'a self,
        call: &'a ModelCall,
    ) -> Pin<Box<dyn Future<Output = Result<ModelStream, CallError>> + Send + 'a>> {
        Box::pin(self.begin(call))
    }
}

/// After a tool result a model may have nothing to add; otherwise an empty answer is a failure.
fn accepts_empty(call: &ModelCall) -> bool {
    matches!(call.messages.last().map(|last| &**last), Some(Message::Tool { .. }))
}

fn silence(provider: &str, deadline: Duration) -> CallError {
    call_error(
        CallErrorClass::Timeout,
        format!("provider `{provider}` did not answer within {} s", deadline.as_secs()),
    )
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
mod tests;
