//! What is said about a field that is wrong.

use serde_json::value::RawValue;

use crate::domain::Fault;
use crate::wire::openai::chat::kind_of;

/// A 400 that names the field.
pub fn param_fault(param: &str, message: impl Into<String>) -> Fault {
    Fault::invalid(message).with_param(param)
}

/// A 400 for a field of another JSON type.
pub fn wrong_type(param: &str, expected: &str, raw: &RawValue) -> Fault {
    let text = format!("{param}: Invalid input: expected {expected}, received {}", kind_of(raw));
    param_fault(param, text)
}
