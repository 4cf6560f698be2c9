//! Strict validation of a configuration tree against the schema and the list of upstream's keys.
//!
//! Reports everything that is wrong, in upstream's words, with the nearest match for a misspelt key.

use serde_json::Value;

use super::schema::SCHEMA;
use super::snapshot::{Issue, Severity};
use super::upstream::{IDLE, Node, TREE};

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Errors; the configuration is refused if there is any.
    pub issues: Vec<Issue>,
    /// Topmost keys that are accepted and have no effect.
    pub unused: Vec<String>,
}

/// Checks a whole configuration.
pub fn validate(config: &Value) -> Findings {
    let mut findings = Findings::default();
    check(&SCHEMA, Some(&TREE), config, &mut Vec::new(), &mut findings);
    idle(&IDLE, config, &mut Vec::new(), &mut findings);
    findings
}

/// Notes the keys that are understood and that nothing reads.
fn idle(node: &Node, value: &Value, path: &mut Vec<String>, out: &mut Findings) {
    let mut below = |part: String, node: Option<&Node>, item: &Value| {
        let Some(node) = node else { return };
        path.push(part);
        if node.is_listed() {
            out.unused.push(dotted(path));
        } else {
            idle(node, item, path, out);
        }
        path.pop();
    };
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                below(key.clone(), node.key(key), item);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                below(format!("[{index}]"), node.element(), item);
            }
        }
        _ => {}
    }
}

/// Upstream's word for the kind of a value.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `a.b[0].c`
pub(crate) fn dotted(path: &[String]) -> String {
    let mut out = String::new();
    for part in path {
        if !out.is_empty() && !part.starts_with('[') {
            out.push('.');
        }
        out.push_str(part);
    }
    out
}

impl Findings {
    fn error(&mut self, path: &[String], message: String) {
        self.issues.push(Issue {
            path: dotted(path),
            message,
            severity: Severity::Error,
        });
    }
}

fn check(schema: &Value, listed: Option<&Node>, value: &Value, path: &mut Vec<String>, out: &mut Findings) {
    if let Some(allowed) = choices(schema) {
        if !allowed.contains(&value) {
            let names: Vec<String> = allowed.iter().map(|item| item.to_string()).collect();
            out.error(path, format!("Invalid input (allowed: {})", names.join(", ")));
        }
        return;
    }
    if let Some(branches) = branches(schema) {
        return alternatives(branches, listed, value, path, out);
    }
    let Some(kind) = schema.get("type").and_then(Value::as_str) else {
        return;
    };
    if !fits(kind, value) {
        let wanted = if kind == "integer" && value.is_number() {
            "int"
        } else {
            word(kind)
        };
        return out.error(
            path,
            format!("Invalid input: expected {wanted}, received {}", kind_of(value)),
        );
    }
    match value {
        Value::Number(number) => range(schema, number.as_f64().unwrap_or(0.0), path, out),
        Value::String(text) => length(schema, text.chars().count(), path, out),
        Value::Array(items) => {
            let Some(inner) = schema.get("items") else { return };
            for (index, item) in items.iter().enumerate() {
                path.push(format!("[{index}]"));
                check(inner, listed.and_then(Node::element), item, path, out);
                path.pop();
            }
        }
        Value::Object(map) => object(schema, listed, map, path, out),
        Value::Null | Value::Bool(_) => {}
    }
}

fn object(
    schema: &Value,
    listed: Option<&Node>,
    map: &serde_json::Map<String, Value>,
    path: &mut Vec<String>,
    out: &mut Findings,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let rest = schema.get("additionalProperties");
    for (key, item) in map {
        let below = listed.and_then(|node| node.key(key));
        let inner = properties
            .and_then(|properties| properties.get(key))
            .or_else(|| rest.filter(|rest| rest.is_object()));
        path.push(key.clone());
        match (inner, below) {
            (Some(inner), below) => check(inner, below, item, path, out),
            (None, _) if rest.is_some_and(|rest| *rest == Value::Bool(true)) => {}
            (None, Some(below)) => {
                out.unused.push(dotted(path));
                accepted(below, item, path, out);
            }
            (None, None) => {
                path.pop();
                out.error(path, unknown_key(key, schema, listed));
                continue;
            }
        }
        path.pop();
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !map.contains_key(name) {
            path.push(name.to_owned());
            let wanted = properties
                .and_then(|properties| properties.get(name))
                .and_then(|inner| inner.get("type"));
            let wanted = wanted.and_then(Value::as_str).map_or("string", word);
            out.error(path, format!("Invalid input: expected {wanted}, received undefined"));
            path.pop();
        }
    }
}

/// A subtree of the list of upstream's keys: only the names are checked.
fn accepted(node: &Node, value: &Value, path: &mut Vec<String>, out: &mut Findings) {
    // A key of which nothing is known below holds what its owner likes.
    if node.is_open() || node.is_leaf() {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                let Some(below) = node.key(key) else {
                    out.error(path, unknown_key(key, &Value::Null, Some(node)));
                    continue;
                };
                path.push(key.clone());
                accepted(below, item, path, out);
                path.pop();
            }
        }
        Value::Array(items) => {
            let Some(below) = node.element() else { return };
            for (index, item) in items.iter().enumerate() {
                path.push(format!("[{index}]"));
                accepted(below, item, path, out);
                path.pop();
            }
        }
        _ => {}
    }
}

fn unknown_key(key: &str, schema: &Value, listed: Option<&Node>) -> String {
    let base = format!("Unrecognized key: \"{key}\"");
    match nearest(key, schema, listed) {
        Some(name) => format!("{base}; did you mean \"{name}\"?"),
        None => base,
    }
}

/// A sibling that is at most a third of its letters away, else the same name one level below.
fn nearest(key: &str, schema: &Value, listed: Option<&Node>) -> Option<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let typed = properties
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str));
    let near = typed
        .chain(listed.into_iter().flat_map(Node::names))
        .map(|name| {
            (
                strsim::damerau_levenshtein(&key.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, name)) = near {
        return Some(name.to_owned());
    }
    let mut below = properties.into_iter().flatten();
    below.find_map(|(name, inner)| inner.get("properties")?.get(key).map(|_| format!("{name}.{key}")))
}

/// The closed set of a schema.
pub(super) fn choices(schema: &Value) -> Option<Vec<&Value>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().collect());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value]);
    }
    let mut all = Vec::new();
    for branch in branches(schema)? {
        all.extend(choices(branch)?);
    }
    Some(all)
}

fn branches(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()
}

fn alternatives(branches: &[Value], listed: Option<&Node>, value: &Value, path: &mut Vec<String>, out: &mut Findings) {
    let mut first_failure = None;
    for branch in branches {
        let mut trial = Findings::default();
        check(branch, listed, value, path, &mut trial);
        if trial.issues.is_empty() {
            out.unused.append(&mut trial.unused);
            return;
        }
        let same_kind = branch
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| fits(kind, value));
        if same_kind && first_failure.is_none() {
            first_failure = Some(trial);
        }
    }
    match first_failure {
        // A value of the right kind: what is wrong inside says more than the list of kinds.
        Some(mut trial) => out.issues.append(&mut trial.issues),
        None => {
            let kinds: Vec<String> = branches.iter().map(describe).collect();
            out.error(
                path,
                format!(
                    "Invalid input: expected {}, received {}",
                    kinds.join(" or "),
                    kind_of(value)
                ),
            );
        }
    }
}

fn describe(schema: &Value) -> String {
    match choices(schema) {
        Some(allowed) => allowed
            .iter()
            .map(|item| item.to_string())
            .collect::<Vec<_>>()
            .join(" or "),
        None => schema
            .get("type")
            .and_then(Value::as_str)
            .map_or("value", word)
            .to_owned(),
    }
}

fn fits(kind: &str, value: &Value) -> bool {
    match kind {
        "integer" => value.is_i64() || value.is_u64(),
        other => kind_of(value) == other,
    }
}

fn word(kind: &str) -> &str {
    if kind == "integer" { "number" } else { kind }
}

fn range(schema: &Value, number: f64, path: &[String], out: &mut Findings) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        out.error(path, format!("Too small: expected number to be >={least}"));
    }
    if let Some(most) = bound("maximum").filter(|most| number > *most) {
        out.error(path, format!("Too big: expected number to be <={most}"));
    }
}

fn length(schema: &Value, count: usize, path: &[String], out: &mut Findings) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    if let Some(least) = bound("minLength").filter(|least| count < *least) {
        out.error(path, format!("Too small: expected string to have >={least} characters"));
    }
    if let Some(most) = bound("maxLength").filter(|most| count > *most) {
        out.error(path, format!("Too big: expected string to have <={most} characters"));
    }
}

#[cfg(test)]
mod tests;
