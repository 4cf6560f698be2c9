//! `$include`: joins files into one tree and remembers every file that took part.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::paths::normalize;
use super::raw::{self, MAX_INCLUDE_BYTES};
use crate::base::fs::read_capped;

const MAX_DEPTH: usize = 10;
/// Most files that are read for one configuration, counting repetitions: files that include each other's children twice
/// over double with every level.
const MAX_LOADS: usize = 512;
const KEY: &str = "$include";

/// The joined tree.
#[derive(Debug)]
pub struct Included {
    /// The tree without `$include` markers; what could not be included is null.
    pub value: Value,
    /// Files that were wanted, with their content if it could be read.
    pub files: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// What went wrong, in upstream's words.
    pub errors: Vec<String>,
}

/// Where included files may be.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The folder of the root file.
    pub config_dir: PathBuf,
    /// Further folders (`OPENCLAW_INCLUDE_ROOTS`).
    pub extra: Vec<PathBuf>,
}

impl Roots {
    /// For the root file at `config`, with the colon-separated list of the environment.
    pub fn new(config: &Path, list: Option<&str>) -> Self {
        let extra = list
            .into_iter()
            .flat_map(std::env::split_paths)
            .filter(|path| path.is_absolute());
        Self {
            config_dir: config.parent().unwrap_or_else(|| Path::new("/")).to_owned(),
            extra: extra.map(|path| normalize(&path)).collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.config_dir).chain(&self.extra)
    }

    fn holds_text(&self, path: &Path) -> bool {
        self.all().any(|root| path.starts_with(root))
    }

    fn holds_real(&self, real: &Path) -> bool {
        self.all()
            .any(|root| std::fs::canonicalize(root).is_ok_and(|root| real.starts_with(root)))
    }
}

/// Resolves all markers of `root`, which was read from `path`.
pub fn resolve(root: &Value, path: &Path, roots: &Roots) -> Included {
    let mut walker = Walker {
        roots,
        files: Vec::new(),
        errors: Vec::new(),
        chain: vec![path.to_owned()],
        loads: 0,
    };
    let value = walker.walk(root);
    Included {
        value,
        files: walker.files,
        errors: walker.errors,
    }
}

struct Walker<'a> {
    roots: &'a Roots,
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
    errors: Vec<String>,
    /// Files that are being read, the root first.
    chain: Vec<PathBuf>,
    loads: usize,
}

impl Walker<'_> {
    fn walk(&mut self, value: &Value) -> Value {
        match value {
            Value::Array(items) => Value::Array(items.iter().map(|item| self.walk(item)).collect()),
            Value::Object(map) => match map.get(KEY) {
                Some(marker) => self.include(marker, map),
                None => Value::Object(map.iter().map(|(key, item)| (key.clone(), self.walk(item))).collect()),
            },
            other => other.clone(),
        }
    }

    fn include(&mut self, marker: &Value, map: &Map<String, Value>) -> Value {
        let mut included = match self.targets(marker) {
            Some(targets) => {
                let parts: Vec<Value> = targets.iter().map(|target| self.load(target)).collect();
                parts
                    .into_iter()
                    .reduce(merge)
                    .unwrap_or_else(|| Value::Object(Map::new()))
            }
            None => Value::Null,
        };
        let siblings: Map<String, Value> = map
            .iter()
            .filter(|(key, _)| *key != KEY)
            .map(|(key, item)| (key.clone(), self.walk(item)))
            .collect();
        if siblings.is_empty() {
            return included;
        }
        if !included.is_object() {
            if !included.is_null() {
                self.errors
                    .push("Sibling keys require included content to be an object".to_owned());
            }
            included = Value::Object(Map::new());
        }
        merge(included, Value::Object(siblings))
    }

    fn targets(&mut self, marker: &Value) -> Option<Vec<String>> {
        let targets = match marker {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => many.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        if targets.is_none() {
            let kind = match marker {
                Value::Array(_) => "array",
                other => super::validate::kind_of(other),
            };
            self.errors.push(format!(
                "Invalid $include value: expected string or array of strings, got {kind}"
            ));
        }
        targets
    }

    fn load(&mut self, target: &str) -> Value {
        match self.try_load(target) {
            Ok(value) => value,
            Err(error) => {
                self.errors.push(error);
                Value::Null
            }
        }
    }

    fn try_load(&mut self, target: &str) -> Result<Value, String> {
        let from = self
            .chain
            .last()
            .and_then(|file| file.parent())
            .unwrap_or_else(|| Path::new("/"));
        let path = normalize(&from.join(target));
        if !self.roots.holds_text(&path) {
            let root = self.roots.config_dir.display();
            return Err(format!(
                "Include path escapes config directory: {target} (root: {root})"
            ));
        }
        if self.chain.contains(&path) {
            let names: Vec<String> = self
                .chain
                .iter()
                .chain([&path])
                .map(|file| file.display().to_string())
                .collect();
            return Err(format!("Circular include detected: {}", names.join(" -> ")));
        }
        if self.chain.len() > MAX_DEPTH {
            return Err(format!("Maximum include depth ({MAX_DEPTH}) exceeded at: {target}"));
        }
        if self.loads == MAX_LOADS {
            return Err(format!("More than {MAX_LOADS} includes, the last at: {target}"));
        }
        self.loads += 1;
        let bytes = match self.read(target, &path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.remember(path, None);
                return Err(error);
            }
        };
        self.remember(path.clone(), Some(bytes.clone()));
        let value = raw::text(bytes).and_then(|text| raw::parse(&text)).map_err(|error| {
            format!(
                "Failed to parse include file: {target} (resolved: {}): {error}",
                path.display()
            )
        })?;
        self.chain.push(path);
        let value = self.walk(&value);
        self.chain.pop();
        Ok(value)
    }

    fn read(&self, target: &str, path: &Path) -> Result<Vec<u8>, String> {
        let failed = |why: String| {
            format!(
                "Failed to read include file: {target} (resolved: {}): {why}",
                path.display()
            )
        };
        let real = std::fs::canonicalize(path).map_err(|error| failed(error.to_string()))?;
        if !self.roots.holds_real(&real) {
            let root = self.roots.config_dir.display();
            return Err(format!(
                "Include path resolves outside config directory (symlink): {target} (root: {root})"
            ));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = std::fs::metadata(&real).map_err(|error| failed(error.to_string()))?;
            if metadata.is_file() && metadata.nlink() > 1 {
                return Err(failed("hard-linked files are not included".to_owned()));
            }
        }
        read_capped(&real, MAX_INCLUDE_BYTES).map_err(|error| failed(error.to_string()))
    }

    fn remember(&mut self, path: PathBuf, bytes: Option<Vec<u8>>) {
        if !self.files.iter().any(|(known, _)| *known == path) {
            self.files.push((path, bytes));
        }
    }
}

/// Objects merge by key, arrays are joined, of anything else the later one wins.
pub fn merge(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                if matches!(key.as_str(), "__proto__" | "constructor" | "prototype") {
                    continue;
                }
                let merged = match base.get_mut(&key) {
                    Some(old) => merge(old.take(), value),
                    None => value,
                };
                base.insert(key, merged);
            }
            Value::Object(base)
        }
        (Value::Array(mut base), Value::Array(over)) => {
            base.extend(over);
            Value::Array(base)
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(files: &[(&str, &str)]) -> (Value, Vec<String>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("conf");
        std::fs::create_dir(&root).unwrap();
        for (name, text) in files {
            std::fs::write(root.join(name), text).unwrap();
        }
        let path = root.join("openclaw.json");
        let parsed = raw::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let out = resolve(&parsed, &path, &Roots::new(&path, None));
        let shown = root.display().to_string();
        (
            out.value,
            out.errors.iter().map(|error| error.replace(&shown, "<dir>")).collect(),
            out.files.len(),
        )
    }

    #[test]
    fn files_are_merged_left_to_right_and_siblings_on_top() {
        let (value, errors, files) = run(&[
            (
                "openclaw.json",
                "{a: {$include: ['./x.json5', 'y.json'], k: 'own'}, b: [{$include: 'x.json5'}]}",
            ),
            ("x.json5", "{k: 'x', list: [1], deep: {p: 1}}"),
            ("y.json", "{list: [2], deep: {q: 2}, __proto__: {z: 1}}"),
        ]);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(
            value["a"],
            json!({"k": "own", "list": [1, 2], "deep": {"p": 1, "q": 2}})
        );
        assert_eq!(value["b"][0]["k"], "x");
        assert_eq!(files, 2);
    }

    #[test]
    fn every_bad_include_is_reported() {
        let (_, errors, _) = run(&[
            (
                "openclaw.json",
                "{a: {$include: '../out.json'}, b: {$include: 5}, c: {$include: 'loop.json'}, d: {$include: 'none.json'},\
                 e: {$include: 'bad.json'}, f: {$include: 'list.json', k: 1}}",
            ),
            ("loop.json", "{x: {$include: 'loop.json'}}"),
            ("bad.json", "{"),
            ("list.json", "[1]"),
        ]);
        assert_eq!(errors.len(), 6, "{errors:#?}");
        assert_eq!(
            errors[0],
            "Include path escapes config directory: ../out.json (root: <dir>)"
        );
        assert_eq!(
            errors[1],
            "Invalid $include value: expected string or array of strings, got number"
        );
        assert_eq!(
            errors[2],
            "Circular include detected: <dir>/openclaw.json -> <dir>/loop.json -> <dir>/loop.json"
        );
        assert!(errors[3].starts_with("Failed to read include file: none.json (resolved: <dir>/none.json)"));
        assert!(errors[4].starts_with("Failed to parse include file: bad.json"));
        assert_eq!(errors[5], "Sibling keys require included content to be an object");
    }

    #[test]
    fn a_chain_deeper_than_ten_is_refused() {
        let names: Vec<String> = (0..12).map(|n| format!("f{n}.json")).collect();
        let texts: Vec<String> = (0..12)
            .map(|n| format!("{{x: {{$include: 'f{}.json'}}}}", n + 1))
            .collect();
        let mut files: Vec<(&str, &str)> = names
            .iter()
            .zip(&texts)
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        files.push(("openclaw.json", "{$include: 'f0.json'}"));
        let (_, errors, _) = run(&files);
        assert_eq!(errors, ["Maximum include depth (10) exceeded at: f10.json"]);
    }

    #[test]
    fn includes_that_double_with_every_level_are_refused() {
        let names: Vec<String> = (0..10).map(|n| format!("f{n}.json")).collect();
        let texts: Vec<String> = (0..10)
            .map(|n| match n {
                9 => "{}".to_owned(),
                _ => format!(
                    "{{a: {{$include: 'f{0}.json'}}, b: {{$include: 'f{0}.json'}}, c: {{$include: 'f{0}.json'}}}}",
                    n + 1
                ),
            })
            .collect();
        let mut files: Vec<(&str, &str)> = names
            .iter()
            .zip(&texts)
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        files.push(("openclaw.json", "{$include: 'f0.json'}"));
        let (_, errors, _) = run(&files);
        assert!(errors[0].starts_with("More than 512 includes"), "{}", errors[0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_may_stay_inside_the_folder_but_not_leave_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("conf");
        std::fs::create_dir_all(root.join("..v1")).unwrap();
        std::fs::write(root.join("..v1/in.json"), "{ok: 1}").unwrap();
        std::fs::write(dir.path().join("out.json"), "{no: 1}").unwrap();
        std::os::unix::fs::symlink("..v1/in.json", root.join("in.json")).unwrap();
        std::os::unix::fs::symlink("../out.json", root.join("out.json")).unwrap();
        let path = root.join("openclaw.json");
        let parsed = json!({"a": {"$include": "in.json"}, "b": {"$include": "out.json"}});
        let out = resolve(&parsed, &path, &Roots::new(&path, None));
        assert_eq!(out.value["a"], json!({"ok": 1}));
        assert_eq!(out.errors.len(), 1);
        assert!(out.errors[0].starts_with("Include path resolves outside config directory (symlink): out.json"));
    }
}
