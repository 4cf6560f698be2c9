//! The gateway's own credentials from files: `OPENCLAW_GATEWAY_TOKEN_FILE`, `OPENCLAW_GATEWAY_PASSWORD_FILE`.
//!
//! For secrets that a container engine or service manager mounts. Each file stands in for the variable without `_FILE`,
//! and is watched like every file that was read. Owner and mode are not judged: whoever sets the variable chose the mount.

use std::path::PathBuf;

use super::env::Env;
use super::paths::Paths;
use crate::base::fs::read_capped;

const VARIABLES: [(&str, &str); 2] = [
    ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN_FILE"),
    ("OPENCLAW_GATEWAY_PASSWORD", "OPENCLAW_GATEWAY_PASSWORD_FILE"),
];

const MAX_BYTES: u64 = 64 * 1024;

/// What the files gave.
#[derive(Debug, Default)]
pub struct SecretFiles {
    /// Files that matter, with the content that was read.
    pub files: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// The first thing that is wrong; the gateway must not serve without the credential it was told to use.
    pub problem: Option<String>,
}

/// Sets each variable from its file. A variable and its file at the same time are a contradiction.
pub fn apply(env: &mut Env, paths: &Paths) -> SecretFiles {
    let mut out = SecretFiles::default();
    for (variable, file_variable) in VARIABLES {
        let Some(path) = env.get(file_variable).map(|text| paths.expand(text)) else {
            continue;
        };
        let contradiction = env
            .get(variable)
            .map(|_| format!("{variable} and {file_variable} are both set; unset one of them"));
        let read = read_capped(&path, MAX_BYTES).map_err(|error| error.to_string());
        out.files.push((path.clone(), read.clone().ok()));
        let value = match contradiction {
            Some(problem) => Err(problem),
            None => read
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display())))
                .and_then(|text| match text.trim() {
                    "" => Err(format!("{} is empty", path.display())),
                    text => Ok(text.to_owned()),
                })
                .map_err(|reason| format!("{file_variable}: {reason}")),
        };
        match value {
            Ok(value) => env.set(variable, value),
            Err(problem) => out.problem = out.problem.or(Some(problem)),
        }
    }
    out
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
}
