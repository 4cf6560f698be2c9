//! Takes credentials out of a configuration tree, and puts them back into an edited one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::env::Env;
use super::secrets::as_reference;
use super::snapshot::Issue;
use super::substitute::whole_placeholder;

/// Stands where a credential was.
pub const SENTINEL: &str = "__OPENCLAW_REDACTED__";
/// Shorter values are too likely to be ordinary words to be searched for in unrelated places.
const MIN_SEARCHED: usize = 8;

const EXEMPT: [&str; 11] = [
    "maxtokens",
    "maxoutputtokens",
    "maxinputtokens",
    "maxcompletiontokens",
    "contexttokens",
    "totaltokens",
    "tokencount",
    "tokenlimit",
    "tokenbudget",
    "passwordfile",
    "tokenfile",
];

/// What a key says about its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Plain,
    /// A text here is a credential.
    Secret,
    /// Whatever is here is a credential.
    Whole,
}

/// Whether a text at this path is a credential; `*` is any key, `[]` any element.
pub(super) fn is_sensitive(path: &[&str]) -> bool {
    nature(path) != Nature::Plain
}

fn nature(path: &[&str]) -> Nature {
    let Some(key) = path.iter().rev().find(|part| !part.starts_with('[')) else {
        return Nature::Plain;
    };
    let key: String = key
        .chars()
        .filter(|c| *c != '-' && *c != '_')
        .flat_map(char::to_lowercase)
        .collect();
    if EXEMPT.iter().any(|suffix| key.ends_with(suffix)) {
        return Nature::Plain;
    }
    if key.ends_with("serviceaccount") || key.ends_with("serviceaccountref") {
        return Nature::Whole;
    }
    let held = [
        "password",
        "secret",
        "apikey",
        "encryptkey",
        "encryptionkey",
        "privatekey",
        "passphrase",
    ];
    if key.ends_with("token") || held.iter().any(|part| key.contains(part)) || holds_values(path) {
        return Nature::Secret;
    }
    Nature::Plain
}

/// Maps whose every value may be a credential.
fn holds_values(path: &[&str]) -> bool {
    match path {
        ["env", "shellEnv", ..] => false,
        ["env", _] | ["env", "vars", _] => true,
        ["secrets", "providers", _, "env", _] | ["diagnostics", "otel", "headers", _] => true,
        ["models", "providers", .., "headers", _] => true,
        [.., "headers", name] => name.eq_ignore_ascii_case("authorization"),
        _ => false,
    }
}

/// The tree without credentials: by key, and by value wherever one of `known` occurs.
pub fn redact(tree: &Value, known: &BTreeSet<String>) -> Value {
    let mut out = tree.clone();
    walk(&mut out, &mut Vec::new(), &mut |text, _| *text = SENTINEL.to_owned());
    scrub(&mut out, known);
    out
}

/// Every credential that stands in the tree as text.
pub fn credentials(tree: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(&mut tree.clone(), &mut Vec::new(), &mut |text, path| {
        // Variables of the `env` section are hidden there, but are not secrets wherever else their text appears, unless
        // their name says so.
        let is_plain_variable = path.first() == Some(&"env")
            && nature(path.last().map(std::slice::from_ref).unwrap_or_default()) == Nature::Plain;
        if text != SENTINEL && !is_plain_variable {
            found.insert(text.clone());
        }
    });
    found
}

/// Values of variables whose names speak of credentials, which `${NAME}` may have put anywhere.
pub fn of_environment(env: &Env) -> impl Iterator<Item = String> {
    env.iter()
        .filter(|(name, value)| value.len() >= MIN_SEARCHED && (is_sensitive(&[name]) || name.ends_with("_KEY")))
        .map(|(_, value)| value.to_owned())
}

/// Replaces credentials in text, longest first.
pub fn scrub_text(text: &str, known: &BTreeSet<String>) -> String {
    let mut longest_first: Vec<&String> = known.iter().filter(|secret| !secret.is_empty()).collect();
    longest_first.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    longest_first
        .into_iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), SENTINEL))
}

fn scrub(value: &mut Value, known: &BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for secret in known.iter().filter(|secret| secret.len() >= MIN_SEARCHED) {
                if text.contains(secret.as_str()) {
                    *text = SENTINEL.to_owned();
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, known)),
        Value::Object(map) => map.values_mut().for_each(|item| scrub(item, known)),
        _ => {}
    }
}

/// Calls `touch` for every text that is a credential, with its path.
fn walk<'a>(value: &'a mut Value, path: &mut Vec<&'a str>, touch: &mut impl FnMut(&mut String, &[&str])) {
    let nature = nature(path);
    if nature == Nature::Whole && value.is_object() {
        let mut text = value.to_string();
        touch(&mut text, path);
        *value = Value::String(text);
        return;
    }
    if as_reference(value).is_some() {
        if let Some(Value::String(id)) = value.get_mut("id")
            && whole_placeholder(id).is_none()
        {
            touch(id, path);
        }
        return;
    }
    match value {
        Value::String(text) => {
            let secret = (nature != Nature::Plain && !text.is_empty()) || url_with_credentials(text);
            if secret && whole_placeholder(text).is_none() {
                touch(text, path);
            }
        }
        Value::Array(items) => {
            for item in items {
                path.push("[]");
                walk(item, path, touch);
                path.pop();
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                path.push(key);
                walk(item, path, touch);
                path.pop();
            }
        }
        _ => {}
    }
}

fn url_with_credentials(text: &str) -> bool {
    if !text.contains("://") {
        return false;
    }
    let Ok(url) = url::Url::parse(text) else { return false };
    let named = |key: &str| {
        let key = key.to_ascii_lowercase();
        [
            "token",
            "secret",
            "password",
            "apikey",
            "api_key",
            "key",
            "signature",
            "sig",
        ]
        .contains(&key.as_str())
            || key.ends_with("_token")
    };
    url.password().is_some() || !url.username().is_empty() || url.query_pairs().any(|(key, _)| named(&key))
}

/// Puts credentials of `original` back where `edited` has the sentinel. Errors name each sentinel that has no original.
pub fn restore(edited: &Value, original: &Value) -> Result<Value, Vec<Issue>> {
    let mut out = edited.clone();
    let mut issues = Vec::new();
    put_back(&mut out, Some(original), &mut Vec::new(), &mut issues);
    if issues.is_empty() { Ok(out) } else { Err(issues) }
}

fn put_back(value: &mut Value, original: Option<&Value>, path: &mut Vec<String>, issues: &mut Vec<Issue>) {
    match value {
        Value::String(text) if text == SENTINEL => match original {
            Some(old) if !old.is_null() => *value = old.clone(),
            _ => issues.push(no_original(path)),
        },
        Value::String(text) if text.contains(SENTINEL) => issues.push(no_original(path)),
        Value::Array(items) => {
            let before = original.and_then(Value::as_array);
            for (index, item) in items.iter_mut().enumerate() {
                let old = before.and_then(|before| same_element(item, before, index));
                path.push(format!("[{index}]"));
                put_back(item, old, path, issues);
                path.pop();
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                path.push(key.clone());
                put_back(item, original.and_then(|original| original.get(key)), path, issues);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Elements with an id are found again by it, others by their place.
fn same_element<'a>(item: &Value, before: &'a [Value], index: usize) -> Option<&'a Value> {
    match item.get("id") {
        Some(id) => before.iter().find(|old| old.get("id") == Some(id)),
        None => before.get(index),
    }
}

fn no_original(path: &[String]) -> Issue {
    let shown = super::validate::dotted(path);
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let text = if nature(&parts) == Nature::Plain {
        format!("Reserved redaction sentinel \"{SENTINEL}\" is not valid config data ({shown}).")
    } else {
        format!("Sentinel value \"{SENTINEL}\" in key {shown} is not valid as real data")
    };
    Issue::error(shown, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "gateway": {"auth": {"token": "tok-123456789", "password": "${PW}"}, "mode": "local"},
            "models": {"providers": {"p": {
                "apiKey": {"source": "env", "provider": "default", "id": "KEY"},
                "headers": {"X-Any": "hdr"}, "baseUrl": "https://u:p@h/v1", "models": [{"maxTokens": 5}],
            }}},
            "channels": {"googlechat": {"serviceAccount": {"client_email": "a@b"}}, "x": {"botToken": "bt", "tokenFile": "/f"}},
            "env": {"vars": {"A": "b"}, "shellEnv": {"enabled": true}},
            "agents": {"list": [{"id": "a", "name": "uses tok-123456789 inside"}]},
            "secrets": {"providers": {"f": {"source": "file", "path": "/s"}}},
        })
    }

    #[test]
    fn credentials_are_taken_out_by_key_and_by_value() {
        let known = credentials(&sample());
        let out = redact(&sample(), &known);
        let s = SENTINEL;
        assert_eq!(
            out["gateway"],
            json!({"auth": {"token": s, "password": "${PW}"}, "mode": "local"})
        );
        let provider = &out["models"]["providers"]["p"];
        assert_eq!(
            provider["apiKey"],
            json!({"source": "env", "provider": "default", "id": s})
        );
        assert_eq!(
            (&provider["headers"]["X-Any"], &provider["baseUrl"]),
            (&json!(s), &json!(s))
        );
        assert_eq!(provider["models"][0]["maxTokens"], 5);
        assert_eq!(
            out["channels"],
            json!({"googlechat": {"serviceAccount": s}, "x": {"botToken": s, "tokenFile": "/f"}})
        );
        assert_eq!(out["env"], json!({"vars": {"A": s}, "shellEnv": {"enabled": true}}));
        assert_eq!(out["agents"]["list"][0]["name"], s);
        assert_eq!(out["secrets"]["providers"]["f"]["path"], "/s");
    }

    #[test]
    fn what_a_variable_with_a_telling_name_put_somewhere_is_taken_out() {
        let env: Env = [
            ("URL_KEY", "in-the-path-1"),
            ("OPENCLAW_GATEWAY_TOKEN_FILE", "/run/secrets/token"),
            ("MY_TOKEN", "short"),
            ("REGION", "eu-central-1"),
        ]
        .into_iter()
        .collect();
        let known: BTreeSet<String> = of_environment(&env).collect();
        assert_eq!(known, BTreeSet::from(["in-the-path-1".to_owned()]));
        let tree = json!({"baseUrl": "https://h/in-the-path-1/v1", "name": "eu-central-1"});
        assert_eq!(
            redact(&tree, &known),
            json!({"baseUrl": SENTINEL, "name": "eu-central-1"})
        );
    }

    #[test]
    fn an_edited_tree_gets_its_credentials_back() {
        let mut edited = redact(&sample(), &BTreeSet::new());
        edited["gateway"]["mode"] = json!("remote");
        let restored = restore(&edited, &sample()).unwrap();
        let mut expected = sample();
        expected["gateway"]["mode"] = json!("remote");
        assert_eq!(restored, expected);
        let bad = json!({"gateway": {"auth": {"password": SENTINEL}, "controlUi": {"basePath": SENTINEL}}});
        let messages: Vec<String> = restore(&bad, &json!({}))
            .unwrap_err()
            .into_iter()
            .map(|i| i.message)
            .collect();
        assert_eq!(
            messages[0],
            format!("Sentinel value \"{SENTINEL}\" in key gateway.auth.password is not valid as real data")
        );
        assert_eq!(
            messages[1],
            format!(
                "Reserved redaction sentinel \"{SENTINEL}\" is not valid config data (gateway.controlUi.basePath)."
            )
        );
    }
}
