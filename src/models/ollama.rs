//! Dialect `ollama`: `POST <base>/api/chat`, Ollama's own API, one JSON value per line.
//!
//! Unlike its imitation of chat completions it lets the caller set the context window, which is small otherwise.
//! `request` builds bodies, `stream` reads answers, both pure; `discovery` finds a server on this machine.

mod discovery;
pub mod request;
pub mod stream;

use std::pin::Pin;

use url::Url;

pub use self::discovery::{ID, discover};
use self::stream::Reader;
use super::answer::Framing;
use super::endpoint::{Dialect, Endpoint, Outgoing};
use super::http::HttpClients;
use crate::config::ProviderSettings;
use crate::domain::model::{CallError, ModelCall, ModelProvider, ModelStream};

/// The dialect's name in config.
pub const API: &str = "ollama";

const DEFAULT_BASE: &str = "http://127.0.0.1:11434";

const DIALECT: Dialect = Dialect {
    default_base: DEFAULT_BASE,
    key_header: None,
};

/// One configured provider of this dialect.
#[derive(Debug)]
pub struct Ollama {
    endpoint: Endpoint,
    url: Url,
}

impl Ollama {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Self, String> {
        let endpoint = Endpoint::build(settings, DIALECT, http)?;
        // Many copy the address of the chat-completions imitation.
        let base = endpoint
            .base()
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/v1")
            .to_owned();
        let mut url = endpoint.base().clone();
        url.set_path(&format!("{base}/api/chat"));
        Ok(Self { endpoint, url })
    }

    async fn begin(&self, call: &ModelCall) -> Result<ModelStream, CallError> {
        let entry = self.endpoint.entry(&call.model);
        let body = request::prepare(call, self.endpoint.provider(), entry)?;
        let outgoing = Outgoing {
            url: self.url.clone(),
            body: self.endpoint.write(call, || serde_json::to_vec(&body))?,
            headers: Vec::new(),
            accept: "application/x-ndjson",
            is_streamed: true,
        };
        let reader = Reader::new(self.endpoint.draft(call));
        self.endpoint.stream(call, outgoing, Framing::Lines, reader).await
    }
}

impl ModelProvider for Ollama {
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
