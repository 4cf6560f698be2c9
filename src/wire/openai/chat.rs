//! Messages of `POST /v1/chat/completions`, as clients really send them. Unknown keys are ignored.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::value::RawValue;

use super::list::List;
use super::object::object;

/// Most messages of one request. Agents that never forget send many thousands.
pub const MAX_MESSAGES: usize = 16_384;
/// Most parts of one message.
pub const MAX_PARTS: usize = 1_024;
/// Most tool calls of one message.
pub const MAX_CALLS: usize = 256;

/// `messages`.
pub type Messages<'a> = List<ChatMessage<'a>, MAX_MESSAGES>;

/// One message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChatMessage<'a> {
    /// `system`, `developer`, `user`, `assistant`, `tool`, `function`.
    #[serde(borrow)]
    pub role: Option<Text<'a>>,
    /// Text or parts.
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    /// Of a tool or function.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// Calls made by the assistant.
    #[serde(borrow)]
    pub tool_calls: Option<List<CallIn<'a>, MAX_CALLS>>,
    /// The older form of a single call.
    #[serde(borrow, deserialize_with = "object")]
    pub function_call: Option<FunctionIn<'a>>,
    /// The call that a tool message answers.
    #[serde(borrow)]
    pub tool_call_id: Option<Text<'a>>,
    /// Reasoning of the assistant.
    #[serde(borrow)]
    pub reasoning_content: Option<Text<'a>>,
}

/// A call as replayed by a client.
#[derive(Debug, Deserialize)]
pub struct CallIn<'a> {
    /// Its id.
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// `function`.
    #[serde(borrow, default)]
    pub r#type: Option<Text<'a>>,
    /// What was called.
    #[serde(borrow, default, deserialize_with = "object")]
    pub function: Option<FunctionIn<'a>>,
}

/// `function` of a replayed call.
#[derive(Debug, Deserialize)]
pub struct FunctionIn<'a> {
    /// Tool name.
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    /// JSON text.
    #[serde(borrow, default)]
    pub arguments: Option<Text<'a>>,
}

/// A part of a message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContentPart<'a> {
    /// `text`, `input_text`, `image_url`, `refusal`, ...
    #[serde(borrow)]
    pub r#type: Option<Text<'a>>,
    /// Of a text part.
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    /// Another name for `text`.
    #[serde(borrow)]
    pub input_text: Option<Text<'a>>,
    /// Of a refusal.
    #[serde(borrow)]
    pub refusal: Option<Text<'a>>,
    /// Of an image part.
    #[serde(borrow)]
    pub image_url: Option<ImageUrl<'a>>,
    /// Of a sound part.
    #[serde(borrow, deserialize_with = "object")]
    pub input_audio: Option<AudioIn<'a>>,
    /// Of a document part.
    #[serde(borrow, deserialize_with = "object")]
    pub file: Option<FileIn<'a>>,
}

/// `input_audio` of a part.
#[derive(Debug, Deserialize)]
pub struct AudioIn<'a> {
    /// Base64.
    #[serde(borrow)]
    pub data: Text<'a>,
    /// `wav` or `mp3`.
    #[serde(borrow)]
    pub format: Text<'a>,
}

/// `file` of a part.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileIn<'a> {
    /// A data URL, or bare base64.
    #[serde(borrow)]
    pub file_data: Option<Text<'a>>,
    /// Where it can be fetched; not of OpenAI, but some clients send it.
    #[serde(borrow)]
    pub file_url: Option<Text<'a>>,
    /// An upload.
    #[serde(borrow)]
    pub file_id: Option<Text<'a>>,
    /// Its name.
    #[serde(borrow)]
    pub filename: Option<Text<'a>>,
}

/// A string, borrowed from the body where it has no escapes.
#[derive(Debug)]
pub struct Text<'a>(pub Cow<'a, str>);

/// `content`: a string or a list of parts.
#[derive(Debug)]
pub enum Content<'a> {
    /// Plain text.
    Text(Cow<'a, str>),
    /// Parts in order.
    Parts(List<ContentPart<'a>, MAX_PARTS>),
}

/// `image_url`: a string or `{url, detail}`.
#[derive(Debug)]
pub struct ImageUrl<'a> {
    /// An address or a data URL.
    pub url: Cow<'a, str>,
    /// `auto`, `low`, `high`, `original`.
    pub detail: Option<Text<'a>>,
}

impl<'a> From<Cow<'a, str>> for ImageUrl<'a> {
    fn from(url: Cow<'a, str>) -> Self {
        Self { url, detail: None }
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of parts")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                List::from_seq(items).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ImageUrl<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object<'a> {
            #[serde(borrow)]
            url: Text<'a>,
            #[serde(borrow, default)]
            detail: Option<Text<'a>>,
        }
        struct UrlVisitor;
        impl<'de> Visitor<'de> for UrlVisitor {
            type Value = ImageUrl<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object with `url`")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text).into())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::<str>::Owned(text.to_owned()).into())
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Cow::<str>::Owned(text).into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let Object { url, detail } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ImageUrl { url: url.0, detail })
            }
        }
        deserializer.deserialize_any(UrlVisitor)
    }
}

/// The JSON type of a raw value, in the words of the error texts.
pub fn kind_of(raw: &RawValue) -> &'static str {
    match raw.get().trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}
