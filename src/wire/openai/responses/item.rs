//! Items of the conversation as clients send them and as storage keeps them.
//!
//! One loose shape for all types: SDKs replay what they got, with fields of their own, and older clients leave `type`
//! out. What a type requires is judged where items become messages.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::wire::openai::chat::{ImageUrl, Text};
use crate::wire::openai::list::List;
use crate::wire::openai::object::object;

/// Most items of one list.
pub const MAX_ITEMS: usize = 16_384;
/// Most parts of one content.
pub const MAX_PARTS: usize = 256;

/// One item.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Item<'a> {
    /// Unique in its conversation.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    /// `message`, `function_call`, `function_call_output`, `reasoning`, `item_reference`, `compaction`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Text<'a>>,
    /// `completed`, `in_progress`, `incomplete`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub status: Option<Text<'a>>,
    /// Of a message: `user`, `assistant`, `system`, `developer`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub role: Option<Text<'a>>,
    /// Of a message or of reasoning.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub content: Option<TextOr<'a, Vec<ItemPart<'a>>>>,
    /// Of an assistant message: `commentary` or `final_answer`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Text<'a>>,
    /// Of a call and its output.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<Text<'a>>,
    /// Of a call.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// Of a call, JSON text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Text<'a>>,
    /// Of a call's output.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub output: Option<TextOr<'a, Vec<ItemPart<'a>>>>,
    /// Of reasoning.
    #[serde(borrow, deserialize_with = "few", skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<ItemPart<'a>>>,
    /// Of reasoning and of a compaction.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<Text<'a>>,
}

/// A part of an item's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemPart<'a> {
    /// `input_text`, `output_text`, `input_image`, `input_file`, `refusal`, `summary_text`, ...
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Text<'a>>,
    /// Of a text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    /// Of a refusal.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Text<'a>>,
    /// Of an image: an address or a data URL.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl<'a>>,
    /// Of an image: `auto`, `low`, `high`, `original`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<'a>>,
    /// Of an uploaded image or file.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<Text<'a>>,
    /// Of a file.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub filename: Option<Text<'a>>,
    /// Of a file: base64, bare or as a data URL.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub file_data: Option<Text<'a>>,
    /// Of a file elsewhere.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub file_url: Option<Text<'a>>,
    /// Upstream's form of an image or file.
    #[serde(borrow, deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<Source<'a>>>,
}

/// Upstream's form of an image or file: `{type:"url",url}` or `{type:"base64",media_type,data,filename?}`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Source<'a> {
    /// `url` or `base64`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Text<'a>>,
    /// Address.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// Media type of `data`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<Text<'a>>,
    /// Base64.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub data: Option<Text<'a>>,
    /// Name of a file.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub filename: Option<Text<'a>>,
}

/// A string, or something with structure.
#[derive(Debug)]
pub enum TextOr<'a, T> {
    /// Plain text.
    Text(Cow<'a, str>),
    /// The structure.
    Other(T),
}

impl<T: Serialize> Serialize for TextOr<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Other(other) => other.serialize(serializer),
        }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for ImageUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.url)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextOr<'a, Vec<ItemPart<'a>>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TextOr<'de, Vec<ItemPart<'de>>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content parts")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Cow::Owned(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
                List::<ItemPart<'de>, MAX_PARTS>::from_seq(parts).map(|parts| TextOr::Other(parts.0))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A bounded list that may be absent.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<ItemPart<'de>>>, D::Error> {
    let parts: Option<List<ItemPart<'de>, MAX_PARTS>> = Option::deserialize(deserializer)?;
    Ok(parts.map(|parts| parts.0))
}

impl<'a> ItemPart<'a> {
    /// A text part of this type.
    pub fn text(kind: &'static str, text: Cow<'a, str>) -> Self {
        Self {
            r#type: Some(Text(Cow::Borrowed(kind))),
            text: Some(Text(text)),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replayed_and_easy_items_are_read_and_written_without_loss() {
        let easy: Item<'_> = serde_json::from_str(r#"{"role":"user","content":"h\u0069"}"#).unwrap();
        assert!(matches!(&easy.content, Some(TextOr::Text(text)) if text == "hi"));
        let replayed = r#"{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"x"}],"phase":"final_answer"}"#;
        let item: Item<'_> = serde_json::from_str(replayed).unwrap();
        assert_eq!(serde_json::to_string(&item).unwrap(), replayed);
        let with_more = r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[],"logprobs":null}],"phase":null}"#;
        assert!(serde_json::from_str::<Item<'_>>(with_more).is_ok());
        let image = r#"{"role":"user","content":[{"type":"input_image","image_url":{"url":"https://a/b"}}]}"#;
        let image: Item<'_> = serde_json::from_str(image).unwrap();
        assert!(
            serde_json::to_string(&image)
                .unwrap()
                .contains(r#""image_url":"https://a/b""#)
        );
        assert!(serde_json::from_str::<Item<'_>>(r#"{"role":"user","content":7}"#).is_err());
    }
}
