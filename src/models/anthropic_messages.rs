//! Dialect `anthropic-messages`: `POST <base>/v1/messages`, spoken by Anthropic and by servers that imitate it.
//!
//! `request` builds bodies, `thinking` decides how much a model may think, `stream` reads answers, all pure. Answers
//! are always streamed: a long one in one piece would be cut by whatever stands between.

pub mod request;
pub mod stream;
mod thinking;

use std::pin::Pin;

use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use self::stream::Reader;
use super::answer::Framing;
use super::endpoint::{Dialect, Endpoint, Outgoing};
use super::http::HttpClients;
use crate::config::ProviderSettings;
use crate::domain::model::{CallError, ModelCall, ModelProvider, ModelStream};

/// The dialect's name in config.
pub const API: &str = "anthropic-messages";

const DIALECT: Dialect = Dialect {
    default_base: "https://api.anthropic.com",
    key_header: Some("x-api-key"),
};

const VERSION: &str = "2023-06-01";

/// Allows thinking between tool calls.
const INTERLEAVED: &str = "interleaved-thinking-2025-05-14";

/// Allows tokens of a subscription.
const OAUTH: &str = "oauth-2025-04-20";

/// How tokens of a subscription begin; they only work as bearer tokens.
const OAUTH_PREFIX: &str = "sk-ant-oat";

/// One configured provider of this dialect.
#[derive(Debug)]
pub struct AnthropicMessages {
    endpoint: Endpoint,
    url: Url,
    is_oauth: bool,
}

impl AnthropicMessages {
    /// Checks the settings; nothing is contacted. The error is the public reason why the provider cannot be used.
    pub fn build(settings: &ProviderSettings, http: HttpClients) -> Result<Self, String> {
        let key = settings.api_key.as_ref().ok().and_then(Option::as_ref);
        let is_oauth = key.is_some_and(|key| key.expose().starts_with(OAUTH_PREFIX));
        let settings = ProviderSettings {
            key_is_bearer: settings.key_is_bearer || is_oauth,
            ..settings.clone()
        };
        let mut endpoint = Endpoint::build(&settings, DIALECT, http)?;
        endpoint.set_default_header("anthropic-version", VERSION);
        // Addresses are configured with and without the version.
        let base = endpoint
            .base()
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/v1")
            .to_owned();
        let mut url = endpoint.base().clone();
        url.set_path(&format!("{base}/v1/messages"));
        Ok(Self {
            endpoint,
            url,
            is_oauth,
        })
    }

    async fn begin(&self, call: &ModelCall) -> Result<ModelStream, CallError> {
        let provider = self.endpoint.provider();
        let entry = self.endpoint.entry(&call.model);
        let prepared = request::prepare(call, provider, entry)?;
        let mut headers = Vec::new();
        let mut beta = |name| {
            headers.push((
                HeaderName::from_static("anthropic-beta"),
                HeaderValue::from_static(name),
            ))
        };
        if self.is_oauth {
            beta(OAUTH);
        }
        if prepared.interleaves() {
            beta(INTERLEAVED);
        }
        let outgoing = Outgoing {
            url: self.url.clone(),
            body: self.endpoint.write(call, || prepared.to_bytes())?,
            headers,
            accept: "text/event-stream",
            is_streamed: true,
        };
        let reader = Reader::new(self.endpoint.draft(call));
        self.endpoint.stream(call, outgoing, Framing::Sse, reader).await
    }
}

impl ModelProvider for AnthropicMessages {
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
