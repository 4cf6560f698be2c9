//! Counts of tokens as providers write them. Pure.
//!
//! A wrong count costs a statistic, never the answer that it stands beside: what is no count is absent.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// More tokens than any call has. Sums of what is below never come near the end of the number.
const MOST: u64 = 1 << 40;

/// Reads a count for `#[serde(deserialize_with)]`: whole numbers, and floats without their fraction. Anything else, also
/// what is below zero or absurdly large, is `None`.
pub fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Tokens)
}

struct Tokens;

impl<'de> Visitor<'de> for Tokens {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
        Ok((count <= MOST).then_some(count))
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(count).ok().filter(|count| *count <= MOST))
    }

    fn visit_f64<E: Error>(self, count: f64) -> Result<Self::Value, E> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "only numbers between the bounds are converted"
        )]
        Ok((0.0..=MOST as f64).contains(&count).then_some(count as u64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Usage {
        #[serde(default, deserialize_with = "super::tokens")]
        count: Option<u64>,
    }

    #[test]
    fn what_is_no_count_is_absent_and_spoils_nothing() {
        for (json, expected) in [
            (r#"{"count":7}"#, Some(7)),
            (r#"{"count":18446744073709551615}"#, None),
            (r#"{"count":7.9}"#, Some(7)),
            (r#"{"count":1e30}"#, None),
            (r#"{"count":-3}"#, None),
            (r#"{"count":-0.5}"#, None),
            (r#"{"count":null}"#, None),
            (r#"{"count":"7"}"#, None),
            (r#"{"count":true}"#, None),
            (r#"{"count":[1,[2]]}"#, None),
            (r#"{"count":{"a":1}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(serde_json::from_str::<Usage>(json).unwrap().count, expected, "{json}");
        }
    }
}
