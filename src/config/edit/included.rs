//! Parts of a tree that other files hold.

use serde_json::Value;

use super::EditError;

/// The key that names the files.
pub(super) const KEY: &str = "$include";

/// Whether anything in the tree comes from another file.
pub(super) fn anywhere(tree: &Value) -> bool {
    match tree {
        Value::Object(map) => map.contains_key(KEY) || map.values().any(anywhere),
        Value::Array(items) => items.iter().any(anywhere),
        _ => false,
    }
}

/// The refusal to change what `authored` includes.
pub(super) fn refusal(authored: &Value, path: &str) -> EditError {
    let mut files = Vec::new();
    names(authored, &mut files);
    EditError::Included {
        path: if path.is_empty() { "the root" } else { path }.to_owned(),
        file: files.join(", "),
    }
}

fn names(tree: &Value, out: &mut Vec<String>) {
    match tree {
        Value::Object(map) => {
            match map.get(KEY) {
                Some(Value::String(name)) => out.push(name.clone()),
                Some(Value::Array(list)) => out.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
                _ => {}
            }
            map.values().for_each(|value| names(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, out)),
        _ => {}
    }
}

/// `authored` where it says something itself, `source` for what is included.
pub(super) fn overlay(source: &Value, authored: &Value) -> Value {
    match (source, authored) {
        (Value::Object(below), Value::Object(above)) => {
            let mut out = below.clone();
            for (key, value) in above.iter().filter(|(key, _)| *key != KEY) {
                let joined = below.get(key).map_or_else(|| value.clone(), |old| overlay(old, value));
                out.insert(key.clone(), joined);
            }
            Value::Object(out)
        }
        (Value::Array(below), Value::Array(above)) if below.len() == above.len() => below
            .iter()
            .zip(above)
            .map(|(source, authored)| overlay(source, authored))
            .collect(),
        (_, authored) => authored.clone(),
    }
}

/// `a.b`, or `b` at the root.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
