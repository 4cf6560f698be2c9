//! Dialect `openai-completions`: `POST <base>/chat/completions`, spoken by OpenAI and by most servers of open models.
//!
//! `request` builds bodies, `chunk` (with the shapes in `shape`) reads answers, both pure. A provider that refuses
//! `stream_options` is remembered.

pub mod chunk;
pub mod request;
mod shape;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream;
use reqwest::Response;
use url::Url;

use self::chunk::Assembler;
use self::request::RequestSettings;
use super::answer::Framing;
use super::body::{BodyError, MAX_ANSWER_BYTES, read_whole};
use super::endpoint::{Dialect, Endpoint, Outgoing, content_type};
use super::http::HttpClients;
use crate::config::ProviderSettings;
use crate::domain::model::{CallError, CallErrorClass, ModelCall, ModelProvider, ModelStream};

/// The dialect's name in config.
pub const API: &str = "openai-completions";

const DIALECT: Dialect = Dialect {
    default_base: "",
    key_header: None,
};

/// One configured provider of this dialect.
#[derive(Debug)]
pub struct OpenAiCompletions {
    endpoint: Endpoint,
    url: Url,
    renames_max_tokens: bool,
    refuses_stream_options: AtomicBool,
}

impl OpenAiCompletions {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Self, String> {
        let endpoint = Endpoint::build(settings, DIALECT, http)?;
        Ok(Self {
            url: endpoint.join("chat/completions"),
            renames_max_tokens: endpoint.base().host_str() == Some("api.openai.com"),
            refuses_stream_options: AtomicBool::new(false),
            endpoint,
        })
    }

    async fn begin(&self, call: &ModelCall) -> Result<ModelStream, CallError> {
        let with_options = call.stream && !self.refuses_stream_options.load(Ordering::Relaxed);
        let response = self.post(call, with_options).await?;
        if response.status().is_success() {
            return self.read(call, response).await;
        }
        let (error, complaint) = self.endpoint.refusal(response).await;
        let is_about_options = matches!(error.status, Some(400 | 422)) && complaint.message.contains("stream_options");
        if !(with_options && is_about_options) {
            return Err(error);
        }
        tracing::info!(target: "models", provider = %self.endpoint.provider(), "the provider does not accept stream_options; left out from now on");
        self.refuses_stream_options.store(true, Ordering::Relaxed);
        let response = self.post(call, false).await?;
        if response.status().is_success() {
            return self.read(call, response).await;
        }
        Err(self.endpoint.refusal(response).await.0)
    }

    async fn post(&self, call: &ModelCall, stream_options: bool) -> Result<Response, CallError> {
        let settings = RequestSettings {
            max_tokens: self.endpoint.max_tokens(&call.model),
            stream_options,
            renames_max_tokens: self.renames_max_tokens,
        };
        let body = self.endpoint.write(call, || request::to_request(call, &settings))?;
        let outgoing = Outgoing {
            url: self.url.clone(),
            body,
            headers: Vec::new(),
            accept: if call.stream {
                "text/event-stream"
            } else {
                "application/json"
            },
            is_streamed: call.stream,
        };
        self.endpoint.send(call, outgoing).await
    }

    async fn read(&self, call: &ModelCall, response: Response) -> Result<ModelStream, CallError> {
        let mut assembler = Assembler::new(self.endpoint.draft(call));
        // Some servers leave the content type of a stream out; what calls itself JSON is no stream.
        if call.stream && !content_type(&response).starts_with("application/json") {
            return self.endpoint.read(response, Framing::Sse, assembler);
        }
        let body = read_whole(response, MAX_ANSWER_BYTES, self.endpoint.deadlines().idle)
            .await
            .map_err(|error| {
                let class = match error {
                    BodyError::Silent { .. } => CallErrorClass::Timeout,
                    BodyError::Cut => CallErrorClass::Network,
                    BodyError::TooLarge { .. } => CallErrorClass::Malformed,
                };
                self.endpoint.error(class, &format!("failed: {error}"))
            })?;
        let events = assembler.take_whole(&body)?;
        Ok(Box::pin(stream::iter(events.into_iter().map(Ok))))
    }
}

impl ModelProvider for OpenAiCompletions {
    fn id(&self) -> &str {
        self.endpoint.provider()
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

#[cfg(test)]
mod tests;
