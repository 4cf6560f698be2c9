//! Log probabilities of an answer that came in pieces.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

#[derive(Deserialize, Serialize)]
struct Logprobs<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    refusal: Option<Vec<&'a RawValue>>,
}

/// The objects of all pieces as one. `None`: there is none, or one cannot be read.
pub fn join_logprobs(pieces: &[String]) -> Option<Box<RawValue>> {
    if let [only] = pieces {
        return RawValue::from_string(only.clone()).ok();
    }
    let mut whole = Logprobs {
        content: None,
        refusal: None,
    };
    for piece in pieces {
        let piece: Logprobs<'_> = serde_json::from_str(piece).ok()?;
        if let Some(tokens) = piece.content {
            whole.content.get_or_insert_default().extend(tokens);
        }
        if let Some(tokens) = piece.refusal {
            whole.refusal.get_or_insert_default().extend(tokens);
        }
    }
    (!pieces.is_empty()).then(|| to_raw_value(&whole).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_object() {
        let piece = |text: &str| text.to_owned();
        let joined = join_logprobs(&[
            piece(r#"{"content":[{"token":"a","logprob":-0.10}],"refusal":null}"#),
            piece(r#"{"content":null}"#),
            piece(r#"{"content":[{"token":"b","logprob":-2e-1}]}"#),
        ]);
        assert_eq!(
            joined.unwrap().get(),
            r#"{"content":[{"token":"a","logprob":-0.10},{"token":"b","logprob":-2e-1}],"refusal":null}"#
        );
        assert_eq!(join_logprobs(&[piece(r#"{"x":1}"#)]).unwrap().get(), r#"{"x":1}"#);
        assert!(join_logprobs(&[]).is_none());
    }
}
