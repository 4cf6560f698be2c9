//! `${NAME}` in string values.

use serde_json::Value;

use super::env::Env;

/// A placeholder whose variable is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingVariable {
    /// Dotted path of the value.
    pub path: String,
    /// The variable.
    pub name: String,
}

/// Replaces `${NAME}` in every string of `value` (keys stay). `$${NAME}` becomes the literal `${NAME}`; any other `$` is
/// left alone. A placeholder of an unset or empty variable stays and is reported.
pub fn substitute(value: &mut Value, env: &Env) -> Vec<MissingVariable> {
    let mut missing = Vec::new();
    walk(value, env, &mut String::new(), &mut missing);
    missing
}

fn walk(value: &mut Value, env: &Env, path: &mut String, missing: &mut Vec<MissingVariable>) {
    let length = path.len();
    match value {
        Value::String(text) if text.contains('$') => {
            let (replaced, names) = expand(text, env);
            missing.extend(names.into_iter().map(|name| MissingVariable {
                path: path.clone(),
                name,
            }));
            *text = replaced;
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(item, env, path, missing);
                path.truncate(length);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                walk(item, env, path, missing);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// One string: the result, and the variables that are missing.
pub fn expand(text: &str, env: &Env) -> (String, Vec<String>) {
    let (mut out, mut missing, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some((name, tail)) = after.strip_prefix('$').and_then(placeholder) {
            out.push_str("${");
            out.push_str(name);
            out.push('}');
            rest = tail;
        } else if let Some((name, tail)) = placeholder(after) {
            match env.raw(name) {
                Some(value) => out.push_str(value),
                None => {
                    out.push_str("${");
                    out.push_str(name);
                    out.push('}');
                    missing.push(name.to_owned());
                }
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    (out, missing)
}

/// `{NAME}` at the start of `text`: the name and what follows.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, tail) = text.strip_prefix('{')?.split_once('}')?;
    let mut chars = name.chars();
    let first = chars.next()?;
    let fits = (first.is_ascii_uppercase() || first == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    fits.then_some((name, tail))
}

/// The variable of a string that is one placeholder and nothing else.
pub fn whole_placeholder(text: &str) -> Option<&str> {
    match placeholder(text.trim().strip_prefix('$')?) {
        Some((name, "")) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn env() -> Env {
        [("A", "one"), ("B_2", "$two"), ("EMPTY", "")].into_iter().collect()
    }

    #[test]
    fn placeholders_are_replaced_escapes_are_kept_and_missing_ones_are_named() {
        let mut value = json!({"${A}": "${A}-${B_2}", "l": ["$${A} $A ${a} ${", {"k": "${NONE} ${EMPTY}"}]});
        let missing = substitute(&mut value, &env());
        assert_eq!(
            value,
            json!({"${A}": "one-$two", "l": ["${A} $A ${a} ${", {"k": "${NONE} ${EMPTY}"}]})
        );
        let named: Vec<_> = missing.iter().map(|m| (m.path.as_str(), m.name.as_str())).collect();
        assert_eq!(named, [("l[1].k", "NONE"), ("l[1].k", "EMPTY")]);
    }

    #[test]
    fn only_a_lone_placeholder_counts_as_a_reference() {
        assert_eq!(whole_placeholder(" ${TOKEN} "), Some("TOKEN"));
        assert_eq!(whole_placeholder("x${TOKEN}"), None);
        assert_eq!(whole_placeholder("${token}"), None);
    }

    proptest! {
        #[test]
        fn text_without_placeholders_comes_back_unchanged(text in "[^{]*") {
            prop_assert_eq!(expand(&text, &env()).0, text);
        }

        #[test]
        fn an_escaped_placeholder_is_never_replaced(before in "[a-z ]*", name in "[A-Z_][A-Z0-9_]{0,5}", after in "[a-z ]*") {
            let all: Env = [(name.as_str(), "SECRET!")].into_iter().collect();
            let (out, missing) = expand(&format!("{before}$${{{name}}}{after}"), &all);
            prop_assert_eq!(out, format!("{before}${{{name}}}{after}"));
            prop_assert!(missing.is_empty());
        }

        #[test]
        fn without_variables_and_escapes_nothing_changes(text in "[${}A-C_ ]{0,30}") {
            let plain = text.replace("$$", "");
            let (kept, _) = expand(&plain, &Env::default());
            prop_assert_eq!(kept, plain);
        }
    }
}
