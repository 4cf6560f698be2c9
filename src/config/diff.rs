//! What changed between two configurations.

use serde_json::Value;

/// Dotted paths that differ. Objects are compared key by key, anything else as a whole; a key that comes or goes is
/// reported itself. Sorted by the order of `old`, then of `new`.
pub fn diff(old: &Value, new: &Value) -> Vec<String> {
    let mut changed = Vec::new();
    walk(old, new, "", &mut changed);
    changed
}

fn walk(old: &Value, new: &Value, path: &str, changed: &mut Vec<String>) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        if old != new {
            changed.push(path.to_owned());
        }
        return;
    };
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    for (key, old) in before {
        match after.get(key) {
            Some(new) => walk(old, new, &below(key), changed),
            None => changed.push(below(key)),
        }
    }
    changed.extend(
        after
            .keys()
            .filter(|key| !before.contains_key(*key))
            .map(|key| below(key)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn objects_are_compared_by_key_and_arrays_as_a_whole() {
        let old = json!({"a": {"b": 1, "c": [1, 2]}, "gone": {"x": 1}, "same": {"y": [1]}});
        let new = json!({"same": {"y": [1]}, "a": {"c": [1, 3], "b": 1}, "new": {"z": 1}});
        assert_eq!(diff(&old, &new), ["a.c", "gone", "new"]);
        assert_eq!(diff(&json!({"a": {"b": 1}}), &json!({"a": 2})), ["a"]);
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..4_i64).prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn equal_trees_have_no_difference_and_others_have_one(a in tree(), b in tree()) {
            prop_assert!(diff(&a, &a).is_empty());
            prop_assert_eq!(diff(&a, &b).is_empty(), a == b);
        }

        #[test]
        fn both_directions_name_the_same_paths(a in tree(), b in tree()) {
            let (mut there, mut back) = (diff(&a, &b), diff(&b, &a));
            there.sort();
            back.sort();
            prop_assert_eq!(there, back);
        }
    }
}
