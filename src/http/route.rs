//! Which handler a path belongs to. Case-sensitive, without any tolerance for trailing slashes.

use super::responses::Endpoint;
use super::settings::Settings;

/// A handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Liveness,
    Readiness,
    Startup,
    /// `/v1/models`
    Models,
    /// `/v1/models/<id>`, the id still percent-encoded.
    Model(&'a str),
    Chat,
    Embeddings,
    /// `/v1/responses` and below.
    Responses(Endpoint<'a>),
    Metrics,
    Page,
    /// Nothing under `/v1/`: errors there are JSON.
    UnknownApi,
    Unknown,
}

impl<'a> Route<'a> {
    /// The handler of `path` with these settings; endpoints that are off do not exist.
    pub(super) fn of(path: &'a str, settings: &Settings) -> Self {
        match path {
            "/v1/chat/completions" if settings.chat => Self::Chat,
            "/v1/responses" if settings.responses => Self::Responses(Endpoint::Create),
            "/healthz" | "/health" => Self::Liveness,
            "/readyz" | "/ready" => Self::Readiness,
            "/startupz" | "/startup" => Self::Startup,
            "/v1/models" if settings.models => Self::Models,
            "/v1/embeddings" if settings.models => Self::Embeddings,
            "/api/diagnostics/prometheus" => Self::Metrics,
            "/" if settings.page => Self::Page,
            _ => match path.strip_prefix("/v1/") {
                Some(rest) => Self::below_v1(rest, settings).unwrap_or(Self::UnknownApi),
                None => Self::Unknown,
            },
        }
    }

    /// The label in metrics: what is routed on, never what a client sent.
    pub(super) const fn template(self) -> &'static str {
        match self {
            Self::Liveness => "/healthz",
            Self::Readiness => "/readyz",
            Self::Startup => "/startupz",
            Self::Models => "/v1/models",
            Self::Model(_) => "/v1/models/{id}",
            Self::Chat => "/v1/chat/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Responses(endpoint) => endpoint.template(),
            Self::Metrics => "/api/diagnostics/prometheus",
            Self::Page => "/",
            Self::UnknownApi => "/v1/{unknown}",
            Self::Unknown => "unknown",
        }
    }

    /// Lists of the origins whose web pages may call the route.
    pub(super) fn origins(self, settings: &Settings) -> [&[String]; 2] {
        match self {
            Self::Chat => [&settings.chat_origins, &[]],
            Self::Responses(_) => [&[], &settings.responses_origins],
            Self::Models | Self::Model(_) | Self::Embeddings => [&settings.chat_origins, &settings.responses_origins],
            _ => [&[], &[]],
        }
    }

    fn below_v1(rest: &'a str, settings: &Settings) -> Option<Self> {
        if let Some(id) = rest.strip_prefix("models/") {
            return settings.models.then_some(Self::Model(id));
        }
        let rest = rest.strip_prefix("responses/").filter(|_| settings.responses)?;
        Endpoint::below(rest).map(Self::Responses)
    }

    /// `Allow` of the route; `None`: there is nothing to allow.
    pub(super) const fn allow(self) -> Option<&'static str> {
        match self {
            Self::Liveness | Self::Readiness | Self::Startup | Self::Page => Some("GET, HEAD"),
            Self::Models | Self::Model(_) | Self::Metrics => Some("GET"),
            Self::Chat | Self::Embeddings => Some("POST"),
            Self::Responses(endpoint) => Some(endpoint.allow()),
            Self::UnknownApi | Self::Unknown => None,
        }
    }
}
