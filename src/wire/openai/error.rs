//! The error object. All four keys are always present, because clients read them without asking.

use std::borrow::Cow;

use serde::Serialize;

/// `{"error":{...}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// `error` of a response, or of a stream event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorObject {
    /// Text for people.
    pub message: String,
    /// `invalid_request_error`, `api_error`, `rate_limit_error`, `unauthorized`, `forbidden`, ...
    pub r#type: Cow<'static, str>,
    /// Machine-readable code.
    pub code: Option<Cow<'static, str>>,
    /// The request field at fault.
    pub param: Option<String>,
}

impl ErrorBody {
    /// An error without code and field.
    pub fn new(message: impl Into<String>, kind: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error: ErrorObject {
                message: message.into(),
                r#type: kind.into(),
                code: None,
                param: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_present() {
        let body = serde_json::to_string(&ErrorBody::new("m", "api_error")).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"message":"m","type":"api_error","code":null,"param":null}}"#
        );
    }
}
