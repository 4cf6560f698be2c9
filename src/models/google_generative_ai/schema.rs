//! Tool schemas in the subset of JSON Schema that Gemini accepts. Pure.
//!
//! An unknown keyword makes the whole request fail there, so everything that is not known to work is left out: what it
//! says is checked again when the tool runs. References are put in place, `const` becomes a one-element `enum`.

use serde_json::{Map, Value, json};

/// Deepest nesting that is kept; references may go in circles.
const MAX_DEPTH: usize = 24;

/// Keywords that are passed on as they are.
const KEPT: [&str; 9] = [
    "type",
    "title",
    "description",
    "enum",
    "required",
    "nullable",
    "minimum",
    "maximum",
    "propertyOrdering",
];

/// The schema of a tool's arguments, always an object.
pub(super) fn fit(schema: &Value) -> Value {
    match clean(schema, schema, 0) {
        Value::Object(mut fitted) => {
            fitted.entry("type").or_insert_with(|| json!("object"));
            Value::Object(fitted)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

fn clean(schema: &Value, root: &Value, depth: usize) -> Value {
    let Value::Object(source) = schema else {
        // `true` and `false` are schemas too; neither can be said here.
        return json!({});
    };
    if depth > MAX_DEPTH {
        return json!({});
    }
    if let Some(target) = source
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| lookup(root, path))
    {
        return clean(target, root, depth + 1);
    }
    let mut fitted = Map::new();
    for (key, value) in source {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                let properties = properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), clean(schema, root, depth + 1)))
                    .collect();
                fitted.insert(key.clone(), Value::Object(properties));
            }
            ("items", _) => {
                fitted.insert(key.clone(), clean(value, root, depth + 1));
            }
            ("anyOf" | "oneOf", Value::Array(choices)) => {
                let choices = choices.iter().map(|schema| clean(schema, root, depth + 1)).collect();
                fitted.insert("anyOf".to_owned(), Value::Array(choices));
            }
            // One part is that part; of several nobody can say which keywords survive.
            ("allOf", Value::Array(parts)) if parts.len() == 1 => {
                if let Some(Value::Object(part)) = parts.first().map(|part| clean(part, root, depth + 1)) {
                    for (key, value) in part {
                        fitted.entry(key).or_insert(value);
                    }
                }
            }
            ("const", value) => {
                fitted.insert("enum".to_owned(), json!([value]));
            }
            (kept, value) if KEPT.contains(&kept) => {
                fitted.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    only_known_required(&mut fitted);
    Value::Object(fitted)
}

/// `required` may only name properties that are there.
fn only_known_required(schema: &mut Map<String, Value>) {
    let known: Vec<String> = schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| {
            name.as_str()
                .is_some_and(|name| known.iter().any(|known| known == name))
        });
        if required.is_empty() {
            schema.remove("required");
        }
    }
}

fn lookup<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
        .filter(|target| *target != root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keywords_go_and_references_are_put_in_place() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
            "$defs": {"unit": {"enum": ["c", "f"], "type": "string", "examples": ["c"]}},
            "properties": {
                "city": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"},
                "unit": {"$ref": "#/$defs/unit"},
                "kind": {"const": "now"},
                "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "format": "int32"}, "minItems": 1},
                "when": {"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "pattern": {"type": "string"},
            },
            "required": ["city", "gone"],
        });
        assert_eq!(
            fit(&schema),
            json!({
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "unit": {"enum": ["c", "f"], "type": "string"},
                    "kind": {"enum": ["now"]},
                    "days": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                    "when": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "pattern": {"type": "string"},
                },
                "required": ["city"],
            })
        );
    }

    #[test]
    fn circles_end_and_what_is_no_object_becomes_one() {
        let circle = json!({"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"});
        assert_eq!(fit(&circle)["type"], "object");
        assert_eq!(fit(&json!(true)), json!({"type": "object"}));
        assert_eq!(fit(&json!({"$ref": "#"})), json!({"type": "object"}));
    }
}
