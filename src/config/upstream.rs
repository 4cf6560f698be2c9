//! Keys that are accepted and have no effect, as lists of plain key paths: those that only upstream has, and those of our
//! own schema that nothing reads yet. Who sets one is told.
//!
//! In a path `*` is any key, `[]` any array element, and a final `**` anything below.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Keys that our schema does not have.
pub static TREE: LazyLock<Node> = LazyLock::new(|| tree(include_str!("upstream-only.txt")));

/// Keys that our schema has and nothing reads.
pub static IDLE: LazyLock<Node> = LazyLock::new(|| tree(include_str!("idle.txt")));

fn tree(list: &'static str) -> Node {
    let mut root = Node::default();
    for line in list
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        root.insert(line);
    }
    root
}

/// One key of the list, with the keys below it.
#[derive(Debug, Default)]
pub struct Node {
    children: BTreeMap<&'static str, Node>,
    /// Listed itself, and not just on the way to a listed key.
    listed: bool,
    /// Anything below is accepted.
    open: bool,
}

impl Node {
    fn insert(&mut self, path: &'static str) {
        let mut node = self;
        for part in path.split('.').flat_map(elements) {
            if part == "**" {
                node.open = true;
                break;
            }
            node = node.children.entry(part).or_default();
        }
        node.listed = true;
    }

    /// The node of a key, or of any key.
    pub fn key(&self, key: &str) -> Option<&Self> {
        self.children.get(key).or_else(|| self.children.get("*"))
    }

    /// The node of an array element.
    pub fn element(&self) -> Option<&Self> {
        self.children.get("[]")
    }

    /// Whether the key itself is accepted.
    pub const fn is_listed(&self) -> bool {
        self.listed
    }

    /// Whether anything below is accepted.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether nothing is listed below, so that the key holds a plain value.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Names of the keys below.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.children
            .keys()
            .copied()
            .filter(|name| !matches!(*name, "*" | "[]"))
    }
}

fn elements(part: &'static str) -> impl Iterator<Item = &'static str> {
    let (name, many) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
    std::iter::once(name).chain(many.then_some("[]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Listed paths for which our schema says so.
    fn listed(node: &Node, path: &str, typed: bool, out: &mut Vec<String>) {
        for (name, child) in &node.children {
            let below = match (path.is_empty(), *name) {
                (true, name) => name.to_owned(),
                (false, "[]") => format!("{path}[]"),
                (false, name) => format!("{path}.{name}"),
            };
            if child.listed && crate::config::schema::at(&below).is_some() == typed {
                out.push(below.clone());
            }
            listed(child, &below, typed, out);
        }
    }

    #[test]
    fn keys_are_typed_or_known_of_upstream_and_idle_ones_are_typed() {
        let mut wrong = Vec::new();
        listed(&TREE, "", true, &mut wrong);
        listed(&IDLE, "", false, &mut wrong);
        assert_eq!(wrong, Vec::<String>::new());
    }
}
