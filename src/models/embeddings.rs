//! Embeddings in the OpenAI dialect: `POST <base>/embeddings`, spoken by OpenAI and most servers of open models.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;
use url::Url;

use super::body::{MAX_ANSWER_BYTES, read_error_body, read_whole};
use super::counts::tokens;
use super::failure::{Complaint, call_error, classify, parse_retry_after, redact};
use super::http::{HttpClients, SendError};
use crate::base::{Clock as _, Secret, SystemClock};
use crate::config::EmbeddingSettings;
use crate::domain::embedding::{EmbeddingCall, EmbeddingInput, EmbeddingProvider, Embeddings, Vector};
use crate::domain::model::{CallError, CallErrorClass};
use crate::domain::run::PortFuture;
use crate::telemetry::trace::TRACEPARENT;

/// Longest wait for an answer, and for its next part.
const DEADLINE: Duration = Duration::from_secs(120);
const ERROR_BODY_DEADLINE: Duration = Duration::from_secs(10);

/// One configured provider of embeddings.
pub struct OpenAiEmbeddings {
    id: String,
    endpoint: Url,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    http: HttpClients,
}

impl fmt::Debug for OpenAiEmbeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiEmbeddings")
            .field("id", &self.id)
            .field("host", &self.endpoint.host_str())
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Ask<'a> {
    model: &'a str,
    input: AskInput<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AskInput<'a> {
    Texts(&'a [String]),
    Tokens(&'a [Vec<u32>]),
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
    #[serde(default)]
    usage: Option<AnswerUsage>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize)]
struct AnswerUsage {
    #[serde(default, deserialize_with = "tokens")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    total_tokens: Option<u64>,
}

impl OpenAiEmbeddings {
    /// Checks the settings; nothing is contacted. The error is the public reason why it cannot be used.
    pub fn build(settings: &EmbeddingSettings, http: HttpClients) -> Result<Self, CallError> {
        let id = &settings.provider;
        let unusable = |reason: String| {
            let text = format!("embedding provider `{id}` cannot be used: {reason}");
            call_error(CallErrorClass::NotConfigured, text)
        };
        let key = settings.api_key.as_ref().map_err(|reason| unusable(reason.clone()))?;
        let endpoint = Url::parse(&format!("{}/embeddings", settings.base_url))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| unusable("its baseUrl must be an http or https address".to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut secrets = Vec::new();
        let bearer = key
            .iter()
            .map(|key| (AUTHORIZATION.as_str(), format!("Bearer {}", key.expose())));
        let extra = settings
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose().to_owned()));
        for (name, value) in bearer.chain(extra) {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| unusable(format!("the header name `{name}` is invalid")))?;
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| unusable(format!("the value of `{name}` cannot be sent in a header")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        secrets.extend(key.iter().cloned());
        secrets.extend(settings.headers.iter().map(|(_, value)| value.clone()));
        Ok(Self {
            id: id.clone(),
            endpoint,
            headers,
            secrets,
            http,
        })
    }

    async fn ask(&self, call: &EmbeddingCall) -> Result<Embeddings, CallError> {
        let body = serde_json::to_vec(&Ask {
            model: &call.model,
            input: match &call.input {
                EmbeddingInput::Texts(texts) => AskInput::Texts(texts),
                EmbeddingInput::Tokens(texts) => AskInput::Tokens(texts),
            },
            dimensions: call.dimensions,
            encoding_format: if call.base64 { "base64" } else { "float" },
            user: call.user.as_deref(),
        })
        .map_err(|error| self.error(CallErrorClass::BadRequest, &error.to_string()))?;
        let mut request = Request::new(Method::POST, self.endpoint.clone());
        *request.headers_mut() = self.headers.clone();
        if let Some(value) = call
            .trace
            .and_then(|trace| HeaderValue::try_from(trace.to_string()).ok())
        {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        *request.body_mut() = Some(body.into());
        let response = timeout(DEADLINE, self.http.send(request))
            .await
            .map_err(|_| self.error(CallErrorClass::Timeout, "no answer in time"))?
            .map_err(|error| self.not_sent(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = read_whole(response, MAX_ANSWER_BYTES, Some(DEADLINE))
            .await
            .map_err(|error| self.error(CallErrorClass::Network, &error.to_string()))?;
        self.read(&body, call.input.len())
    }

    fn read(&self, body: &[u8], expected: usize) -> Result<Embeddings, CallError> {
        let malformed = |what: &str| self.error(CallErrorClass::Malformed, what);
        let mut answer: Answer<'_> =
            serde_json::from_slice(body).map_err(|_| malformed("answered something that is no list of embeddings"))?;
        if answer.data.len() != expected {
            return Err(malformed(
                "answered with another number of vectors than texts were sent",
            ));
        }
        // Servers may answer in any order; without indices it is the order of the texts.
        answer.data.sort_by_key(|item| item.index.unwrap_or(0));
        let vectors = answer
            .data
            .into_iter()
            .map(|item| vector(item.embedding))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| malformed("answered with a vector that is neither an array nor a string"))?;
        let usage = answer.usage.as_ref();
        let prompt_tokens = usage.and_then(|usage| usage.prompt_tokens.max(usage.total_tokens));
        Ok(Embeddings {
            vectors,
            prompt_tokens: prompt_tokens.unwrap_or(0),
        })
    }

    async fn refusal(&self, response: Response) -> CallError {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| parse_retry_after(value.to_str().ok()?, SystemClock.now_ms()));
        let complaint = Complaint::parse(&read_error_body(response, ERROR_BODY_DEADLINE).await);
        let words = match complaint.message.as_str() {
            "" => format!("answered HTTP {status}"),
            words => format!("answered HTTP {status}: {words}"),
        };
        CallError {
            status: Some(status),
            retry_after,
            ..self.error(classify(status, &complaint), &words)
        }
    }

    fn not_sent(&self, error: &SendError) -> CallError {
        let class = match error {
            SendError::Setup(_) => CallErrorClass::NotConfigured,
            SendError::ConnectTimeout => CallErrorClass::Timeout,
            SendError::Connect(_) | SendError::Broken(_) => CallErrorClass::Network,
        };
        self.error(class, &error.to_string())
    }

    fn error(&self, class: CallErrorClass, what: &str) -> CallError {
        let text = format!("embedding provider `{}`: {what}", self.id);
        call_error(class, redact(text, &self.secrets))
    }
}

fn vector(raw: &RawValue) -> Option<Vector> {
    if raw.get().starts_with('[') {
        return Some(Vector::Numbers(raw.to_owned()));
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    Some(Vector::Base64(text.into()))
}

impl EmbeddingProvider for OpenAiEmbeddings {
    fn embed<'a>(&'a self, call: &'a EmbeddingCall) -> PortFuture<'a, Result<Embeddings, CallError>> {
        Box::pin(self.ask(call))
    }
}
