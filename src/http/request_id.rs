//! The id of a request: the caller's, if it is harmless, else a new one.

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::reply::REQUEST_ID;

const MAX_LENGTH: usize = 128;

/// The id to answer with.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&REQUEST_ID) {
        Some(id) if is_harmless(id.as_bytes()) => id.clone(),
        _ => generate(),
    }
}

fn is_harmless(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn generate() -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
    // Hex digits and hyphens are always a valid value.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_anything_else_replaced() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(value));
            of(&headers)
        };
        assert_eq!(id("abc-1.2:3_4"), "abc-1.2:3_4");
        assert_ne!(id("a b"), "a b");
        assert_ne!(id(""), "");
        assert_ne!(id("<script>"), "<script>");
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
