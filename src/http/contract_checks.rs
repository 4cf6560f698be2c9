//! Checks of an endpoint against the table of its fields, and of `docs/compatibility.md` against both.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::fixtures::{Rig, body_json};
use crate::models::client::contract::{Becomes, Field, Takes};

/// Every field of another JSON type is a 400 that names it; `null` counts as absent.
pub async fn wrong_types_are_refused(rig: &Rig, path: &str, base: &Value, table: &[Field]) {
    let headers = [("authorization", "Bearer admin")];
    for field in table {
        for value in [json!(true), json!(5), json!("text"), json!([]), json!({}), json!(null)] {
            let kind = match &value {
                Value::Null => continue,
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            if field.takes.name().contains(kind) {
                continue;
            }
            let mut body = base.clone();
            body[field.name] = value;
            let response = rig.send("POST", path, &headers, &body.to_string()).await;
            assert_eq!(response.status(), 400, "{body}");
            let error = body_json(response).await["error"].clone();
            assert_eq!(error["param"], field.name, "{body}");
            assert_eq!(error["type"], "invalid_request_error");
        }
    }
}

/// The table as the page has it.
fn markdown(table: &[Field]) -> String {
    let mut out = String::from("| field | type | | |\n|---|---|---|---|\n");
    for field in table {
        let becomes = match field.becomes {
            Becomes::Supported => "supported",
            Becomes::PassedOn => "passed on",
            Becomes::Accepted => "accepted, no effect",
            Becomes::Refused(_) => "refused: 400 `unsupported_parameter`",
        };
        writeln!(
            out,
            "| `{}` | {} | {becomes} | {} |",
            field.name,
            field.takes.name(),
            field.note
        )
        .unwrap();
    }
    out
}

/// `docs/compatibility.md` holds the table between `<!-- NAME -->` and `<!-- /NAME -->`.
pub fn page_has_table(name: &str, table: &[Field]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let found = page
        .split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close))
        .map(|(table, _)| table.trim());
    let expected = markdown(table);
    assert!(
        found == Some(expected.trim()),
        "{path} must hold, between {open}and {close}:\n\n{expected}"
    );
}

/// A table that says of a field what its value cannot be would test nothing.
#[test]
fn samples_are_json_of_their_type() {
    use crate::models::client::responses::{COMPACT, RESPONSES};
    use crate::models::client::{CHAT, EMBEDDINGS};
    for field in CHAT.iter().chain(EMBEDDINGS).chain(RESPONSES).chain(COMPACT) {
        let sample: Value = serde_json::from_str(field.sample).unwrap();
        assert!(!sample.is_null(), "{}", field.name);
        assert!(field.takes != Takes::Text || sample.is_string(), "{}", field.name);
    }
}
