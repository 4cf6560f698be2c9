//! Merge patches (RFC 7396) on the authored tree, with arrays of objects merged by id.

use serde_json::{Map, Value};

use super::EditError;
use super::included::{self, below};

/// `base` with `patch` merged in. `source` is what `base` means with includes joined in; arrays at the paths of `replace`
/// are replaced as a whole.
pub(super) fn apply(base: &Value, patch: &Value, source: &Value, replace: &[String]) -> Result<Value, EditError> {
    Merge { replace }.value(base.clone(), patch, Some(source), "")
}

struct Merge<'a> {
    replace: &'a [String],
}

impl Merge<'_> {
    fn value(&self, base: Value, patch: &Value, source: Option<&Value>, path: &str) -> Result<Value, EditError> {
        match (base, patch) {
            (Value::Object(base), Value::Object(patch)) => self.object(base, patch, source, path),
            (Value::Array(base), Value::Array(patch)) if self.by_id(&base, patch, path) => {
                self.elements(base, patch, source, path)
            }
            (base, patch) => {
                if included::anywhere(&base) && !included::anywhere(patch) {
                    return if source == Some(patch) {
                        Ok(base)
                    } else {
                        Err(included::refusal(&base, path))
                    };
                }
                match patch {
                    // Keys that the patch deletes are not there in what it makes either.
                    Value::Object(patch) => self.object(Map::new(), patch, None, path),
                    other => Ok(other.clone()),
                }
            }
        }
    }

    fn object(
        &self,
        mut base: Map<String, Value>,
        patch: &Map<String, Value>,
        source: Option<&Value>,
        path: &str,
    ) -> Result<Value, EditError> {
        let names_file = base.contains_key(included::KEY) && !patch.contains_key(included::KEY);
        if names_file && !patch.is_empty() {
            let base = Value::Object(base);
            let Some(Value::Object(content)) = source else {
                return Err(included::refusal(&base, path));
            };
            let changed = self.object(content.clone(), patch, None, path)?;
            return if source == Some(&changed) {
                Ok(base)
            } else {
                Err(included::refusal(&base, path))
            };
        }
        for (key, item) in patch {
            if item.is_null() {
                base.shift_remove(key);
                continue;
            }
            let old = base.get_mut(key).map(Value::take).unwrap_or_default();
            let source = source.and_then(|source| source.get(key));
            let new = self.value(old, item, source, &below(path, key))?;
            base.insert(key.clone(), new);
        }
        Ok(Value::Object(base))
    }

    /// An empty array is a way to say that everything goes.
    fn by_id(&self, base: &[Value], patch: &[Value], path: &str) -> bool {
        !patch.is_empty()
            && base.iter().chain(patch).all(|item| id(item).is_some())
            && !self.replace.iter().any(|replaced| replaced == path)
    }

    fn elements(
        &self,
        mut base: Vec<Value>,
        patch: &[Value],
        source: Option<&Value>,
        path: &str,
    ) -> Result<Value, EditError> {
        let path = format!("{path}[]");
        for item in patch {
            let of_item = |list: &[Value]| list.iter().position(|old| id(old) == id(item));
            let source = source
                .and_then(Value::as_array)
                .and_then(|list| list.get(of_item(list)?));
            let place = of_item(&base).and_then(|index| base.get_mut(index));
            match place {
                Some(old) => *old = self.value(old.take(), item, source, &path)?,
                None => base.push(self.value(Value::Null, item, None, &path)?),
            }
        }
        Ok(Value::Array(base))
    }
}

fn id(item: &Value) -> Option<&str> {
    item.get("id")?.as_str()
}
