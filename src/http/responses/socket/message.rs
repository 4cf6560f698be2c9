//! What is said on the socket: `response.create` in, `error` out.

use tokio_tungstenite::tungstenite::Message;

use crate::domain::Fault;
use crate::http::agent_call::not_bulky;
use crate::http::fault;
use crate::models::client::error_body;
use crate::models::client::responses::{Ask, IdMaker, parse_ask};

/// Reads a `response.create`.
pub(super) fn read(message: &[u8], ids: &IdMaker) -> Result<Ask, Fault> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Event {
        r#type: serde_json::Value,
        stream: Option<serde_json::Value>,
        stream_options: Option<serde_json::Value>,
        background: Option<serde_json::Value>,
    }
    not_bulky(message)?;
    let event: Event = serde_json::from_slice(message)
        .map_err(|error| Fault::invalid(format!("The message is not a JSON object: {error}")))?;
    if event.r#type != "response.create" {
        return Err(Fault::invalid("Only messages of type \"response.create\" are understood.").with_param("type"));
    }
    for (param, value) in [
        ("stream", event.stream),
        ("stream_options", event.stream_options),
        ("background", event.background),
    ] {
        // `true` and `false` of clients that share their code with HTTP change nothing, as long as they say what happens.
        let is_harmless = match (&value, param) {
            (None, _) => true,
            (Some(value), "stream") => *value == true,
            (Some(value), "background") => *value == false,
            _ => false,
        };
        if !is_harmless {
            return Err(
                Fault::invalid(format!("`{param}` has no place in a WebSocket message; leave it out."))
                    .with_param(param),
            );
        }
    }
    parse_ask(message, ids).map(|mut ask| {
        ask.turn.stream = true;
        ask
    })
}

/// The `error` event for a fault.
pub(super) fn error_message(fault: &Fault) -> Message {
    #[derive(serde::Serialize)]
    struct Event {
        r#type: &'static str,
        status: u16,
        error: crate::wire::openai::error::ErrorObject,
    }
    let mut error = error_body(fault).error;
    error.code.get_or_insert("invalid_request".into());
    let event = Event {
        r#type: "error",
        status: fault::status(fault.kind).as_u16(),
        error,
    };
    // Texts and a number: serialising cannot fail.
    Message::text(serde_json::to_string(&event).unwrap_or_default())
}
