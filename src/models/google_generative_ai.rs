//! Dialect `google-generative-ai`: `POST <base>/models/<id>:streamGenerateContent?alt=sse`, spoken by Gemini.
//!
//! `request` builds bodies, `schema` fits tool schemas to the subset that is understood, `stream` reads answers, all
//! pure.

pub mod request;
mod schema;
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
pub const API: &str = "google-generative-ai";

const DIALECT: Dialect = Dialect {
    default_base: "https://generativelanguage.googleapis.com/v1beta",
    key_header: Some("x-goog-api-key"),
};

/// The official host; its API version is added where it was left out.
const OFFICIAL_HOST: &str = "generativelanguage.googleapis.com";

/// One configured provider of this dialect.
#[derive(Debug)]
pub struct GoogleGenerativeAi {
    endpoint: Endpoint,
}

impl GoogleGenerativeAi {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Self, String> {
        let mut endpoint = Endpoint::build(settings, DIALECT, http)?;
        let base = endpoint.base();
        if base.host_str() == Some(OFFICIAL_HOST) && base.path() == "/" {
            let versioned = endpoint.join("v1beta");
            endpoint = endpoint.moved_to(versioned);
        }
        Ok(Self { endpoint })
    }

    async fn begin(&self, call: &ModelCall) -> Result<ModelStream, CallError> {
        let entry = self.endpoint.entry(&call.model);
        let body = request::prepare(call, self.endpoint.provider(), entry)?;
        let outgoing = Outgoing {
            url: self.url(&call.model),
            body: self.endpoint.write(call, || serde_json::to_vec(&body))?,
            headers: Vec::new(),
            accept: "text/event-stream",
            is_streamed: true,
        };
        let reader = Reader::new(self.endpoint.draft(call));
        self.endpoint.stream(call, outgoing, Framing::Sse, reader).await
    }

    /// Ids are configured with and without `models/`.
    fn url(&self, model: &str) -> Url {
        let mut url = self.endpoint.join("models");
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&format!(
                "{}:streamGenerateContent",
                model.trim_start_matches("models/")
            ));
        }
        url.set_query(Some("alt=sse"));
        url
    }
}

impl ModelProvider for GoogleGenerativeAi {
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
