//! What configuration says about this surface, worked out once per generation.

use std::time::Duration;

use http::HeaderValue;

use crate::config::Snapshot;
use crate::config::types::gateway::http::TextOrFalse;

/// Body limit of chat completions where none is configured.
const CHAT_BODY_BYTES: u64 = 20 * 1024 * 1024;

/// Settings of one generation.
#[derive(Debug)]
pub(super) struct Settings {
    pub generation: u64,
    /// Whether chat completions are served.
    pub chat: bool,
    /// Whether `/v1/models` is served.
    pub models: bool,
    /// Largest chat body, bytes.
    pub chat_body_bytes: u64,
    /// Longest wait for the next part of a body.
    pub body_silence: Duration,
    /// Most agent requests at the same time.
    pub max_in_flight: usize,
    /// `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
    /// Whether `GET /` shows a page.
    pub page: bool,
}

impl Settings {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let gateway = &snapshot.config.gateway;
        let endpoints = &gateway.http.endpoints;
        let hsts = match &gateway.http.security_headers.strict_transport_security {
            Some(TextOrFalse::Text(value)) if !value.trim().is_empty() => HeaderValue::from_str(value.trim()).ok(),
            _ => None,
        };
        Self {
            generation: snapshot.generation,
            chat: endpoints.chat_completions.enabled,
            models: endpoints.chat_completions.enabled || endpoints.responses.enabled,
            chat_body_bytes: endpoints.chat_completions.max_body_bytes.unwrap_or(CHAT_BODY_BYTES),
            body_silence: Duration::from_millis(gateway.limits.body_timeout_ms),
            max_in_flight: usize::try_from(gateway.limits.max_in_flight).unwrap_or(usize::MAX),
            hsts,
            page: snapshot.control_ui_enabled(),
        }
    }
}
