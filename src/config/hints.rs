//! What forms need beside the schema: labels, help, marks of credentials; and single nodes of the schema.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::redact::is_sensitive;
use super::rules::{Effect, effect};
use super::schema::{SCHEMA, at_generic, step};
use super::validate::choices;

/// Facts of a node that are shown with it alone; its children are listed beside them.
const SHOWN: [&str; 11] = [
    "type",
    "enum",
    "const",
    "default",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

/// First match wins; a rule covers its path and everything below.
const TAGS: &[(&str, &str)] = &[
    ("gateway.auth", "security"),
    ("gateway.trustedProxies", "security"),
    ("gateway.tls", "security"),
    ("gateway.port", "network"),
    ("gateway.bind", "network"),
    ("gateway.customBindHost", "network"),
    ("gateway.http", "network"),
    ("gateway.management", "network"),
    ("gateway.limits", "performance"),
    ("secrets", "security"),
    ("auth", "security"),
    ("models", "models"),
    ("channels", "channels"),
    ("hooks", "automation"),
    ("cron", "automation"),
    ("logging", "observability"),
    ("diagnostics", "observability"),
];

/// Words of keys that are not written like other words.
const SPELLED: &[(&str, &str)] = &[
    ("api", "API"),
    ("cidr", "CIDR"),
    ("http", "HTTP"),
    ("id", "ID"),
    ("ip", "IP"),
    ("mcp", "MCP"),
    ("ms", "(ms)"),
    ("otel", "OpenTelemetry"),
    ("tls", "TLS"),
    ("ttl", "TTL"),
    ("ui", "UI"),
    ("url", "URL"),
];

/// Hints by path; `*` is any key, `[]` any element.
pub static HINTS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut hints = Map::new();
    gather(&SCHEMA, &mut Vec::new(), &mut hints);
    for (order, (_, hint)) in hints.iter_mut().filter(|(path, _)| !path.contains('.')).enumerate() {
        let group = hint.get("label").cloned().unwrap_or_default();
        if let Some(hint) = hint.as_object_mut() {
            hint.insert("group".to_owned(), group);
            hint.insert("order".to_owned(), Value::from((order + 1) * 10));
        }
    }
    hints
});

fn gather<'a>(node: &'a Value, path: &mut Vec<&'a str>, hints: &mut Map<String, Value>) {
    if let Some(hint) = hint(node, path) {
        hints.insert(joined(path), hint);
    }
    // The inside of a secret reference is the same everywhere and needs no hints.
    if node.get("anyOf").is_some() {
        return;
    }
    for (key, child) in children(node) {
        path.push(key);
        gather(child, path, hints);
        path.pop();
    }
}

fn hint(node: &Value, path: &[&str]) -> Option<Value> {
    let key = *path.last()?;
    let sensitive = is_sensitive(path) && (takes_text(node) || key.to_lowercase().contains("serviceaccount"));
    let named = !matches!(key, "*" | "[]");
    if !named && !sensitive {
        return None;
    }
    let mut hint = Map::new();
    hint.insert(
        "label".to_owned(),
        Value::from(if named { label(key) } else { "Value".to_owned() }),
    );
    if let Some(help) = node.get("description") {
        hint.insert("help".to_owned(), help.clone());
    }
    let path = joined(path);
    let tag = TAGS.iter().find(|(rule, _)| covers(rule, &path));
    let tag = if sensitive {
        "security"
    } else {
        tag.map_or("advanced", |(_, tag)| tag)
    };
    hint.insert("tags".to_owned(), json!([tag]));
    if sensitive {
        hint.insert("sensitive".to_owned(), Value::Bool(true));
    }
    Some(Value::Object(hint))
}

fn covers(rule: &str, path: &str) -> bool {
    path.strip_prefix(rule)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn takes_text(node: &Value) -> bool {
    let is_text = |node: &Value| node.get("type").is_some_and(|kind| kind == "string");
    is_text(node) || branches(node).any(is_text)
}

/// `maxPreauthPerIp` as `Max Preauth Per IP`.
fn label(key: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for c in key.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_lowercase().collect()),
        }
    }
    let shown: Vec<String> = words.iter().map(|word| spelled(word)).collect();
    shown.join(" ")
}

fn spelled(word: &str) -> String {
    if let Some((_, known)) = SPELLED.iter().find(|(plain, _)| *plain == word) {
        return (*known).to_owned();
    }
    let mut rest = word.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    first + rest.as_str()
}

fn joined(path: &[&str]) -> String {
    path.iter().fold(String::new(), |path, part| below(&path, part))
}

fn below(path: &str, part: &str) -> String {
    match part {
        "[]" => format!("{path}[]"),
        _ if path.is_empty() => part.to_owned(),
        _ => format!("{path}.{part}"),
    }
}

fn branches(node: &Value) -> impl Iterator<Item = &Value> {
    let list = node.get("anyOf").or_else(|| node.get("oneOf"));
    list.and_then(Value::as_array).into_iter().flatten()
}

/// Keys below a node, those of all its alternatives together; each once.
fn children(node: &Value) -> Vec<(&str, &Value)> {
    let mut found: Vec<(&str, &Value)> = Vec::new();
    let mut add = |key, child| {
        if !found.iter().any(|(known, _)| *known == key) {
            found.push((key, child));
        }
    };
    for node in std::iter::once(node).chain(branches(node)) {
        for (key, child) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
            add(key.as_str(), child);
        }
        if let Some(rest) = node.get("additionalProperties").filter(|rest| rest.is_object()) {
            add("*", rest);
        }
        if let Some(items) = node.get("items") {
            add("[]", items);
        }
    }
    found
}

/// The node at a dotted path, as `config.schema.lookup` shows it; with `reload`, also what a change of it takes. `None`:
/// there is no such key.
pub fn look_up(path: &str, reload: bool) -> Option<Value> {
    let (node, generic) = at_generic(path)?;
    let required: Vec<&Value> = node
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    let children: Vec<Value> = children(node)
        .into_iter()
        .map(|(key, child)| {
            let mut shown = Map::new();
            shown.insert("key".to_owned(), Value::from(key));
            shown.insert("path".to_owned(), Value::from(below(path, key)));
            if let Some(kind) = kind(child) {
                shown.insert("type".to_owned(), kind);
            }
            shown.insert(
                "required".to_owned(),
                Value::from(required.iter().any(|name| *name == key)),
            );
            shown.insert("hasChildren".to_owned(), Value::from(!self::children(child).is_empty()));
            add_hint(&mut shown, &below(&generic, key));
            Value::Object(shown)
        })
        .collect();
    let mut out = Map::new();
    out.insert("path".to_owned(), Value::from(path));
    out.insert("schema".to_owned(), alone(node, &generic));
    if reload {
        let kind = match effect(&generic) {
            Effect::None => "none",
            Effect::Hot => "hot",
            Effect::Restart => "restart",
        };
        out.insert("reloadKind".to_owned(), Value::from(kind));
    }
    add_hint(&mut out, &generic);
    out.insert("children".to_owned(), Value::Array(children));
    Some(Value::Object(out))
}

fn add_hint(out: &mut Map<String, Value>, path: &str) {
    if let Some(hint) = HINTS.get(path) {
        out.insert("hint".to_owned(), hint.clone());
        out.insert("hintPath".to_owned(), Value::from(path));
    }
}

/// The node without what is below it.
fn alone(node: &Value, path: &str) -> Value {
    let mut out = Map::new();
    if let Some(kind) = kind(node) {
        out.insert("type".to_owned(), kind);
    }
    for key in SHOWN {
        if let Some(value) = node.get(key) {
            out.insert(key.to_owned(), value.clone());
        }
    }
    // Upstream's way to say that a whole number is positive.
    if out.get("type").is_some_and(|kind| kind == "integer") && out.get("minimum").is_some_and(|least| *least == 1) {
        out.remove("minimum");
        out.insert("exclusiveMinimum".to_owned(), Value::from(0));
    }
    if let Some(allowed) = choices(node).filter(|_| !out.contains_key("const")) {
        out.insert("enum".to_owned(), allowed.into_iter().cloned().collect());
    }
    if let Some(label) = HINTS.get(path).and_then(|hint| hint.get("label")) {
        out.insert("title".to_owned(), label.clone());
    }
    if let Some(text) = node.get("description") {
        out.insert("description".to_owned(), text.clone());
    }
    Value::Object(out)
}

/// `type` of a node, or the types of its alternatives.
fn kind(node: &Value) -> Option<Value> {
    if let Some(kind) = node.get("type") {
        return Some(kind.clone());
    }
    let mut kinds: Vec<Value> = Vec::new();
    for branch in branches(node) {
        let kind = branch.get("type").cloned();
        kinds.extend(kind.filter(|kind| !kinds.contains(kind)));
    }
    match kinds.len() {
        0 => None,
        1 => kinds.pop(),
        _ => Some(Value::Array(kinds)),
    }
}

/// Up to `most` values of a closed set at a path of the configuration, and how many there are in all.
pub fn allowed_values(path: &str, most: usize) -> Option<(Vec<Value>, usize)> {
    let node = path
        .split('.')
        .flat_map(super::schema::split_index)
        .filter(|part| !part.is_empty())
        .try_fold(&*SCHEMA, |node, part| step(node, part).map(|(node, _)| node))?;
    let all = choices(node)?;
    let count = all.len();
    Some((all.into_iter().take(most).cloned().collect(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_marked_and_ordinary_keys_are_not() {
        let sensitive: Vec<&str> = HINTS
            .iter()
            .filter(|(_, hint)| hint["sensitive"] == true)
            .map(|(path, _)| path.as_str())
            .collect();
        for path in [
            "gateway.auth.token",
            "gateway.auth.password",
            "models.providers.*.apiKey",
            "hooks.token",
            "env.vars.*",
        ] {
            assert!(sensitive.contains(&path), "{path} is not marked: {sensitive:#?}");
        }
        for path in ["gateway.port", "secrets", "models.providers.*.models[].maxTokens"] {
            assert!(!sensitive.contains(&path), "{path} is marked");
        }
    }

    #[test]
    fn a_leaf_is_shown_with_its_hint() {
        let port = look_up("gateway.port", false).unwrap();
        assert_eq!(port["schema"]["type"], "integer");
        assert_eq!(port["schema"]["title"], "Port");
        assert_eq!(port["hintPath"], "gateway.port");
        assert_eq!(port["hint"]["tags"], json!(["network"]));
        assert_eq!(port["children"], json!([]));
        assert!(port.get("reloadKind").is_none());
        assert_eq!(look_up("gateway.port", true).unwrap()["reloadKind"], "restart");
    }

    #[test]
    fn children_are_listed_and_indexes_find_their_hints() {
        let list = look_up("agents.list", false).unwrap();
        assert_eq!(list["children"][0]["key"], "[]");
        assert_eq!(list["children"][0]["path"], "agents.list[]");
        let agent = look_up("agents.list[3]", false).unwrap();
        let id = agent["children"]
            .as_array()
            .unwrap()
            .iter()
            .find(|child| child["key"] == "id")
            .unwrap();
        assert_eq!(id["path"], "agents.list[3].id");
        assert_eq!(id["hintPath"], "agents.list[].id");
        assert_eq!(id["required"], true);
        assert!(look_up("models.providers.mine.apiKey", false).unwrap()["hint"]["sensitive"] == true);
        assert_eq!(look_up("gateway.nope", false), None);
        assert!(look_up("gateway.bind", false).unwrap()["schema"]["enum"].is_array());
    }

    #[test]
    fn labels_are_words() {
        assert_eq!(label("maxPreauthPerIp"), "Max Preauth Per IP");
        assert_eq!(label("handshakeTimeoutMs"), "Handshake Timeout (ms)");
    }
}
