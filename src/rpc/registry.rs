//! The method table: one array per family, concatenated and sorted.
//!
//! A new method is a line in its family's `METHODS`; a new family is a line in `FAMILIES`.

use std::sync::LazyLock;

use super::method::{Access, Method};
use super::methods;
use crate::domain::{Scope, access};

const FAMILIES: &[&[Method]] = &[
    methods::agent::METHODS,
    methods::chat::METHODS,
    methods::config::METHODS,
    methods::core::METHODS,
    methods::devices::METHODS,
    methods::sessions::METHODS,
    methods::usage::METHODS,
];

static TABLE: LazyLock<Vec<&'static Method>> = LazyLock::new(|| {
    let mut table: Vec<&'static Method> = FAMILIES.iter().flat_map(|family| family.iter()).collect();
    table.sort_by_key(|method| method.name);
    table
});

static LISTED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    TABLE
        .iter()
        .filter(|method| method.listed)
        .map(|method| method.name)
        .collect()
});

/// The method of this name.
pub fn find(name: &str) -> Option<&'static Method> {
    let index = TABLE.binary_search_by_key(&name, |method| method.name).ok()?;
    TABLE.get(index).copied()
}

/// Who may call a method, also one that does not exist here: callers learn of a missing scope before they learn that.
/// What nobody knows needs `operator.admin`.
pub fn access(name: &str) -> Access {
    find(name).map_or_else(
        || access::of_protocol(name).unwrap_or(Access::Operator(Scope::Admin)),
        |method| method.access,
    )
}

/// Names that hello-ok lists.
pub fn listed() -> &'static [&'static str] {
    &LISTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for pair in TABLE.windows(2) {
            assert_ne!(pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn every_method_is_found_and_keeps_the_access_that_clients_know() {
        for method in TABLE.iter() {
            assert_eq!(find(method.name).unwrap().name, method.name);
            // Protocol 4 decides these by the params; the methods themselves ask protocol 3 for admin.
            if ["sessions.patch", "sessions.delete"].contains(&method.name) {
                continue;
            }
            if let Some(known) = access::of_protocol(method.name) {
                assert_eq!(method.access, known, "{}", method.name);
            }
        }
    }

    #[test]
    fn the_unknown_is_for_admins() {
        assert_eq!(access("no.such.method"), Access::Operator(Scope::Admin));
        assert_eq!(access("cron.list"), Access::Operator(Scope::Read));
        assert_eq!(access("node.event"), Access::Node);
    }
}
