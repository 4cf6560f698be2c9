//! The top level of a request body.
//!
//! Every field is kept as raw JSON and read only when it is needed, so that an unknown or odd field never spoils a
//! request and a wrong type can be reported with the field's name.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::chat::Text;

/// Why a body is no request at all.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON.
    #[error("Invalid JSON in the request body: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("The request body must be a JSON object.")]
    NotAnObject,
}

/// The fields for which `position` knows a place among `count`; `null` counts as absent, other fields are skipped. An
/// empty body is an empty object. A field that is there twice is an error, because two readers could take different
/// ones.
pub fn read_fields<'a>(
    body: &'a [u8],
    count: usize,
    position: &dyn Fn(&str) -> Option<usize>,
) -> Result<Vec<Option<&'a RawValue>>, BodyError> {
    let trimmed = body.trim_ascii();
    match trimmed.first() {
        None => Ok(vec![None; count]),
        Some(b'{') => {
            let mut reader = serde_json::Deserializer::from_slice(trimmed);
            let fields = TopLevel { count, position }.deserialize(&mut reader)?;
            reader.end()?;
            Ok(fields)
        }
        Some(_) => match serde_json::from_slice::<IgnoredAny>(trimmed) {
            Ok(_) => Err(BodyError::NotAnObject),
            Err(error) => Err(error.into()),
        },
    }
}

struct TopLevel<'f> {
    count: usize,
    position: &'f dyn Fn(&str) -> Option<usize>,
}

impl<'de> DeserializeSeed<'de> for TopLevel<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Vec<Option<&'de RawValue>> = vec![None; self.count];
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let slot = (self.position)(&name.0).and_then(|position| fields.get_mut(position));
            let Some(slot) = slot else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw: &RawValue = map.next_value()?;
            if slot.is_some() {
                return Err(de::Error::custom(format_args!("duplicate field `{}`", name.0)));
            }
            *slot = (raw.get() != "null").then_some(raw);
        }
        Ok(fields)
    }
}
