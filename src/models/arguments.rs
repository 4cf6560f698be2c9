//! Tool calls across dialects: arguments as objects, ids in the characters that every provider accepts. Pure.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Longest id that every provider accepts.
const MAX_ID_CHARS: usize = 64;

/// The arguments as the JSON object they should be; what is none (a call that was cut) is an empty one.
pub fn as_object(arguments: &str) -> &RawValue {
    parse(arguments).or_else(|| parse("{}")).unwrap_or(RawValue::NULL)
}

fn parse(text: &str) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_str(text.trim()).ok()?;
    raw.get().starts_with('{').then_some(raw)
}

/// The id with every other character than `[A-Za-z0-9_-]` replaced, so that a call and its result still match.
pub fn plain_id(id: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.len() <= MAX_ID_CHARS && id.chars().all(is_plain) {
        return Cow::Borrowed(id);
    }
    let plain: String = id
        .chars()
        .take(MAX_ID_CHARS)
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    Cow::Owned(if plain.is_empty() { "call".to_owned() } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_are_arguments() {
        for (text, expected) in [
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (r#" {} "#, "{}"),
            ("", "{}"),
            (r#"{"a":"#, "{}"),
            ("[1]", "{}"),
        ] {
            assert_eq!(as_object(text).get(), expected, "{text}");
        }
    }

    #[test]
    fn ids_keep_what_every_provider_accepts() {
        assert_eq!(plain_id("toolu_01-A"), "toolu_01-A");
        assert_eq!(plain_id("call_1|fc_2"), "call_1_fc_2");
        assert_eq!(plain_id(""), "call");
        assert_eq!(plain_id(&"x".repeat(100)).len(), 64);
    }
}
