//! The payload of `config.get`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::load::LoadError;
use super::raw;
use super::redact::{credentials, of_environment, redact, scrub_text};
use super::snapshot::{Issue, Snapshot};

/// Shows the snapshot. With `redacted` no credential appears anywhere in it; without, the caller must be allowed to see
/// everything that the file holds.
pub fn view(snapshot: &Snapshot, redacted: bool) -> Value {
    let known = if redacted {
        known_secrets(snapshot)
    } else {
        BTreeSet::new()
    };
    let show = |tree: &Value| if redacted { redact(tree, &known) } else { tree.clone() };
    let parsed = show(&snapshot.parsed);
    let raw = if redacted {
        raw_text(snapshot, &parsed, &known)
    } else {
        Some(snapshot.raw.clone())
    };
    let source = show(&snapshot.source);
    let runtime = show(&snapshot.runtime);
    json!({
        "path": snapshot.path.to_string_lossy(),
        "exists": snapshot.exists,
        "raw": raw,
        "parsed": parsed,
        "sourceConfig": source,
        "resolved": source,
        "valid": true,
        "runtimeConfig": runtime,
        "config": runtime,
        "hash": snapshot.hash,
        "issues": [],
        "warnings": list(&snapshot.warnings),
        "legacyIssues": [],
    })
}

/// The configuration with defaults and without credentials.
pub fn config(snapshot: &Snapshot) -> Value {
    redact(&snapshot.runtime, &known_secrets(snapshot))
}

/// Shows that the file cannot be used. The running snapshot is another one and is not part of this.
pub fn view_broken(snapshot: &Snapshot, error: &LoadError) -> Value {
    json!({
        "path": snapshot.path.to_string_lossy(),
        "exists": error.exists,
        "raw": null,
        "parsed": null,
        "sourceConfig": {},
        "resolved": {},
        "valid": false,
        "runtimeConfig": {},
        "config": {},
        "hash": error.hash,
        "issues": list(&error.error.issues()),
        "warnings": list(&error.warnings),
        "legacyIssues": [],
    })
}

fn list(issues: &[Issue]) -> Value {
    issues
        .iter()
        .map(|issue| json!({ "path": issue.path, "message": issue.message }))
        .collect()
}

fn known_secrets(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut known = credentials(&snapshot.parsed);
    known.extend(credentials(&snapshot.source));
    known.extend(of_environment(&snapshot.env));
    let auth = [&snapshot.auth.token, &snapshot.auth.password].into_iter().flatten();
    known.extend(
        auth.chain(snapshot.secrets.values())
            .map(|secret| secret.expose().to_owned()),
    );
    known
}

/// The text with credentials replaced, if it still means the same as the redacted tree; otherwise it is not shown.
fn raw_text(snapshot: &Snapshot, parsed: &Value, known: &BTreeSet<String>) -> Option<String> {
    let text = scrub_text(&snapshot.raw, known);
    let faithful = raw::parse(&text).is_ok_and(|tree| tree == *parsed);
    faithful.then_some(text)
}
