//! From a generated JSON schema to the small tree that is checked.

use serde_json::{Map, Value};

/// JSON types as a bit set; `0` means any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    const NAMES: [&'static str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];

    fn of(name: &str) -> Self {
        Self::NAMES
            .iter()
            .position(|known| *known == name)
            .map_or(Self(0), |index| Self(1 << index))
    }

    fn has(self, name: &str) -> bool {
        self.0 & Self::of(name).0 != 0
    }

    /// Whether `value` has one of the types.
    pub(super) fn accept(self, value: &Value) -> bool {
        if self.0 == 0 {
            return true;
        }
        match value {
            Value::Null => self.has("null"),
            Value::Bool(_) => self.has("boolean"),
            Value::String(_) => self.has("string"),
            Value::Array(_) => self.has("array"),
            Value::Object(_) => self.has("object"),
            Value::Number(number) => {
                self.has("number")
                    || (self.has("integer")
                        && (number.is_i64()
                            || number.is_u64()
                            || number.as_f64().is_some_and(|float| float.fract() == 0.0)))
            }
        }
    }

    /// The types for a message. `null` is left out: it only says that the key is optional.
    pub(super) fn describe(self) -> String {
        let names: Vec<&str> = Self::NAMES
            .into_iter()
            .filter(|name| *name != "null" && self.has(name))
            .collect();
        if names.is_empty() {
            "null".to_owned()
        } else {
            names.join(",")
        }
    }
}

/// What is checked about one place.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) types: Types,
    pub(super) required: Vec<String>,
    pub(super) properties: Vec<(String, Node)>,
    /// `additionalProperties: false`.
    pub(super) closed: bool,
    /// Schema of values under other keys.
    pub(super) rest: Option<Box<Node>>,
    pub(super) items: Option<Box<Node>>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
    pub(super) min_items: Option<u64>,
    pub(super) max_items: Option<u64>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) allowed: Option<Vec<Value>>,
    pub(super) constant: Option<Value>,
    pub(super) any_of: Vec<Node>,
    pub(super) all_of: Vec<Node>,
}

impl Node {
    /// Whether nothing but `null` is allowed here.
    pub(super) fn is_null(&self) -> bool {
        self.types == Types::of("null")
    }

    /// Whether serde alone finds everything that this schema forbids.
    pub(super) fn is_plain(&self) -> bool {
        let limits = self.min_length.is_some()
            || self.max_length.is_some()
            || self.min_items.is_some()
            || self.max_items.is_some()
            || self.maximum.is_some()
            || self.allowed.is_some()
            || self.constant.is_some()
            || self.minimum.is_some_and(|minimum| minimum != 0.0);
        !limits
            && self.properties.iter().all(|(_, node)| node.is_plain())
            && self.rest.iter().all(|node| node.is_plain())
            && self.items.iter().all(|node| node.is_plain())
            && self.any_of.iter().all(Self::is_plain)
            && self.all_of.iter().all(Self::is_plain)
    }
}

/// References deeper than this are not followed; parameter types are not recursive, so this only guards against a loop.
const MAX_DEPTH: usize = 24;

/// Compiles a root schema.
pub(super) fn compile(schema: &Value) -> Node {
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    node(schema, definitions, 0)
}

fn node(schema: &Value, definitions: &Map<String, Value>, depth: usize) -> Node {
    let Some(map) = schema.as_object() else {
        return Node::default();
    };
    if depth > MAX_DEPTH {
        return Node::default();
    }
    let child = |schema: &Value| node(schema, definitions, depth + 1);
    if let Some(target) = map
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix("#/$defs/"))
        .and_then(|name| definitions.get(name))
    {
        return child(target);
    }
    let types = match map.get("type") {
        Some(Value::String(name)) => Types::of(name),
        Some(Value::Array(names)) => Types(
            names
                .iter()
                .filter_map(Value::as_str)
                .fold(0, |bits, name| bits | Types::of(name).0),
        ),
        _ => Types::default(),
    };
    let list = |key: &str| -> Vec<Node> {
        map.get(key)
            .and_then(Value::as_array)
            .map(|schemas| schemas.iter().map(child).collect())
            .unwrap_or_default()
    };
    let mut any_of = list("anyOf");
    any_of.extend(list("oneOf"));
    Node {
        types,
        required: map
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
        properties: map
            .get("properties")
            .and_then(Value::as_object)
            .map(|all| all.iter().map(|(name, schema)| (name.clone(), child(schema))).collect())
            .unwrap_or_default(),
        closed: map.get("additionalProperties") == Some(&Value::Bool(false)),
        rest: map
            .get("additionalProperties")
            .filter(|schema| schema.is_object())
            .map(|schema| Box::new(child(schema))),
        items: map.get("items").map(|schema| Box::new(child(schema))),
        min_length: map.get("minLength").and_then(Value::as_u64),
        max_length: map.get("maxLength").and_then(Value::as_u64),
        min_items: map.get("minItems").and_then(Value::as_u64),
        max_items: map.get("maxItems").and_then(Value::as_u64),
        minimum: map.get("minimum").and_then(Value::as_f64),
        maximum: map.get("maximum").and_then(Value::as_f64),
        allowed: map.get("enum").and_then(Value::as_array).cloned(),
        constant: map.get("const").cloned(),
        any_of,
        all_of: list("allOf"),
    }
}
