//! The JSON schema of the configuration, generated from the typed sections.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::types::Config;

/// The schema, without references. Objects are closed unless `additionalProperties` says otherwise.
pub static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    tidy(&mut schema);
    if let Some(map) = schema.as_object_mut() {
        map.insert("title".to_owned(), Value::from("OpenClawConfig"));
    }
    schema
});

/// Absent is the only way to leave a key out, so `null` alternatives of optional fields go; objects are closed.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("format");
            drop_null(map);
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            // An empty default says nothing.
            if map.get("default").is_some_and(is_empty) {
                map.remove("default");
            }
            for (key, child) in map.iter_mut() {
                match (key.as_str(), child) {
                    // Names of keys, which may be called `default` or `enum` themselves.
                    ("properties", Value::Object(properties)) => properties.values_mut().for_each(tidy),
                    ("default" | "enum" | "const" | "required", _) => {}
                    (_, child) => tidy(child),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = map.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(branches)) = map.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
    if branches.len() != 1 {
        return;
    }
    // One branch left: it becomes the schema itself, under the field's own description.
    if let Some(Value::Array(mut branches)) = map.remove("anyOf")
        && let Some(Value::Object(only)) = branches.pop()
    {
        for (key, value) in only {
            map.entry(key).or_insert(value);
        }
    }
}

/// The part of the schema at a dotted path; `*` and `[]` stand for any key and any element.
pub fn at(path: &str) -> Option<&'static Value> {
    at_generic(path).map(|(node, _)| node)
}

/// The same, with the path in its general form: `*` for any key, `[]` for any element.
pub fn at_generic(path: &str) -> Option<(&'static Value, String)> {
    let mut node = &*SCHEMA;
    let mut generic = String::new();
    for part in path.split('.').flat_map(split_index).filter(|part| !part.is_empty()) {
        let (below, name) = step(node, part)?;
        node = below;
        if !generic.is_empty() && name != "[]" {
            generic.push('.');
        }
        generic.push_str(name);
    }
    Some((node, generic))
}

pub(super) fn split_index(part: &str) -> impl Iterator<Item = &str> {
    part.split('[')
        .map(|piece| if piece.ends_with(']') { "[]" } else { piece })
}

/// One step down, with the name of that step in general form.
pub(super) fn step<'a>(node: &'a Value, part: &str) -> Option<(&'a Value, &'a str)> {
    if (matches!(part, "[]" | "*") || part.parse::<usize>().is_ok())
        && let Some(items) = node.get("items")
    {
        return Some((items, "[]"));
    }
    let properties = node.get("properties").and_then(Value::as_object);
    let direct = properties.and_then(|properties| properties.get_key_value(part));
    let rest = || node.get("additionalProperties").filter(|rest| rest.is_object());
    direct
        .map(|(name, child)| (child, name.as_str()))
        .or_else(|| rest().map(|child| (child, "*")))
        .or_else(|| {
            let branches = node.get("anyOf").or_else(|| node.get("oneOf"))?.as_array()?;
            branches.iter().find_map(|branch| step(branch, part))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_our_descriptions_and_no_null_alternatives() {
        let port = at("gateway.port").unwrap();
        assert_eq!(port["type"], "integer");
        assert_eq!(
            (port["minimum"].as_u64(), port["maximum"].as_u64()),
            (Some(1), Some(65535))
        );
        assert!(port["description"].as_str().unwrap().contains("18789"));
        assert_eq!(at("gateway.auth.token").unwrap()["anyOf"][0]["type"], "string");
        assert_eq!(at("agents.list[].id").unwrap()["type"], "string");
        assert_eq!(
            at("models.providers.any.models[].input[]").unwrap()["oneOf"][0]["const"],
            "text"
        );
        let text = SCHEMA.to_string();
        assert!(!text.contains("\"null\""), "null survives");
        assert!(!text.contains("$ref"), "references survive");
    }
}
