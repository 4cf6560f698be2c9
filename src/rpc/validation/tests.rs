use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{NoParams, Shape};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read by the schema only")]
struct Patch {
    #[schemars(length(min = 1, max = 8))]
    session_key: String,
    message: String,
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    limit: Option<u32>,
    #[serde(default)]
    view: Option<View>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum View {
    All,
    Configured,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by the schema only")]
struct Tag {
    name: String,
}

fn refusal(params: &str) -> String {
    let raw: Box<RawValue> = serde_json::from_str(params).unwrap();
    Shape::<Patch>::new().parse("x", &raw).unwrap_err().message
}

#[test]
fn every_error_is_reported_required_first_then_unexpected_then_values() {
    assert_eq!(
        refusal(r#"{"zzz":1,"limit":0}"#),
        "invalid x params: must have required property 'sessionKey'; must have required property 'message'; \
         at root: unexpected property 'zzz'; at /limit: must be >= 1"
    );
}

#[test]
fn values_are_named_by_their_path() {
    assert_eq!(
        refusal(r#"{"sessionKey":"","message":5,"limit":11}"#),
        "invalid x params: at /sessionKey: must NOT have fewer than 1 characters; at /message: must be string; \
         at /limit: must be <= 10"
    );
    assert_eq!(
        refusal(r#"{"sessionKey":"123456789","message":"m","limit":"3","tags":[{"name":"a"},{"nome":"b"}]}"#),
        "invalid x params: at /sessionKey: must NOT have more than 8 characters; at /limit: must be integer; \
         at /tags/1: must have required property 'name'; at /tags/1: unexpected property 'nome'"
    );
}

#[test]
fn an_unknown_word_of_a_closed_list_is_refused() {
    assert_eq!(
        refusal(r#"{"sessionKey":"k","message":"m","view":"none"}"#),
        "invalid x params: at /view: must be equal to one of the allowed values"
    );
}

#[test]
fn params_that_are_no_object_are_refused() {
    assert_eq!(refusal("5"), "invalid x params: must be object");
}

#[test]
fn null_for_an_optional_key_counts_as_absent() {
    let raw: Box<RawValue> =
        serde_json::from_str(r#"{"sessionKey":"k","message":"m","limit":null,"view":null,"tags":null}"#).unwrap();
    assert!(Shape::<Patch>::new().parse("x", &raw).is_ok());
}

#[test]
fn methods_without_params_ignore_what_they_get() {
    let raw: Box<RawValue> = serde_json::from_str(r#"{"anything":[1]}"#).unwrap();
    assert!(Shape::<NoParams>::new().parse("x", &raw).is_ok());
}

#[test]
fn a_value_that_is_wrong_everywhere_is_refused_quickly_and_briefly() {
    for params in [
        format!(
            r#"{{"sessionKey":"k","message":"m","tags":[{}0]}}"#,
            "0,".repeat(100_000)
        ),
        format!(
            "{{{}\"a\":0}}",
            (0..100_000).map(|n| format!("\"k{n}\":0,")).collect::<String>()
        ),
    ] {
        let message = refusal(&params);
        assert_eq!(message.split("; ").count(), super::check::MOST, "{message}");
    }
}
