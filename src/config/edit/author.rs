//! From an edited tree back to the authored form.
//!
//! Clients edit what `config.get` shows: the authored tree, or the one with everything resolved and defaults filled in.
//! Whatever they left alone is written as its author wrote it.

use serde_json::{Map, Value};

use super::EditError;
use super::included::{self, below};

/// The file's new tree. `edited` is the whole configuration that is asked for; the others are the present one as
/// authored, with includes and variables resolved, and with defaults.
pub(super) fn keep(edited: Value, authored: &Value, source: &Value, runtime: &Value) -> Result<Value, EditError> {
    let author = Author {
        drop_defaults: shows_all_defaults(&edited, source, runtime),
    };
    let layers = Layers {
        authored: Some(authored),
        source: Some(source),
        runtime: Some(runtime),
    };
    author.value(edited, layers, "")
}

/// Whether every default that the runtime view adds is in the tree: then it is an edited copy of that view, and not
/// something in which the defaults were written down on purpose.
fn shows_all_defaults(edited: &Value, source: &Value, runtime: &Value) -> bool {
    let (Value::Object(runtime), Value::Object(edited)) = (runtime, edited) else {
        return true;
    };
    runtime
        .iter()
        .all(|(key, filled)| match (source.get(key), edited.get(key)) {
            (None, shown) => shown.is_some(),
            (Some(source), Some(edited)) => shows_all_defaults(edited, source, filled),
            (Some(_), None) => true,
        })
}

#[derive(Clone, Copy)]
struct Layers<'a> {
    authored: Option<&'a Value>,
    source: Option<&'a Value>,
    runtime: Option<&'a Value>,
}

impl<'a> Layers<'a> {
    fn map(self, pick: impl Fn(&'a Value) -> Option<&'a Value>) -> Self {
        Self {
            authored: self.authored.and_then(&pick),
            source: self.source.and_then(&pick),
            runtime: self.runtime.and_then(&pick),
        }
    }

    fn key(self, key: &str) -> Self {
        self.map(|layer| layer.get(key))
    }

    /// Elements with an id are found by it; others by their place, as long as nothing came or went.
    fn element(self, item: &Value, index: usize, count: usize) -> Self {
        self.map(|layer| {
            let list = layer.as_array()?;
            match item.get("id") {
                Some(id) => list.iter().find(|old| old.get("id") == Some(id)),
                None => list.get(index).filter(|_| list.len() == count),
            }
        })
    }

    /// Whether the runtime view keeps something of this object elsewhere.
    fn moved(self) -> bool {
        let keys = self.source.and_then(Value::as_object);
        let lost = |key: &String| self.runtime.is_some_and(|runtime| runtime.get(key).is_none());
        keys.into_iter().flat_map(Map::keys).any(lost)
    }
}

struct Author {
    drop_defaults: bool,
}

impl Author {
    fn value(&self, edited: Value, at: Layers<'_>, path: &str) -> Result<Value, EditError> {
        let Some(authored) = at.authored else {
            return match edited {
                Value::Object(map) if self.drop_defaults => self.object(map, at, path),
                other => Ok(other),
            };
        };
        let same = |layer: Option<&Value>| layer == Some(&edited);
        if same(at.authored) || same(at.source) || same(at.runtime) {
            return Ok(authored.clone());
        }
        let includes = included::anywhere(&edited);
        match edited {
            // Whoever shows the marker knows about the file.
            Value::Object(map) if map.contains_key(included::KEY) => Ok(Value::Object(map)),
            Value::Object(map) if authored.is_object() && authored.get(included::KEY).is_none() => {
                self.object(map, at, path)
            }
            _ if !includes && included::anywhere(authored) => Err(included::refusal(authored, path)),
            Value::Array(items) if authored.is_array() => {
                let count = items.len();
                let path = format!("{path}[]");
                let kept: Result<Vec<Value>, EditError> = items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let layers = at.element(&item, index, count);
                        self.value(item, layers, &path)
                    })
                    .collect();
                kept.map(Value::Array)
            }
            other => Ok(other),
        }
    }

    fn object(&self, map: Map<String, Value>, at: Layers<'_>, path: &str) -> Result<Value, EditError> {
        let drop_defaults = self.drop_defaults && !at.moved();
        let mut out = Map::new();
        for (key, item) in map {
            let layers = at.key(&key);
            let added = layers.source.is_none() && layers.runtime == Some(&item);
            if drop_defaults && added {
                continue;
            }
            let kept = self.value(item, layers, &below(path, &key))?;
            out.insert(key, kept);
        }
        Ok(Value::Object(out))
    }
}
