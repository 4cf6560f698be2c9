//! Request, response and event frames.
//!
//! A request is parsed in two steps: the envelope here, `params` by the method. Responses and events are written around
//! payloads that are already JSON, so nothing is serialised twice.

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::bulk;
use super::error::ErrorShape;

/// The envelope of a request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Chosen by the client; comes back in the response.
    pub id: Cow<'a, str>,
    /// Method name.
    pub method: Cow<'a, str>,
    /// Raw params; `None` if absent or null.
    pub params: Option<&'a RawValue>,
}

/// Why a message is no request.
#[derive(Debug, PartialEq)]
pub enum FrameError {
    /// Not JSON at all.
    NotJson,
    /// JSON, but not a request.
    Invalid {
        /// The frame's `id` as it was given (of any type), else `"invalid"`.
        id: Value,
        /// What is wrong, in the protocol's words.
        errors: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Parses a message as a request.
pub fn parse_request(text: &str) -> Result<Request<'_>, FrameError> {
    let reason = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(frame) if frame.kind == "req" && !frame.id.is_empty() && !frame.method.is_empty() => {
            return Ok(Request {
                id: frame.id,
                method: frame.method,
                params: frame.params,
            });
        }
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    if bulk::is_bulky(text) {
        return Err(FrameError::Invalid {
            id: Value::String("invalid".to_owned()),
            errors: format!("must hold at most {} values", bulk::MOST_VALUES),
        });
    }
    let value: Value = serde_json::from_str(text).map_err(|_| FrameError::NotJson)?;
    let mut errors = envelope_errors(&value);
    if errors.is_empty() {
        errors = reason.unwrap_or_default();
    }
    let id = match value.get("id") {
        Some(id) if !id.is_null() => id.clone(),
        _ => Value::String("invalid".to_owned()),
    };
    Err(FrameError::Invalid { id, errors })
}

/// Most errors that are told of one envelope.
const MOST_ERRORS: usize = 32;

fn envelope_errors(value: &Value) -> String {
    const KEYS: [&str; 4] = ["type", "id", "method", "params"];
    let Some(map) = value.as_object() else {
        return "must be object".to_owned();
    };
    let mut errors = Vec::new();
    for key in ["type", "id", "method"] {
        if !map.contains_key(key) {
            errors.push(format!("must have required property '{key}'"));
        }
    }
    for key in map.keys().filter(|key| !KEYS.contains(&key.as_str())).take(MOST_ERRORS) {
        errors.push(format!("at root: unexpected property '{key}'"));
    }
    if map.get("type").is_some_and(|kind| kind != "req") {
        errors.push("at /type: must be equal to constant".to_owned());
    }
    for key in ["id", "method"] {
        match map.get(key) {
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(format!("at /{key}: must NOT have fewer than 1 characters"));
            }
            Some(Value::String(_)) | None => {}
            Some(_) => errors.push(format!("at /{key}: must be string")),
        }
    }
    errors.join("; ")
}

/// A successful response around a payload that is already JSON.
pub fn success(id: &str, payload: &str) -> String {
    let mut out = String::with_capacity(payload.len() + id.len() + 48);
    out.push_str("{\"type\":\"res\",\"id\":");
    push_string(&mut out, id);
    out.push_str(",\"ok\":true,\"payload\":");
    out.push_str(payload);
    out.push('}');
    out
}

/// A failed response, with the payload that some methods send beside the error.
pub fn failure(id: &Value, error: &ErrorShape, payload: Option<&RawValue>) -> String {
    #[derive(Serialize)]
    struct Failure<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a Value,
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a RawValue>,
        error: &'a ErrorShape,
    }
    let frame = Failure {
        kind: "res",
        id,
        ok: false,
        payload,
        error,
    };
    serde_json::to_string(&frame).unwrap_or_default()
}

/// The part of an event frame that all receivers share: everything up to and including the payload.
pub fn event_head(name: &str, payload: &str) -> String {
    let mut out = String::with_capacity(payload.len() + name.len() + 40);
    out.push_str("{\"type\":\"event\",\"event\":\"");
    out.push_str(name);
    out.push_str("\",\"payload\":");
    out.push_str(payload);
    out
}

/// The shared end of an event frame, after the receiver's sequence number.
pub fn event_tail(state_version: Option<(u64, u64)>) -> String {
    let mut out = String::new();
    if let Some((presence, health)) = state_version {
        // Writing to a string cannot fail.
        let _infallible = write!(out, ",\"stateVersion\":{{\"presence\":{presence},\"health\":{health}}}");
    }
    out.push('}');
    out
}

fn push_string(out: &mut String, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Cuts a close reason to what fits into a close frame, at a character boundary.
pub fn close_reason(text: &str) -> &str {
    const LIMIT: usize = 120;
    text.get(..text.floor_char_boundary(LIMIT)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Value, String) {
        match parse_request(text) {
            Err(FrameError::Invalid { id, errors }) => (id, errors),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_keeps_its_params_raw() {
        let request = parse_request(r#"{"type":"req","id":"1","method":"a","params":{"x": 1}}"#).unwrap();
        assert_eq!((request.id.as_ref(), request.method.as_ref()), ("1", "a"));
        assert_eq!(request.params.unwrap().get(), r#"{"x": 1}"#);
        assert!(
            parse_request(r#"{"type":"req","id":"\u0041","method":"a"}"#)
                .unwrap()
                .params
                .is_none()
        );
    }

    #[test]
    fn broken_envelopes_are_described_as_captured() {
        assert_eq!(parse_request("not json").unwrap_err(), FrameError::NotJson);
        assert_eq!(refused("null"), ("invalid".into(), "must be object".into()));
        assert_eq!(
            refused(r#"{"type":"nope"}"#).1,
            "must have required property 'id'; must have required property 'method'; \
             at /type: must be equal to constant"
        );
        assert_eq!(
            refused(r#"{"type":"req","id":7,"method":"health"}"#),
            (7.into(), "at /id: must be string".into())
        );
        assert_eq!(
            refused(r#"{"type":"req","id":"x9","method":"health","foo":1}"#),
            ("x9".into(), "at root: unexpected property 'foo'".into())
        );
        assert_eq!(
            refused(r#"{"type":"req","id":"","method":"health"}"#).1,
            "at /id: must NOT have fewer than 1 characters"
        );
    }

    #[test]
    fn an_envelope_that_is_wrong_everywhere_gets_a_short_answer() {
        let keys: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":0")).collect();
        let (_, errors) = refused(&format!("{{{}}}", keys.join(",")));
        assert!(errors.len() < 4_000, "{} bytes", errors.len());
        assert!(errors.contains("unexpected property 'k0'"));
    }

    #[test]
    fn responses_escape_the_id() {
        assert_eq!(
            success("a\"b", "null"),
            r#"{"type":"res","id":"a\"b","ok":true,"payload":null}"#
        );
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character() {
        let text = format!("{}é", "a".repeat(119));
        assert_eq!(close_reason(&text), "a".repeat(119));
    }
}
