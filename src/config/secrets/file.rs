//! Secrets in files, Kubernetes Secret volumes included.
//!
//! A link is accepted if it stays inside the folder it is in (`token -> ..data/token`). Owner and mode are checked unless
//! the file is projected by a kubelet, sits on a read-only mount, or the provider says not to.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::paths::Paths;
use super::super::types::secrets::{FileMode, SecretProvider};
use crate::base::Secret;
use crate::base::fs::{ReadError, read_capped};

const DEFAULT_MAX_BYTES: u64 = 1024 * 1024;

/// A secret file, read.
pub(super) struct Read {
    /// Its text without byte-order mark and final line end.
    pub content: Result<String, String>,
    /// The file to watch, with the bytes that were read.
    pub watched: Option<(PathBuf, Option<Vec<u8>>)>,
}

/// Reads the file of a provider.
pub(super) fn read(alias: &str, provider: &SecretProvider, paths: &Paths) -> Read {
    let key = format!("secrets.providers.{alias}.path");
    let Some(text) = provider.path.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
        return Read {
            content: Err(format!("{key} is not set")),
            watched: None,
        };
    };
    if !text.starts_with('~') && !Path::new(text).is_absolute() {
        return Read {
            content: Err(format!("{key} must be an absolute path: {text}")),
            watched: None,
        };
    }
    let path = paths.expand(text);
    match checked(&key, &path, provider) {
        Ok(bytes) => Read {
            content: decode(&key, &bytes),
            watched: Some((path, Some(bytes))),
        },
        Err(reason) => Read {
            content: Err(reason),
            watched: Some((path, None)),
        },
    }
}

fn checked(key: &str, path: &Path, provider: &SecretProvider) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{key} does not exist: {shown}"),
        _ => format!("{key} cannot be read: {shown}: {error}"),
    };
    let real = std::fs::canonicalize(path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or(path);
    let real_folder = std::fs::canonicalize(folder).map_err(unreadable)?;
    let inside = real.strip_prefix(&real_folder).ok();
    let is_link = std::fs::symlink_metadata(path).map_err(unreadable)?.is_symlink();
    if is_link && inside.is_none() {
        return Err(format!("{key} must not be a symlink that leaves its folder: {shown}"));
    }
    let projected = inside
        .and_then(|inside| inside.components().next())
        .is_some_and(|first| first.as_os_str().to_string_lossy().starts_with(".."));
    if !provider.allow_insecure_path && !projected && !is_read_only(&real) {
        check_owner_and_mode(key, path, &real)?;
    }
    read_capped(&real, provider.max_bytes.unwrap_or(DEFAULT_MAX_BYTES)).map_err(|error| match error {
        ReadError::TooLarge { limit, .. } => format!("{key} is larger than {limit} bytes: {shown}"),
        ReadError::NotAFile(_) => format!("{key} must be a regular file: {shown}"),
        other => format!("{key} cannot be read: {other}"),
    })
}

#[cfg(unix)]
fn check_owner_and_mode(key: &str, path: &Path, real: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let metadata =
        std::fs::metadata(real).map_err(|error| format!("{key} cannot be read: {}: {error}", path.display()))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(format!(
            "{key} permissions are too open: {} (want 0600)",
            path.display()
        ));
    }
    let uid = rustix::process::geteuid().as_raw();
    if metadata.uid() != uid {
        return Err(format!(
            "{key} must be owned by the current user (uid={uid}): {}",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner_and_mode(_: &str, _: &Path, _: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(unix)]
fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(not(unix))]
fn is_read_only(_: &Path) -> bool {
    false
}

fn decode(key: &str, bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{key} is not UTF-8 text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
}

/// The value that `id` selects.
pub(super) fn pick(content: &str, provider: &SecretProvider, id: &str, alias: &str) -> Result<Secret, String> {
    let value = match provider.mode {
        FileMode::SingleValue if id == "value" => content.to_owned(),
        FileMode::SingleValue => {
            return Err(format!(
                "File provider \"{alias}\" holds a single value; the id must be \"value\"."
            ));
        }
        FileMode::Json => {
            let tree: Value = serde_json::from_str(content)
                .map_err(|_| format!("File provider \"{alias}\" does not hold valid JSON."))?;
            pointer(&tree, id)?
        }
    };
    if value.trim().is_empty() {
        return Err(format!("File provider \"{alias}\" has an empty value for id \"{id}\"."));
    }
    Ok(Secret::new(value))
}

fn pointer(tree: &Value, id: &str) -> Result<String, String> {
    let Some(rest) = id.strip_prefix('/') else {
        return Err("A JSON pointer must start with \"/\".".to_owned());
    };
    let mut node = tree;
    for segment in rest.split('/') {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let child = match node {
            Value::Object(map) => map.get(&segment),
            Value::Array(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        node = child.ok_or_else(|| format!("JSON pointer segment \"{segment}\" does not exist."))?;
    }
    node.as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("JSON pointer \"{id}\" does not name a string."))
}
