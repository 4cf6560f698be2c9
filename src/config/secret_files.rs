//! Credentials from files: `NAME_FILE` stands for `NAME`, such as `OPENCLAW_GATEWAY_TOKEN_FILE`, `OPENAI_API_KEY_FILE`.
//!
//! For secrets that a container engine or service manager mounts. Each file stands in for the variable without `_FILE`,
//! and is watched like every file that was read. Owner and mode are not judged: whoever sets the variable chose the mount.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::paths::Paths;
use crate::base::fs::read_capped;

/// The gateway's own.
const OWN: [&str; 2] = ["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"];
/// How those of providers and channels end.
const OTHERS: [&str; 4] = ["_API_KEY", "_OAUTH_TOKEN", "_BOT_TOKEN", "_APP_TOKEN"];

const MAX_BYTES: u64 = 64 * 1024;

/// What the files gave.
#[derive(Debug, Default)]
pub struct SecretFiles {
    /// Files that matter, with the content that was read.
    pub files: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// The first thing that is wrong with a credential of the gateway: it must not serve without one that it was told to
    /// use.
    pub problem: Option<String>,
    /// What is wrong with the others; whoever needs them finds them missing.
    pub warnings: Vec<String>,
}

/// Sets each variable from its file. A variable and its file at the same time are a contradiction.
pub fn apply(env: &mut Env, paths: &Paths) -> SecretFiles {
    let mut out = SecretFiles::default();
    let named: Vec<(String, PathBuf)> = env
        .iter()
        .filter_map(|(name, _)| {
            let variable = name.strip_suffix("_FILE").filter(|name| is_credential(name))?;
            Some((variable.to_owned(), paths.expand(env.get(name)?)))
        })
        .collect();
    for (variable, path) in named {
        let read = read_capped(&path, MAX_BYTES).map_err(|error| error.to_string());
        out.files.push((path.clone(), read.clone().ok()));
        let value = if env.get(&variable).is_some() {
            Err(format!(
                "{variable} and {variable}_FILE are both set; unset one of them"
            ))
        } else {
            read.and_then(|bytes| content(bytes, &path))
                .map_err(|reason| format!("{variable}_FILE: {reason}"))
        };
        match value {
            Ok(value) => env.set(variable, value),
            Err(problem) if OWN.contains(&variable.as_str()) => out.problem = out.problem.or(Some(problem)),
            Err(problem) => out.warnings.push(problem),
        }
    }
    out
}

fn is_credential(variable: &str) -> bool {
    OWN.contains(&variable) || OTHERS.iter().any(|end| variable.ends_with(end))
}

fn content(bytes: Vec<u8>, path: &Path) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display()))?;
    match text.trim() {
        "" => Err(format!("{} is empty", path.display())),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(variables: &[(&str, &str)]) -> (Env, SecretFiles) {
        let mut env: Env = variables.iter().copied().collect();
        let paths = Paths::resolve(&env, std::path::Path::new("/"));
        let files = apply(&mut env, &paths);
        (env, files)
    }

    #[test]
    fn a_file_gives_the_variable_without_surrounding_space() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "  from-a-file\n").unwrap();
        let (env, read) = applied(&[("OPENCLAW_GATEWAY_TOKEN_FILE", path.to_str().unwrap())]);
        assert_eq!(env.get("OPENCLAW_GATEWAY_TOKEN"), Some("from-a-file"));
        assert_eq!(read.problem, None);
        assert_eq!(read.files, [(path, Some(b"  from-a-file\n".to_vec()))]);
    }

    #[test]
    fn what_cannot_be_used_is_named_and_never_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, " \n").unwrap();
        let missing = dir.path().join("missing");
        for (path, reason) in [(&empty, "is empty"), (&missing, "does not exist")] {
            let (env, read) = applied(&[("OPENCLAW_GATEWAY_PASSWORD_FILE", path.to_str().unwrap())]);
            assert_eq!(env.get("OPENCLAW_GATEWAY_PASSWORD"), None);
            let problem = read.problem.unwrap();
            assert!(
                problem.contains("OPENCLAW_GATEWAY_PASSWORD_FILE") && problem.contains(reason),
                "{problem}"
            );
            // Watched, so that it is noticed when it appears.
            assert_eq!(&read.files[0].0, path);
        }
        let (env, read) = applied(&[
            ("OPENCLAW_GATEWAY_TOKEN", "t"),
            ("OPENCLAW_GATEWAY_TOKEN_FILE", empty.to_str().unwrap()),
        ]);
        assert_eq!(env.get("OPENCLAW_GATEWAY_TOKEN"), Some("t"));
        assert!(read.problem.unwrap().ends_with("unset one of them"));
    }

    #[test]
    fn a_key_that_is_not_the_gateways_own_is_only_missed_by_who_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "sk-file\n").unwrap();
        let path = path.to_str().unwrap();
        let (env, read) = applied(&[
            ("OPENAI_API_KEY_FILE", path),
            ("TELEGRAM_BOT_TOKEN_FILE", "/nowhere/token"),
            ("GEMINI_API_KEY", "k"),
            ("GEMINI_API_KEY_FILE", path),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/else"),
        ]);
        assert_eq!(env.get("OPENAI_API_KEY"), Some("sk-file"));
        assert_eq!(env.get("TELEGRAM_BOT_TOKEN"), None);
        assert_eq!(env.get("GEMINI_API_KEY"), Some("k"));
        assert_eq!(read.problem, None);
        let warnings = read.warnings.join("\n");
        assert!(warnings.contains("TELEGRAM_BOT_TOKEN_FILE: "), "{warnings}");
        assert!(
            warnings.contains("GEMINI_API_KEY and GEMINI_API_KEY_FILE"),
            "{warnings}"
        );
        assert_eq!(read.warnings.len(), 2, "names of others are left alone: {warnings}");
    }
}
