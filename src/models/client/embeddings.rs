//! The client side of `POST /v1/embeddings`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::contract::{Becomes, Field, Fields, Takes, is_longer};
use super::fields::param_fault;
use crate::domain::Fault;
use crate::domain::embedding::{EmbeddingInput, Vector};

/// Most texts of one request.
const MAX_INPUTS: usize = 2_048;
/// Longest text.
const MAX_INPUT_CHARS: usize = 32_768;
/// Most tokens of one text.
const MAX_INPUT_TOKENS: usize = 8_192;
/// Longest sum of all texts.
const MAX_TOTAL_CHARS: usize = 2 * 1024 * 1024;

/// The fields of the body.
pub const EMBEDDINGS: &[Field] = &[
    Field {
        name: "dimensions",
        takes: Takes::Positive,
        becomes: Becomes::PassedOn,
        sample: "256",
        note: "above 0",
    },
    Field {
        name: "encoding_format",
        takes: Takes::Text,
        becomes: Becomes::Supported,
        sample: r#""base64""#,
        note: "`float` or `base64`",
    },
    Field {
        name: "input",
        takes: Takes::TextOrList,
        becomes: Becomes::Supported,
        sample: r#"["a","b"]"#,
        note: "a text, texts, tokens, or lists of tokens; up to 2048",
    },
    Field {
        name: "model",
        takes: Takes::Text,
        becomes: Becomes::Supported,
        sample: r#""openclaw""#,
        note: "required; names an agent",
    },
    Field {
        name: "user",
        takes: Takes::TextOrObject,
        becomes: Becomes::PassedOn,
        sample: r#""u-1""#,
        note: "an object is ignored",
    },
];

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingTurn {
    /// `model` as sent. Names an agent; echoed verbatim.
    pub model: String,
    /// What is embedded; possibly nothing.
    pub input: EmbeddingInput,
    /// Length of the vectors.
    pub dimensions: Option<u64>,
    /// Whether vectors are wanted in base64.
    pub base64: bool,
    /// `user`, if it is a string.
    pub user: Option<String>,
}

/// Reads a body. The fault is a 400 in the words of the error object.
pub fn parse_embeddings(body: &[u8]) -> Result<EmbeddingTurn, Fault> {
    let fields = Fields::read(body, EMBEDDINGS)?;
    let model = fields
        .text("model")
        .filter(|model| !model.trim().is_empty())
        .ok_or_else(|| param_fault("model", "Missing `model`."))?;
    let base64 = match fields.text("encoding_format").as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            let text = "`encoding_format` must be `float` or `base64`.";
            return Err(param_fault("encoding_format", text));
        }
    };
    let dimensions: Option<f64> = fields
        .get("dimensions")
        .and_then(|raw| serde_json::from_str(raw.get()).ok());
    let dimensions = match dimensions {
        None => None,
        Some(number) if (1.0..=MAX_DIMENSIONS).contains(&number) => Some(floor(number)),
        Some(_) => {
            let text = format!("`dimensions` must be between 1 and {MAX_DIMENSIONS}.");
            return Err(param_fault("dimensions", text));
        }
    };
    let raw = fields.get("input").ok_or_else(no_input)?;
    Ok(EmbeddingTurn {
        model,
        input: input(raw)?,
        dimensions,
        base64,
        user: fields.text("user"),
    })
}

/// No model has vectors of this length.
const MAX_DIMENSIONS: f64 = 65_536.0;

fn floor(number: f64) -> u64 {
    number as u64
}

fn no_input() -> Fault {
    param_fault(
        "input",
        "`input` must be a string, an array of strings, or an array of tokens.",
    )
}

fn input(raw: &RawValue) -> Result<EmbeddingInput, Fault> {
    if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
        return checked_texts(vec![text]);
    }
    if let Ok(tokens) = serde_json::from_str::<Vec<u32>>(raw.get())
        && !tokens.is_empty()
    {
        return checked_tokens(vec![tokens]);
    }
    if is_longer(raw, MAX_INPUTS) {
        return Err(param_fault("input", format!("Too many inputs (max {MAX_INPUTS}).")));
    }
    if let Ok(texts) = serde_json::from_str::<Vec<String>>(raw.get()) {
        return checked_texts(texts);
    }
    let tokens = serde_json::from_str::<Vec<Vec<u32>>>(raw.get()).map_err(|_| no_input())?;
    checked_tokens(tokens)
}

fn checked_texts(texts: Vec<String>) -> Result<EmbeddingInput, Fault> {
    let mut total = 0;
    for text in &texts {
        let length = text.chars().count();
        total += length;
        if length > MAX_INPUT_CHARS {
            let text = format!("Input too long (max {MAX_INPUT_CHARS} chars).");
            return Err(param_fault("input", text));
        }
    }
    if total > MAX_TOTAL_CHARS {
        let text = format!("Total input too large (max {MAX_TOTAL_CHARS} chars).");
        return Err(param_fault("input", text));
    }
    Ok(EmbeddingInput::Texts(texts))
}

fn checked_tokens(texts: Vec<Vec<u32>>) -> Result<EmbeddingInput, Fault> {
    if texts
        .iter()
        .any(|tokens| tokens.is_empty() || tokens.len() > MAX_INPUT_TOKENS)
    {
        let text = format!("Each list of tokens must hold 1 to {MAX_INPUT_TOKENS}.");
        return Err(param_fault("input", text));
    }
    Ok(EmbeddingInput::Tokens(texts))
}

/// A vector as JSON in the form that the client asked for. `None`: the provider's form cannot be read.
pub fn embedding_json(vector: &Vector, base64: bool) -> Option<Cow<'_, RawValue>> {
    match (vector, base64) {
        (Vector::Numbers(numbers), false) => Some(Cow::Borrowed(numbers)),
        (Vector::Base64(text), true) => serde_json::value::to_raw_value(text).ok().map(Cow::Owned),
        (Vector::Numbers(numbers), true) => {
            let numbers: Vec<f32> = serde_json::from_str(numbers.get()).ok()?;
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            let text = STANDARD.encode(bytes);
            serde_json::value::to_raw_value(&text).ok().map(Cow::Owned)
        }
        (Vector::Base64(text), false) => {
            let bytes = STANDARD.decode(text.as_bytes()).ok()?;
            let (floats, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return None;
            }
            let numbers: Vec<f32> = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            serde_json::value::to_raw_value(&numbers).ok().map(Cow::Owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: Value) -> Result<EmbeddingTurn, Fault> {
        parse_embeddings(body.to_string().as_bytes())
    }

    #[test]
    fn every_form_of_input_is_read() {
        for (input, expected) in [
            (json!("a"), EmbeddingInput::Texts(vec!["a".into()])),
            (json!(""), EmbeddingInput::Texts(vec![String::new()])),
            (json!(["a", "b"]), EmbeddingInput::Texts(vec!["a".into(), "b".into()])),
            (json!([1, 2]), EmbeddingInput::Tokens(vec![vec![1, 2]])),
            (json!([[1], [2, 3]]), EmbeddingInput::Tokens(vec![vec![1], vec![2, 3]])),
            (json!([]), EmbeddingInput::Texts(vec![])),
        ] {
            assert_eq!(
                parse(json!({"model": "openclaw", "input": input})).unwrap().input,
                expected
            );
        }
    }

    #[test]
    fn wrong_requests_name_the_field() {
        for (body, param) in [
            (json!({"input": "a"}), "model"),
            (json!({"model": "m"}), "input"),
            (json!({"model": "m", "input": 5}), "input"),
            (json!({"model": "m", "input": ["a", 5]}), "input"),
            (json!({"model": "m", "input": [-1]}), "input"),
            (json!({"model": "m", "input": [[]]}), "input"),
            (json!({"model": "m", "input": vec!["x"; 2049]}), "input"),
            (json!({"model": "m", "input": "x".repeat(32_769)}), "input"),
            (json!({"model": "m", "input": "a", "dimensions": "8"}), "dimensions"),
            (json!({"model": "m", "input": "a", "dimensions": 0}), "dimensions"),
            (json!({"model": "m", "input": "a", "dimensions": 1e9}), "dimensions"),
            (
                json!({"model": "m", "input": "a", "encoding_format": "int8"}),
                "encoding_format",
            ),
            (json!({"model": "m", "input": "a", "user": 5}), "user"),
        ] {
            assert_eq!(parse(body.clone()).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
        assert_eq!(
            parse(json!({"model": "m", "input": "a", "dimensions": 8.9}))
                .unwrap()
                .dimensions,
            Some(8)
        );
    }

    proptest! {
        #[test]
        fn numbers_and_base64_say_the_same(numbers in proptest::collection::vec(-1e6f32..1e6, 0..20)) {
            let given = Vector::Numbers(serde_json::value::to_raw_value(&numbers).unwrap());
            let text: String = serde_json::from_str(embedding_json(&given, true).unwrap().get()).unwrap();
            let given = Vector::Base64(text.into());
            let back: Vec<f32> = serde_json::from_str(embedding_json(&given, false).unwrap().get()).unwrap();
            prop_assert_eq!(back, numbers);
        }
    }
}
