//! The house rules that a compiler does not check: layers, file length, dependencies.

mod dependencies;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer of each top-level module; a module may use modules of its own layer only where listed in `SIDEWAYS`.
const LAYERS: &[(&str, u8)] = &[
    ("base", 0),
    ("telemetry", 0),
    ("wire", 1),
    ("config", 2),
    ("store", 2),
    ("domain", 3),
    ("lifecycle", 4),
    ("bus", 4),
    ("auth", 4),
    ("fetch", 4),
    ("documents", 4),
    ("sessions", 4),
    ("models", 4),
    ("otlp", 4),
    ("live", 5),
    ("agent", 6),
    ("channels", 6),
    ("health", 6),
    ("services", 7),
    ("rpc", 8),
    ("http", 8),
    ("grpc", 8),
    ("settings", 8),
    ("app", 9),
    ("cli", 10),
];

/// Uses that the table above would refuse, each for a reason.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    ("telemetry", "base", "logs redact with base::redact"),
    ("http", "rpc", "a WebSocket upgrade is handed to rpc::conn"),
    ("sessions", "live", "row views show the models of the request's world"),
    ("sessions", "models", "row views resolve model names"),
];

const SOFT_LIMIT: usize = 700;

fn sources() -> Vec<PathBuf> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut out);
    out
}

fn module_of(path: &Path) -> String {
    let relative = path
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap();
    let first = relative.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Source text without its test modules.
fn product_code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if layer(&name).is_some() {
                used.insert(name);
            }
        }
    }
    used
}

#[test]
fn modules_use_only_what_is_below_them() {
    let mut wrong = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        let Some(own) = layer(&module) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        for used in used_modules(product_code(&text)) {
            let sideways = SIDEWAYS.iter().any(|(from, to, _)| *from == module && *to == used);
            if used != module && !sideways && layer(&used).unwrap() >= own {
                wrong.push(format!("{}: {module} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    for path in sources() {
        let module = module_of(&path);
        assert!(
            matches!(module.as_str(), "lib" | "main") || layer(&module).is_some(),
            "{module} has no layer"
        );
    }
}

#[test]
fn files_stay_short_and_say_what_they_own() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let lines = product_code(&text).lines().count();
        assert!(lines <= SOFT_LIMIT, "{} has {lines} lines", path.display());
        let is_test_file = path.iter().any(|part| part == "tests" || part == "tests.rs");
        assert!(
            is_test_file || text.starts_with("//!"),
            "{} has no module docs",
            path.display()
        );
    }
}

#[test]
fn a_use_of_a_module_is_seen_where_it_is_code() {
    let used = used_modules("use crate::store::Store;\n// crate::http is above\nlet x = crate::bus::Hub::new();\n");
    assert_eq!(used, BTreeSet::from(["bus".to_owned(), "store".to_owned()]));
}
