//! Scope algebra over wire names, for grants that are stored and compared.
//!
//! Names that nobody knows take part like any other, so that a newer client's scopes can be approved.

use http::HeaderMap;

use crate::domain::Role;

const ADMIN: &str = "operator.admin";
const READ: &str = "operator.read";
const WRITE: &str = "operator.write";
const PREFIX: &str = "operator.";

/// Header by which a caller gives up scopes.
const DECLARED: &str = "x-openclaw-scopes";

/// Whether `granted` includes `wanted`, counting what admin and write imply.
pub fn covers(granted: &[String], wanted: &str) -> bool {
    let has = |name: &str| granted.iter().any(|scope| scope == name);
    has(wanted) || (wanted.starts_with(PREFIX) && has(ADMIN)) || (wanted == READ && has(WRITE))
}

/// The first of `wanted` that `granted` does not include.
pub fn missing<'a>(granted: &[String], wanted: &'a [String]) -> Option<&'a str> {
    wanted.iter().map(String::as_str).find(|scope| !covers(granted, scope))
}

/// Whether `granted` includes all of `wanted`.
pub fn covers_all(granted: &[String], wanted: &[String]) -> bool {
    missing(granted, wanted).is_none()
}

/// The role that a scope belongs to.
pub fn role_of(scope: &str) -> Role {
    if scope.starts_with(PREFIX) {
        Role::Operator
    } else {
        Role::Node
    }
}

/// Scopes as a token holds them: those of the role, what they imply spelled out, sorted.
pub fn of_token(role: Role, scopes: &[String]) -> Vec<String> {
    let mut own: Vec<String> = scopes.iter().filter(|scope| role_of(scope) == role).cloned().collect();
    let has = |name: &str| own.iter().any(|scope| scope == name);
    if has(ADMIN) {
        own.extend([READ.to_owned(), WRITE.to_owned()]);
    } else if has(WRITE) {
        own.push(READ.to_owned());
    }
    own.sort();
    own.dedup();
    own
}

/// `first` followed by what `second` adds.
pub fn union(first: &[String], second: &[String]) -> Vec<String> {
    let mut all = first.to_vec();
    for scope in second {
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}

/// The scopes that a request limits itself to, if it does.
pub fn declared(headers: &HeaderMap) -> Option<Vec<String>> {
    if !headers.contains_key(DECLARED) {
        return None;
    }
    let names = headers
        .get_all(DECLARED)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Scope, ScopeSet};

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_token_spells_out_what_its_scopes_imply() {
        assert_eq!(
            of_token(Role::Operator, &names(&[ADMIN, "operator.pairing"])),
            names(&[ADMIN, "operator.pairing", READ, WRITE])
        );
        assert_eq!(of_token(Role::Operator, &names(&[WRITE])), names(&[READ, WRITE]));
        assert_eq!(of_token(Role::Operator, &names(&["canvas"])), names(&[]));
        assert_eq!(of_token(Role::Node, &names(&[ADMIN, "canvas"])), names(&["canvas"]));
    }

    #[test]
    fn admin_covers_the_operator_family_and_nothing_else() {
        let admin = names(&[ADMIN]);
        assert!(covers(&admin, "operator.sessions.read"));
        assert!(!covers(&admin, "canvas"));
        assert!(!covers(&names(&[READ]), WRITE));
        assert_eq!(
            missing(&names(&[WRITE]), &names(&[READ, "operator.pairing"])),
            Some("operator.pairing")
        );
    }

    #[test]
    fn a_declaration_may_be_empty() {
        let mut headers = HeaderMap::new();
        assert_eq!(declared(&headers), None);
        headers.insert(DECLARED, " ".parse().unwrap());
        assert_eq!(declared(&headers), Some(vec![]));
        headers.append(DECLARED, "operator.read, ,operator.write".parse().unwrap());
        assert_eq!(declared(&headers), Some(names(&[READ, WRITE])));
    }

    fn any_scopes() -> impl Strategy<Value = Vec<String>> {
        let known: Vec<String> = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect();
        proptest::collection::vec(
            prop_oneof![proptest::sample::select(known), "operator\\.[a-z]{1,4}", "[a-z]{1,4}"],
            0..6,
        )
    }

    proptest! {
        #[test]
        fn names_and_sets_agree(granted in any_scopes()) {
            let set = ScopeSet::from_names(&granted);
            for scope in Scope::ALL {
                prop_assert_eq!(set.allows(scope), covers(&granted, scope.as_str()));
            }
        }

        #[test]
        fn a_token_grants_exactly_what_was_approved_for_its_role(scopes in any_scopes()) {
            let token = of_token(Role::Operator, &scopes);
            for scope in Scope::ALL {
                prop_assert_eq!(covers(&token, scope.as_str()), covers(&scopes, scope.as_str()));
            }
            prop_assert_eq!(of_token(Role::Operator, &token), token.clone());
            prop_assert!(covers_all(&scopes, &token));
        }

        #[test]
        fn covering_is_transitive(a in any_scopes(), b in any_scopes(), c in any_scopes()) {
            if covers_all(&a, &b) && covers_all(&b, &c) {
                prop_assert!(covers_all(&a, &c));
            }
            prop_assert!(covers_all(&union(&a, &b), &a) && covers_all(&union(&a, &b), &b));
        }
    }
}
