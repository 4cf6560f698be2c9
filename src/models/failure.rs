//! From a provider's refusal to a [`CallError`]: class, public text, when to try again. Pure.

use std::time::Duration;

use serde_json::Value;

use crate::base::Secret;
use crate::domain::model::{CallError, CallErrorClass};

/// Longest provider text that is passed on, in characters.
pub const MAX_MESSAGE_CHARS: usize = 500;

/// A failure that has no HTTP status.
pub fn call_error(class: CallErrorClass, message: impl Into<String>) -> CallError {
    CallError {
        class,
        status: None,
        message: message.into(),
        retry_after: None,
    }
}

/// What a provider said about an error, taken from any of the usual shapes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// Its words, empty if it gave none that are fit to show.
    pub message: String,
    /// `error.code`, or `error.type` if there is no code.
    pub code: String,
    /// A pause that the body asks for (Google puts it there instead of a header).
    pub retry_after: Option<Duration>,
}

impl Complaint {
    /// Reads an error body: `{"error":{"message","code","type"}}`, `{"error":"..."}`, `{"message"}`, `{"detail"}`, or
    /// plain text. Markup is not shown to anybody.
    pub fn parse(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::from_value(&value),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let text = text.trim();
                let is_markup = text.starts_with('<');
                Self {
                    message: if is_markup { String::new() } else { shorten(text) },
                    ..Self::default()
                }
            }
        }
    }

    /// Reads the parsed form of the same shapes.
    pub fn from_value(value: &Value) -> Self {
        let value = match value {
            Value::Array(items) => items.first().unwrap_or(&Value::Null),
            other => other,
        };
        let error = value.get("error").unwrap_or(value);
        let message = match error {
            Value::String(text) => text.clone(),
            other => ["message", "detail", "error"]
                .iter()
                .find_map(|key| other.get(key))
                .map(|found| match found {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .unwrap_or_default(),
        };
        let code = ["code", "type", "status"]
            .iter()
            .filter_map(|key| error.get(key))
            .find_map(|found| match found {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
            .unwrap_or_default();
        Self {
            message: shorten(message.trim()),
            code,
            retry_after: error.get("details").and_then(asked_pause),
        }
    }
}

/// `retryDelay` of a `google.rpc.RetryInfo` among the details, `"7s"`.
fn asked_pause(details: &Value) -> Option<Duration> {
    details
        .as_array()?
        .iter()
        .find_map(|detail| detail.get("retryDelay")?.as_str()?.strip_suffix('s'))
        .and_then(|seconds| parse_retry_after(seconds, 0))
}

/// The first [`MAX_MESSAGE_CHARS`] characters, with control characters as spaces.
pub fn shorten(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(MAX_MESSAGE_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MAX_MESSAGE_CHARS).is_some() {
        out.push('…');
    }
    out
}

/// Replaces every occurrence of a secret. Providers echo (parts of) keys in their 401 answers.
pub fn redact<'a>(mut text: String, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    // Shorter strings would turn ordinary words into noise and are no credentials.
    const SHORTEST_SECRET: usize = 6;
    for secret in secrets {
        let plain = secret.expose();
        if plain.len() >= SHORTEST_SECRET && text.contains(plain) {
            text = text.replace(plain, "[redacted]");
        }
    }
    text
}

/// The class of an HTTP status with the provider's complaint.
pub fn classify(status: u16, complaint: &Complaint) -> CallErrorClass {
    match status {
        401 | 403 => CallErrorClass::Auth,
        402 => CallErrorClass::Billing,
        404 => CallErrorClass::ModelNotFound,
        408 | 504 => CallErrorClass::Timeout,
        429 if is_quota(complaint) => CallErrorClass::Billing,
        429 => CallErrorClass::RateLimit,
        400 if is_key_refused(complaint) => CallErrorClass::Auth,
        400 if is_quota(complaint) => CallErrorClass::Billing,
        503 | 529 => CallErrorClass::Overloaded,
        400..=499 if is_overflow(complaint) => CallErrorClass::ContextOverflow,
        400..=499 => CallErrorClass::BadRequest,
        500.. => CallErrorClass::Server,
        // Redirects are not followed: the configured address is not where the API is.
        300..=399 => CallErrorClass::NotConfigured,
        _ => CallErrorClass::Malformed,
    }
}

/// The class of an error object inside a stream whose status was 200.
pub fn classify_in_stream(complaint: &Complaint) -> CallErrorClass {
    let code = complaint.code.to_ascii_lowercase();
    if let Ok(status) = code.parse::<u16>()
        && (400..600).contains(&status)
    {
        return classify(status, complaint);
    }
    if is_overflow(complaint) {
        CallErrorClass::ContextOverflow
    } else if is_quota(complaint) {
        CallErrorClass::Billing
    } else if code.contains("rate_limit") || code == "resource_exhausted" {
        CallErrorClass::RateLimit
    } else if code.contains("overloaded") || code == "unavailable" {
        CallErrorClass::Overloaded
    } else if code.contains("auth") || code == "invalid_api_key" || code.contains("permission") {
        CallErrorClass::Auth
    } else if code == "model_not_found" || code == "not_found_error" {
        CallErrorClass::ModelNotFound
    } else if code.contains("timeout") {
        CallErrorClass::Timeout
    } else if matches!(
        code.as_str(),
        "invalid_request_error" | "request_too_large" | "invalid_prompt"
    ) {
        CallErrorClass::BadRequest
    } else {
        CallErrorClass::Server
    }
}

fn is_quota(complaint: &Complaint) -> bool {
    matches!(
        complaint.code.as_str(),
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_error"
    ) || complaint.message.contains("credit balance is too low")
}

/// Google answers 400 to a wrong key.
fn is_key_refused(complaint: &Complaint) -> bool {
    complaint.message.contains("API key not valid") || complaint.message.contains("API Key not found")
}

fn is_overflow(complaint: &Complaint) -> bool {
    const PHRASES: [&str; 10] = [
        "maximum context length",
        "context window",
        "context length",
        "context size",
        "prompt is too long",
        "too many tokens",
        "input is too long",
        "exceeds the available context",
        "context limit",
        "maximum number of tokens",
    ];
    if complaint.code == "context_length_exceeded" {
        return true;
    }
    let message = complaint.message.to_ascii_lowercase();
    PHRASES.iter().any(|phrase| message.contains(phrase))
}

/// `Retry-After` as seconds (also fractions) or an HTTP date; `None` if it is neither.
pub fn parse_retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?;
    let ahead_ms = at.timestamp().as_millisecond().saturating_sub(now_ms);
    Some(Duration::from_millis(u64::try_from(ahead_ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_codes_give_the_class() {
        let plain = Complaint::default();
        let quota = Complaint {
            code: "insufficient_quota".into(),
            ..Complaint::default()
        };
        let long = Complaint {
            message: "This model's maximum context length is 8192 tokens".into(),
            ..Complaint::default()
        };
        for (status, complaint, class) in [
            (401, &plain, CallErrorClass::Auth),
            (403, &plain, CallErrorClass::Auth),
            (402, &plain, CallErrorClass::Billing),
            (404, &plain, CallErrorClass::ModelNotFound),
            (429, &plain, CallErrorClass::RateLimit),
            (429, &quota, CallErrorClass::Billing),
            (400, &plain, CallErrorClass::BadRequest),
            (422, &plain, CallErrorClass::BadRequest),
            (400, &long, CallErrorClass::ContextOverflow),
            (413, &long, CallErrorClass::ContextOverflow),
            (500, &plain, CallErrorClass::Server),
            (503, &plain, CallErrorClass::Overloaded),
            (529, &plain, CallErrorClass::Overloaded),
            (504, &plain, CallErrorClass::Timeout),
            (307, &plain, CallErrorClass::NotConfigured),
        ] {
            assert_eq!(classify(status, complaint), class, "{status}");
        }
    }

    #[test]
    fn complaints_are_read_from_every_usual_shape() {
        for (body, message, code) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", "c"),
            (r#"{"error":{"message":"m","type":"t","code":null}}"#, "m", "t"),
            (r#"{"error":"plain"}"#, "plain", ""),
            (r#"{"message":"m","code":400}"#, "m", "400"),
            (r#"{"detail":"d"}"#, "d", ""),
            (r#"[{"error":{"message":"g","code":429}}]"#, "g", "429"),
            ("upstream connect error", "upstream connect error", ""),
            ("<html><body>nginx</body></html>", "", ""),
            ("", "", ""),
        ] {
            let complaint = Complaint::parse(body.as_bytes());
            assert_eq!(
                (complaint.message.as_str(), complaint.code.as_str()),
                (message, code),
                "{body}"
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parse_retry_after("7", 0), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after(" 0.5 ", 0), Some(Duration::from_millis(500)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_retry_after(date, 784_111_770_000), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after(date, 784_111_790_000), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon", 0), None);
        assert_eq!(parse_retry_after("-3", 0), None);
    }

    #[test]
    fn keys_never_show_in_messages() {
        let key = Secret::new("sk-very-secret");
        let text = redact("Incorrect API key provided: sk-very-secret.".into(), [&key]);
        assert_eq!(text, "Incorrect API key provided: [redacted].");
    }
}
