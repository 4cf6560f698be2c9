//! Dialect `openai-responses`: `POST <base>/responses`.
//!
//! `request` builds bodies, `stream` reads answers, both pure. Nothing is stored at the provider: reasoning comes back
//! encrypted and is shown to it again.

pub mod request;
pub mod stream;

use std::pin::Pin;

use url::Url;

use self::stream::Reader;
use super::answer::Framing;
use super::endpoint::{Dialect, Endpoint, Outgoing};
use super::http::HttpClients;
use crate::config::ProviderSettings;
use crate::domain::model::{CallError, ModelCall, ModelProvider, ModelStream};

/// The dialect's name in config.
pub const API: &str = "openai-responses";

const DIALECT: Dialect = Dialect {
    default_base: "https://api.openai.com/v1",
    key_header: None,
};

/// One configured provider of this dialect.
#[derive(Debug)]
pub struct OpenAiResponses {
    endpoint: Endpoint,
    url: Url,
}

impl OpenAiResponses {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Self, String> {
        let endpoint = Endpoint::build(settings, DIALECT, http)?;
        Ok(Self {
            url: endpoint.join("responses"),
            endpoint,
        })
    }

    async fn begin(&self, call: &ModelCall) -> Result<ModelStream, CallError> {
        let entry = self.endpoint.entry(&call.model);
        let body = request::prepare(call, self.endpoint.provider(), entry)?;
        let outgoing = Outgoing {
            url: self.url.clone(),
            body: self.endpoint.write(call, || serde_json::to_vec(&body))?,
            headers: Vec::new(),
            accept: "text/event-stream",
            is_streamed: true,
        };
        let reader = Reader::new(self.endpoint.draft(call));
        self.endpoint.stream(call, outgoing, Framing::Sse, reader).await
    }
}

impl ModelProvider for OpenAiResponses {
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
