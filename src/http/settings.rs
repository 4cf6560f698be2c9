//! What configuration says about this surface, worked out once per generation.

use std::time::Duration;

use http::HeaderValue;

use super::agent_call::{InputRules, SlotLimits};
use super::cors;
use crate::config::Snapshot;
use crate::config::types::gateway::http::TextOrFalse;

/// Body limit where none is configured.
const BODY_BYTES: u64 = 20 * 1024 * 1024;

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
    /// Whether `/v1/responses` is served.
    pub responses: bool,
    /// Largest body of a response request, bytes.
    pub responses_body_bytes: u64,
    /// Longest wait for the next part of a body.
    pub body_silence: Duration,
    /// Most agent requests at the same time.
    pub slots: SlotLimits,
    /// What may be attached to chat completions.
    pub chat_inputs: InputRules,
    /// What may be attached to responses.
    pub responses_inputs: InputRules,
    /// Web pages that may call chat completions.
    pub chat_origins: Vec<String>,
    /// Web pages that may call responses.
    pub responses_origins: Vec<String>,
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
            chat_body_bytes: endpoints.chat_completions.max_body_bytes.unwrap_or(BODY_BYTES),
            responses: endpoints.responses.enabled,
            responses_body_bytes: endpoints.responses.max_body_bytes.unwrap_or(BODY_BYTES),
            body_silence: Duration::from_millis(gateway.limits.body_timeout_ms),
            slots: SlotLimits {
                all: usize::try_from(gateway.limits.max_in_flight).unwrap_or(usize::MAX),
                caller: gateway
                    .limits
                    .max_in_flight_per_caller
                    .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            },
            chat_inputs: InputRules::chat(endpoints),
            responses_inputs: InputRules::responses(endpoints),
            chat_origins: cors::origins(endpoints.chat_completions.allowed_origins.as_deref()),
            responses_origins: cors::origins(endpoints.responses.allowed_origins.as_deref()),
            hsts,
            page: snapshot.control_ui_enabled(),
        }
    }
}
