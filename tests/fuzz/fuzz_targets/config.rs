//! The configuration: JSON5, includes, substitution, validation. Parts of the input become files beside the root file.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use openclaw::config::include::{self, Roots};
use openclaw::config::{Env, raw, snapshot_from_json5};

/// Between the files of one input.
const SEPARATOR: &str = "\n---\n";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = raw::text(data.to_vec()) else {
        return;
    };
    let mut parts = text.splitn(4, SEPARATOR);
    let root = parts.next().unwrap_or_default();
    if let Ok(value) = raw::parse(root) {
        assert_eq!(raw::parse(&value.to_string()).as_ref(), Ok(&value));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("openclaw.json");
    for (index, part) in parts.enumerate() {
        fs::write(dir.path().join(format!("{index}.json")), part).expect("written");
    }
    if let Ok(value) = raw::parse(root) {
        let joined = include::resolve(&value, &path, &Roots::new(&path, None));
        assert!(joined.errors.len() <= 10_000);
        for (file, _) in &joined.files {
            assert!(file.starts_with(dir.path()), "{} was read", file.display());
        }
    }
    if let Err(issues) = snapshot_from_json5(root, dir.path(), &Env::default()) {
        assert!(!issues.is_empty());
    }
});
