//! Compares a value with a compiled schema and words what is wrong.
//!
//! A hostile value could be wrong in a million places, so looking ends when enough was found.

use serde_json::{Map, Value};

use super::schema::{Node, Types};

/// Most errors that are told.
pub(super) const MOST: usize = 32;

/// The first [`MOST`] errors, without repeats.
pub(super) fn errors(node: &Node, value: &Value) -> Vec<String> {
    let mut found = Found {
        texts: Vec::new(),
        most: MOST,
    };
    found.visit(node, value, "");
    found.texts
}

fn fits(node: &Node, value: &Value) -> bool {
    let mut found = Found {
        texts: Vec::new(),
        most: 1,
    };
    found.visit(node, value, "");
    found.texts.is_empty()
}

struct Found {
    texts: Vec<String>,
    most: usize,
}

impl Found {
    fn is_full(&self) -> bool {
        self.texts.len() >= self.most
    }

    fn add(&mut self, path: &str, message: &str) {
        let text = if path.is_empty() {
            message.to_owned()
        } else {
            format!("at {path}: {message}")
        };
        self.push(text);
    }

    fn push(&mut self, text: String) {
        if !self.is_full() && !self.texts.contains(&text) {
            self.texts.push(text);
        }
    }

    fn visit(&mut self, node: &Node, value: &Value, path: &str) {
        if self.is_full() {
            return;
        }
        if !node.types.accept(value) {
            self.add(path, &format!("must be {}", node.types.describe()));
            return;
        }
        match value {
            Value::Object(map) => self.object(node, map, path),
            Value::Array(items) => self.array(node, items, path),
            Value::String(text) => self.string(node, text, path),
            Value::Number(number) => self.number(node, number.as_f64(), path),
            Value::Null | Value::Bool(_) => {}
        }
        if value.is_null() && node.types != Types::default() {
            // An optional key that is null counts as absent, whatever values it may otherwise have.
            return;
        }
        if node.allowed.as_ref().is_some_and(|allowed| !allowed.contains(value)) {
            self.add(path, "must be equal to one of the allowed values");
        }
        if node.constant.as_ref().is_some_and(|constant| constant != value) {
            self.add(path, "must be equal to constant");
        }
        for part in &node.all_of {
            self.visit(part, value, path);
        }
        self.alternatives(node, value, path);
    }

    fn object(&mut self, node: &Node, map: &Map<String, Value>, path: &str) {
        for name in &node.required {
            if !map.contains_key(name) {
                self.add(path, &format!("must have required property '{name}'"));
            }
        }
        if node.closed {
            let place = if path.is_empty() { "root" } else { path };
            for name in map.keys() {
                if self.is_full() {
                    return;
                }
                if !node.properties.iter().any(|(known, _)| known == name) {
                    self.push(format!("at {place}: unexpected property '{name}'"));
                }
            }
        }
        for (name, child) in &node.properties {
            if let Some(value) = map.get(name) {
                self.visit(child, value, &join(path, name));
            }
        }
        if let Some(rest) = &node.rest {
            for (name, value) in map {
                if self.is_full() {
                    return;
                }
                if !node.properties.iter().any(|(known, _)| known == name) {
                    self.visit(rest, value, &join(path, name));
                }
            }
        }
    }

    fn array(&mut self, node: &Node, items: &[Value], path: &str) {
        let count = items.len() as u64;
        if let Some(least) = node.min_items.filter(|least| count < *least) {
            self.add(path, &format!("must NOT have fewer than {least} items"));
        }
        if let Some(most) = node.max_items.filter(|most| count > *most) {
            self.add(path, &format!("must NOT have more than {most} items"));
        }
        if let Some(child) = &node.items {
            for (index, item) in items.iter().enumerate() {
                if self.is_full() {
                    return;
                }
                self.visit(child, item, &join(path, &index.to_string()));
            }
        }
    }

    fn string(&mut self, node: &Node, text: &str, path: &str) {
        if node.min_length.is_none() && node.max_length.is_none() {
            return;
        }
        let length = text.chars().count() as u64;
        if let Some(least) = node.min_length.filter(|least| length < *least) {
            self.add(path, &format!("must NOT have fewer than {least} characters"));
        }
        if let Some(most) = node.max_length.filter(|most| length > *most) {
            self.add(path, &format!("must NOT have more than {most} characters"));
        }
    }

    fn number(&mut self, node: &Node, number: Option<f64>, path: &str) {
        let Some(number) = number else { return };
        if let Some(least) = node.minimum.filter(|least| number < *least) {
            self.add(path, &format!("must be >= {least}"));
        }
        if let Some(most) = node.maximum.filter(|most| number > *most) {
            self.add(path, &format!("must be <= {most}"));
        }
    }

    fn alternatives(&mut self, node: &Node, value: &Value, path: &str) {
        if node.any_of.is_empty() || node.any_of.iter().any(|branch| fits(branch, value)) {
            return;
        }
        // A branch for null only says that the key is optional.
        let real: Vec<&Node> = node.any_of.iter().filter(|branch| !branch.is_null()).collect();
        for branch in &real {
            self.visit(branch, value, path);
        }
        if real.len() > 1 {
            self.add(path, "must match a schema in anyOf");
        }
    }
}

fn join(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}
