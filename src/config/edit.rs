//! A change that somebody asked for: from the request's text to the bytes that the config file should hold.
//!
//! Reads and judges; [`super::write`] writes. What the change does not touch stays as it was authored: `${NAME}`,
//! secret references and `$include` markers survive.

mod author;
mod error;
mod included;
mod merge;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use self::error::EditError;
use super::error::StartError;
use super::load::{LoadInput, Loaded, load_proposed};
use super::raw::{self, MAX_ROOT_BYTES};
use super::redact::restore;
use super::snapshot::Snapshot;
use crate::base::fs::{ReadError, read_capped};

/// Smaller files may shrink as they like.
const MIN_GUARDED: usize = 512;

/// What is asked for, as JSON5 text.
#[derive(Debug, Clone)]
pub enum Change {
    /// The whole configuration.
    Replace {
        /// The new configuration.
        raw: String,
    },
    /// A merge patch (RFC 7396); arrays of objects with ids are merged by id.
    Merge {
        /// The patch.
        raw: String,
        /// Dotted paths of arrays that are replaced all the same (`agents.list`, `agents.list[].skills`).
        replace: Vec<String>,
    },
}

/// A change that may be written.
#[derive(Debug)]
pub struct Proposal {
    /// The configuration that it makes.
    pub loaded: Loaded,
    /// The file's new content.
    pub bytes: Vec<u8>,
    /// The file's present content; `None`: there is no file.
    pub before: Option<Vec<u8>>,
}

/// The outcome of a look at a change.
#[derive(Debug)]
pub enum Proposed {
    /// The file says so already.
    Same(Arc<Snapshot>),
    /// The file has to be written.
    New(Box<Proposal>),
}

/// Judges `change` against the file as it is now (blocking). `known` are snapshots that the file may still be described
/// by, the running one first.
pub fn propose(
    input: &LoadInput,
    change: &Change,
    base_hash: Option<&str>,
    known: &[Arc<Snapshot>],
) -> Result<Proposed, EditError> {
    let before = match read_capped(&input.paths.config, MAX_ROOT_BYTES) {
        Ok(bytes) => Some(bytes),
        Err(ReadError::Missing(_)) => None,
        Err(error) => return Err(EditError::Unreadable(error.to_string())),
    };
    check_base(before.as_deref(), base_hash)?;
    let running = known.first().map(Arc::as_ref);
    let present = Present::of(input, before.as_deref(), known);
    let next = present.apply(change)?;
    if let Some(snapshot) = present
        .snapshot
        .as_ref()
        .filter(|_| before.is_some() && next == present.parsed)
    {
        return Ok(Proposed::Same(Arc::clone(snapshot)));
    }
    let bytes = render(&next);
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_ROOT_BYTES {
        return Err(EditError::TooLarge);
    }
    let rejected = |reason: String| EditError::Rejected {
        path: input.paths.config.clone(),
        reason,
    };
    let had_mode = before.is_some() && mode(present.source()).is_some();
    let loaded = load_proposed(input, bytes.clone(), running).map_err(|error| match error.error {
        StartError::ModeMissing if had_mode => rejected("gateway-mode-removed".to_owned()),
        other => EditError::Invalid(other.issues()),
    })?;
    check_secrets(&loaded.snapshot, running)?;
    if had_mode && mode(&loaded.snapshot.source).is_none() {
        return Err(rejected("gateway-mode-removed".to_owned()));
    }
    // Compared in the same form, so that lost comments and blanks do not count.
    let (old, new) = (render(&present.parsed).len(), bytes.len());
    if before.is_some() && old >= MIN_GUARDED && new * 2 < old {
        return Err(rejected(format!("size-drop:{old}->{new}")));
    }
    Ok(Proposed::New(Box::new(Proposal { loaded, bytes, before })))
}

/// The form in which the gateway writes: JSON, two blanks per level, a final line end.
fn render(tree: &Value) -> Vec<u8> {
    format!("{tree:#}\n").into_bytes()
}

fn check_base(before: Option<&[u8]>, base_hash: Option<&str>) -> Result<(), EditError> {
    let Some(before) = before else { return Ok(()) };
    match base_hash {
        None => Err(EditError::BaseHashRequired),
        Some(hash) if hash == hex::encode(Sha256::digest(before)) => Ok(()),
        Some(_) => Err(EditError::BaseHashStale),
    }
}

fn mode(tree: &Value) -> Option<&Value> {
    tree.get("gateway")?.get("mode")
}

/// References that fail already are no reason to refuse a change of something else.
fn check_secrets(new: &Snapshot, running: Option<&Snapshot>) -> Result<(), EditError> {
    let failing: BTreeSet<String> = running
        .into_iter()
        .flat_map(|running| running.secrets.failures().map(|(reference, _)| reference))
        .collect();
    let unresolved: Vec<String> = new
        .secrets
        .failures()
        .filter(|(reference, _)| !failing.contains(reference))
        .map(|(reference, reason)| format!("{reference}: {reason}"))
        .collect();
    if unresolved.is_empty() {
        Ok(())
    } else {
        Err(EditError::Secrets(unresolved.join("; ")))
    }
}

/// The file as it is now.
struct Present {
    /// As authored; empty if it cannot be parsed.
    parsed: Value,
    /// What it means; `None`: it cannot be used.
    snapshot: Option<Arc<Snapshot>>,
}

impl Present {
    fn of(input: &LoadInput, before: Option<&[u8]>, known: &[Arc<Snapshot>]) -> Self {
        let empty = || Value::Object(Map::new());
        let Some(bytes) = before else {
            return Self {
                parsed: empty(),
                snapshot: known.iter().find(|snapshot| !snapshot.exists).cloned(),
            };
        };
        let hash = hex::encode(Sha256::digest(bytes));
        let snapshot = known
            .iter()
            .find(|snapshot| snapshot.exists && snapshot.hash == hash)
            .cloned()
            .or_else(|| {
                let running = known.first().map(Arc::as_ref);
                let loaded = load_proposed(input, bytes.to_vec(), running).ok()?;
                Some(loaded.snapshot)
            });
        let parsed = match &snapshot {
            Some(snapshot) => snapshot.parsed.clone(),
            None => raw::text(bytes.to_vec())
                .and_then(|text| raw::parse(&text))
                .unwrap_or_else(|_| empty()),
        };
        Self { parsed, snapshot }
    }

    fn source(&self) -> &Value {
        self.snapshot.as_ref().map_or(&self.parsed, |snapshot| &snapshot.source)
    }

    fn runtime(&self) -> &Value {
        self.snapshot
            .as_ref()
            .map_or(&self.parsed, |snapshot| &snapshot.runtime)
    }

    /// The tree that the file should hold, as authored.
    fn apply(&self, change: &Change) -> Result<Value, EditError> {
        let originals = included::overlay(self.source(), &self.parsed);
        let restored = |tree: &Value| restore(tree, &originals).map_err(EditError::Sentinel);
        match change {
            Change::Replace { raw } => {
                let edited = restored(&raw::parse(raw).map_err(|error| EditError::syntax(&error, raw))?)?;
                author::keep(edited, &self.parsed, self.source(), self.runtime())
            }
            Change::Merge { raw, replace } => {
                let patch = raw::parse(raw).map_err(|error| EditError::syntax(&error, raw))?;
                if !patch.is_object() {
                    return Err(EditError::PatchNotObject);
                }
                if self.snapshot.is_none() {
                    return Err(EditError::FileInvalid);
                }
                restored(&merge::apply(&self.parsed, &patch, self.source(), replace)?)
            }
        }
    }
}
