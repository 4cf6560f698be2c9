//! Secret references: collected from the tree, resolved once per load, kept in a table.
//!
//! Requests never call a provider; they use what the table holds.

mod exec;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::env::Env;
use super::paths::Paths;
use super::substitute::whole_placeholder;
use super::types::secrets::{SecretProvider, Secrets};
use super::types::{SecretInput, SecretRef, SecretSource};
use crate::base::Secret;

/// Resolved secrets of one load. `Debug` shows no values.
#[derive(Debug, Default)]
pub struct SecretTable {
    entries: BTreeMap<SecretRef, Entry>,
    aliases: [Option<String>; 3],
    /// Files that were read or wanted, with their content's digest.
    pub(crate) files: Vec<(PathBuf, Option<[u8; 32]>)>,
    /// References that could not be resolved and keep the value of the previous load: reference and reason.
    pub degraded: Vec<(String, String)>,
}

#[derive(Debug)]
struct Entry {
    value: Result<Secret, String>,
    /// Where it came from; a value is carried over only from the same place.
    origin: String,
}

impl SecretTable {
    /// Resolves every reference of `tree` that is in use. Where that fails, the value of `previous` for the same
    /// reference from the same provider stays in use.
    pub fn resolve(tree: &Value, settings: &Secrets, env: &Env, paths: &Paths, previous: Option<&Self>) -> Self {
        let aliases = [
            settings.defaults.env.clone(),
            settings.defaults.file.clone(),
            settings.defaults.exec.clone(),
        ];
        let mut table = Self {
            aliases,
            ..Self::default()
        };
        let mut wanted = Vec::new();
        collect(tree, "", &mut wanted);
        wanted.iter_mut().for_each(|reference| table.name(reference));
        wanted.sort();
        wanted.dedup();
        for group in wanted.chunk_by(|a, b| a.source == b.source && a.provider == b.provider) {
            table.resolve_group(group, settings, env, paths);
        }
        if let Some(previous) = previous {
            table.carry_over(previous);
        }
        table
    }

    /// The value behind what the file says: `None` if it says nothing; the error is public and names no secret.
    pub fn get(&self, input: &SecretInput) -> Result<Option<Secret>, String> {
        match input {
            SecretInput::Text(text) => match whole_placeholder(text) {
                Some(name) => Err(missing_variable(name)),
                None if text.trim().is_empty() => Ok(None),
                None => Ok(Some(Secret::new(text.trim()))),
            },
            SecretInput::Ref(reference) => {
                let mut reference = reference.clone();
                self.name(&mut reference);
                match self.entries.get(&reference) {
                    Some(entry) => entry.value.clone().map(Some),
                    None => Err(format!("Secret reference {} was not resolved.", show(&reference))),
                }
            }
        }
    }

    /// Whether anything that resolves has another value than in `other`.
    pub fn differs(&self, other: &Self) -> bool {
        let values = |table: &Self| -> Vec<(SecretRef, Result<Secret, String>)> {
            table
                .entries
                .iter()
                .map(|(reference, entry)| (reference.clone(), entry.value.clone()))
                .collect()
        };
        values(self) != values(other)
    }

    /// Every resolved value, for scrubbing views.
    pub fn values(&self) -> impl Iterator<Item = &Secret> {
        self.entries.values().filter_map(|entry| entry.value.as_ref().ok())
    }

    /// References without a value: reference and reason.
    pub fn failures(&self) -> impl Iterator<Item = (String, &str)> {
        self.entries
            .iter()
            .filter_map(|(reference, entry)| entry.value.as_ref().err().map(|why| (show(reference), why.as_str())))
    }

    fn name(&self, reference: &mut SecretRef) {
        if reference.provider.is_none() {
            let [env, file, exec] = &self.aliases;
            let alias = match reference.source {
                SecretSource::Env => env,
                SecretSource::File => file,
                SecretSource::Exec => exec,
            };
            reference.provider = Some(alias.clone().unwrap_or_else(|| "default".to_owned()));
        }
    }

    fn resolve_group(&mut self, group: &[SecretRef], settings: &Secrets, env: &Env, paths: &Paths) {
        let Some(first) = group.first() else { return };
        let alias = first.provider.clone().unwrap_or_default();
        let provider = settings
            .providers
            .get(&alias)
            .filter(|provider| provider.source == first.source);
        let origin = format!("{provider:?}");
        let limit = usize::try_from(settings.resolution.max_refs_per_provider.unwrap_or(512)).unwrap_or(usize::MAX);
        let results: Vec<Result<Secret, String>> = if group.len() > limit {
            let reason = format!("Secret provider \"{alias}\" has more than {limit} references.");
            group.iter().map(|_| Err(reason.clone())).collect()
        } else {
            match (first.source, provider) {
                (SecretSource::Env, provider) if provider.is_some() || alias == "default" => group
                    .iter()
                    .map(|reference| from_env(&reference.id, provider, &alias, env))
                    .collect(),
                (SecretSource::File, Some(provider)) => {
                    let read = file::read(&alias, provider, paths);
                    self.files
                        .extend(read.watched.into_iter().map(|(path, bytes)| (path, bytes.map(digest))));
                    let pick = |reference: &SecretRef| match &read.content {
                        Ok(content) => file::pick(content, provider, &reference.id, &alias),
                        Err(reason) => Err(reason.clone()),
                    };
                    group.iter().map(pick).collect()
                }
                (SecretSource::Exec, Some(provider)) => {
                    let ids: Vec<&str> = group.iter().map(|reference| reference.id.as_str()).collect();
                    let batch = settings.resolution.max_batch_bytes.unwrap_or(262_144);
                    exec::ask(&alias, provider, &ids, env, paths, batch)
                }
                _ => group
                    .iter()
                    .map(|reference| {
                        Err(format!(
                            "Secret provider \"{alias}\" is not configured (ref: {}).",
                            show(reference)
                        ))
                    })
                    .collect(),
            }
        };
        for (reference, value) in group.iter().zip(results) {
            self.entries.insert(
                reference.clone(),
                Entry {
                    value,
                    origin: origin.clone(),
                },
            );
        }
    }

    fn carry_over(&mut self, previous: &Self) {
        for (reference, entry) in &mut self.entries {
            let Err(reason) = &entry.value else { continue };
            let Some(old) = previous.entries.get(reference).filter(|old| old.origin == entry.origin) else {
                continue;
            };
            if let Ok(value) = &old.value {
                self.degraded.push((show(reference), reason.clone()));
                entry.value = Ok(value.clone());
            }
        }
    }
}

pub(crate) fn digest(bytes: Vec<u8>) -> [u8; 32] {
    Sha256::digest(&bytes).into()
}

fn missing_variable(name: &str) -> String {
    format!("Environment variable \"{name}\" is missing or empty.")
}

fn show(reference: &SecretRef) -> String {
    let provider = reference.provider.as_deref().unwrap_or("default");
    format!("{}:{provider}:{}", reference.source.as_str(), reference.id)
}

fn from_env(name: &str, provider: Option<&SecretProvider>, alias: &str, env: &Env) -> Result<Secret, String> {
    let allowlist = provider
        .map(|provider| provider.allowlist.as_slice())
        .unwrap_or_default();
    if !allowlist.is_empty() && !allowlist.iter().any(|allowed| allowed == name) {
        return Err(format!(
            "Environment variable \"{name}\" is not in secrets.providers.{alias}.allowlist."
        ));
    }
    env.get(name).map(Secret::new).ok_or_else(|| missing_variable(name))
}

/// All references below `value`, leaving out what is switched off: a disabled channel, plugin or tool section.
fn collect(value: &Value, path: &str, out: &mut Vec<SecretRef>) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = as_reference(value) {
                out.push(reference);
                return;
            }
            let switched_off = map.get("enabled") == Some(&Value::Bool(false));
            if switched_off
                && ["channels.", "plugins.", "tools.", "hooks"]
                    .iter()
                    .any(|part| path.starts_with(part))
            {
                return;
            }
            for (key, child) in map {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect(child, &below, out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, out)),
        _ => {}
    }
}

/// The value as a reference, if it has exactly that form.
pub(crate) fn as_reference(value: &Value) -> Option<SecretRef> {
    let map = value.as_object()?;
    let only = map
        .keys()
        .all(|key| matches!(key.as_str(), "source" | "provider" | "id"));
    if !only || !map.contains_key("source") || !map.contains_key("id") {
        return None;
    }
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests;
