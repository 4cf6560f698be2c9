//! Request body of `POST /v1/chat/completions`, as clients really send it.
//!
//! Every top-level field is kept as raw JSON and read only when it is needed, so that an unknown or odd field never
//! spoils a request and a wrong type can be reported with the field's name. Unknown fields are ignored.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::value::RawValue;

/// The fields that mean something to the gateway. `null` counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChatRequest<'a> {
    /// Which agent.
    #[serde(borrow)]
    pub model: Option<&'a RawValue>,
    /// The conversation; see [`ChatMessage`].
    #[serde(borrow)]
    pub messages: Option<&'a RawValue>,
    /// Whether the answer is streamed.
    #[serde(borrow)]
    pub stream: Option<&'a RawValue>,
    /// `include_usage`.
    #[serde(borrow)]
    pub stream_options: Option<&'a RawValue>,
    /// Names the conversation; anything but a string is no name.
    #[serde(borrow)]
    pub user: Option<&'a RawValue>,
    /// Client tools.
    #[serde(borrow)]
    pub tools: Option<&'a RawValue>,
    /// Choice among them.
    #[serde(borrow)]
    pub tool_choice: Option<&'a RawValue>,
    /// Whether several may be called at once.
    #[serde(borrow)]
    pub parallel_tool_calls: Option<&'a RawValue>,
    /// Number of answers; only 1.
    #[serde(borrow)]
    pub n: Option<&'a RawValue>,
    /// 0 to 2.
    #[serde(borrow)]
    pub temperature: Option<&'a RawValue>,
    /// 0 to 1.
    #[serde(borrow)]
    pub top_p: Option<&'a RawValue>,
    /// -2 to 2.
    #[serde(borrow)]
    pub frequency_penalty: Option<&'a RawValue>,
    /// -2 to 2.
    #[serde(borrow)]
    pub presence_penalty: Option<&'a RawValue>,
    /// A number.
    #[serde(borrow)]
    pub seed: Option<&'a RawValue>,
    /// Above 0.
    #[serde(borrow)]
    pub max_tokens: Option<&'a RawValue>,
    /// Above 0.
    #[serde(borrow)]
    pub max_completion_tokens: Option<&'a RawValue>,
    /// A string or up to four.
    #[serde(borrow)]
    pub stop: Option<&'a RawValue>,
    /// `text`, `json_object` or `json_schema`.
    #[serde(borrow)]
    pub response_format: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub logit_bias: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub logprobs: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub top_logprobs: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub reasoning_effort: Option<&'a RawValue>,
    /// `{effort}`, another way to say `reasoning_effort`.
    #[serde(borrow)]
    pub reasoning: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub verbosity: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub service_tier: Option<&'a RawValue>,
    /// Passed on.
    #[serde(borrow)]
    pub prompt_cache_key: Option<&'a RawValue>,
}

impl<'a> ChatRequest<'a> {
    /// Reads a body. An empty body is an empty object.
    pub fn parse(body: &'a [u8]) -> Result<Self, BodyError> {
        let trimmed = body.trim_ascii();
        match trimmed.first() {
            None => Ok(Self::default()),
            Some(b'{') => Ok(serde_json::from_slice(trimmed)?),
            Some(_) => match serde_json::from_slice::<de::IgnoredAny>(trimmed) {
                Ok(_) => Err(BodyError::NotAnObject),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// Why a body is no chat request at all.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON.
    #[error("Invalid JSON in the request body: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("The request body must be a JSON object.")]
    NotAnObject,
}

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
    pub tool_calls: Option<Vec<CallIn<'a>>>,
    /// The older form of a single call.
    #[serde(borrow)]
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
    /// What was called.
    #[serde(borrow, default)]
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
    Parts(Vec<ContentPart<'a>>),
}

/// `image_url`: a string or `{url}`.
#[derive(Debug)]
pub struct ImageUrl<'a>(pub Cow<'a, str>);

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

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
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
        }
        struct UrlVisitor;
        impl<'de> Visitor<'de> for UrlVisitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object with `url`")
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

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Object::deserialize(MapAccessDeserializer::new(map)).map(|object| object.url.0)
            }
        }
        deserializer.deserialize_any(UrlVisitor).map(Self)
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
