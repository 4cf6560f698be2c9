//! What configuration says about this surface, worked out once per generation.

use std::time::Duration;

use http::HeaderValue;
use serde_json::Value;

use crate::config::Snapshot;

/// Body limit of chat completions where none is configured.
const CHAT_BODY_BYTES: u64 = 20 * 1024 * 1024;
const BODY_SILENCE: Duration = Duration::from_secs(30);
const IN_FLIGHT: usize = 512;

/// Settings of one generation.
#[derive(Debug)]
pub(super) struct Settings {
    pub generation: u64,
    /// `gateway.http.endpoints.chatCompletions.enabled`.
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
        let gateway = |path: &str| snapshot.runtime.pointer(&format!("/gateway/{path}"));
        let enabled = |path: &str| gateway(path).and_then(Value::as_bool).unwrap_or(false);
        let number = |path: &str| gateway(path).and_then(Value::as_u64).filter(|number| *number > 0);
        let chat = enabled("http/endpoints/chatCompletions/enabled");
        Self {
            generation: snapshot.generation,
            chat,
            models: chat || enabled("http/endpoints/responses/enabled"),
            chat_body_bytes: number("http/endpoints/chatCompletions/maxBodyBytes").unwrap_or(CHAT_BODY_BYTES),
            body_silence: number("limits/bodyTimeoutMs").map_or(BODY_SILENCE, Duration::from_millis),
            max_in_flight: number("limits/maxInFlight")
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(IN_FLIGHT),
            hsts: gateway("http/securityHeaders/strictTransportSecurity")
                .and_then(Value::as_str)
                .filter(|value| !value.trim().is_empty())
                .and_then(|value| HeaderValue::from_str(value.trim()).ok()),
            page: gateway("controlUi/enabled").and_then(Value::as_bool).unwrap_or(true),
        }
    }
}
