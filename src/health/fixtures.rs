//! A snapshot for tests of probes and surfaces: agents `main` (default) and `beta` unless the configuration names some.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{AuthMode, Env, ResolvedAuth, Snapshot, snapshot_from_json5};

/// A snapshot of this configuration, with this authentication mode.
pub fn snapshot_from(mut source: Value, mode: AuthMode) -> Arc<Snapshot> {
    let root = source.as_object_mut().unwrap();
    root.entry("agents")
        .or_insert_with(|| json!({"list": [{"id": "main", "default": true}, {"id": "beta"}]}));
    let gateway = root.entry("gateway").or_insert_with(|| json!({}));
    gateway["auth"] = json!({"mode": mode.as_str()});
    snapshot_from_json5(&source.to_string(), Path::new("/nonexistent"), &Env::default()).unwrap()
}

/// Authentication settings of this mode.
pub fn auth(mode: AuthMode) -> ResolvedAuth {
    snapshot_from(json!({}), mode).auth.clone()
}
