//! `.env` files: their syntax, and which file may set what.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::paths::Paths;
use crate::base::fs::{ReadError, read_capped};

const MAX_BYTES: u64 = 1024 * 1024;

/// The environment with the files applied, and the files that were looked for.
#[derive(Debug)]
pub struct WithFiles {
    /// Process environment plus what the files add.
    pub env: Env,
    /// Files that matter, whether they exist or not, with the content that was read.
    pub files: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// Files that exist and could not be used.
    pub problems: Vec<String>,
}

/// Applies `<cwd>/.env`, `<state>/.env` and `gateway.env` on top of the process environment. A variable that is set is
/// never replaced. `<state>/.env` wins over `gateway.env`; `<cwd>/.env` is untrusted and may not steer the gateway, unless
/// it is the one in the state directory.
pub fn apply(process: &Env, paths: &Paths) -> WithFiles {
    let mut out = WithFiles {
        env: process.clone(),
        files: Vec::new(),
        problems: Vec::new(),
    };
    if paths.cwd != paths.state_dir {
        out.layer(&paths.cwd.join(".env"), is_harmless);
    }
    // In that order: the first one to set a variable wins.
    out.layer(&paths.state_dir.join(".env"), |_| true);
    if paths.default_state {
        out.layer(&paths.home.join(".config/openclaw/gateway.env"), |_| true);
    }
    out
}

impl WithFiles {
    fn layer(&mut self, path: &Path, allowed: fn(&str) -> bool) {
        if self.files.iter().any(|(known, _)| known == path) {
            return;
        }
        let bytes = match read_capped(path, MAX_BYTES) {
            Ok(bytes) => Some(bytes),
            Err(ReadError::Missing(_)) => None,
            Err(error) => {
                self.problems.push(error.to_string());
                None
            }
        };
        if let Some(bytes) = &bytes {
            match std::str::from_utf8(bytes) {
                Ok(text) => {
                    for (name, value) in parse(text) {
                        if allowed(&name) {
                            self.env.fill(&name, &value);
                        }
                    }
                }
                Err(_) => self
                    .problems
                    .push(format!("{} is not UTF-8 text and is ignored", path.display())),
            }
        }
        self.files.push((path.to_owned(), bytes));
    }
}

/// Whether a file in the working folder may set this variable: nothing that moves the gateway, its credentials, its
/// traffic or the programs it starts.
fn is_harmless(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let starts = ["OPENCLAW_", "LD_", "DYLD_", "NODE_", "GIT_", "SSL_", "OTEL_"];
    let ends = ["_BASE_URL", "_API_HOST", "_HOMESERVER", "_PROXY", "_ENDPOINT"];
    let holds = ["API_KEY", "AUTH_TOKEN", "OAUTH_TOKEN", "ACCESS_KEY"];
    let exact = [
        "PATH",
        "HOME",
        "SHELL",
        "USERPROFILE",
        "TMPDIR",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
    ];
    !(starts.iter().any(|part| upper.starts_with(part))
        || ends.iter().any(|part| upper.ends_with(part))
        || holds.iter().any(|part| upper.contains(part))
        || exact.contains(&upper.as_str()))
}

/// `NAME=value` lines: comments, `export`, single quotes as they are, double quotes with `\n`, `\r`, `\t`, `\"`, `\\`.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let mut chars = name.chars();
    let starts_well = chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
        return None;
    }
    Some((name.to_owned(), parse_value(value.trim())))
}

fn parse_value(value: &str) -> String {
    if let Some(rest) = value.strip_prefix('\'')
        && let Some((inner, _)) = rest.split_once('\'')
    {
        return inner.to_owned();
    }
    if let Some(rest) = value.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => return out,
                '\\' => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('r') => out.push('\r'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => out.push('\\'),
                },
                other => out.push(other),
            }
        }
        return out;
    }
    let end = value.find(" #").unwrap_or(value.len());
    value.get(..end).unwrap_or(value).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_quotes_comments_and_export() {
        let text = "# c\nA=1\nexport B = two words # note\nC='x # y'\nD=\"l1\\nl2\"\n1BAD=x\nnothing\nE=\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x # y"),
            ("D", "l1\nl2"),
            ("E", ""),
        ];
        let parsed = parse(text);
        let pairs: Vec<_> = parsed.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_file_in_the_working_folder_cannot_steer_the_gateway() {
        for name in [
            "OPENCLAW_GATEWAY_TOKEN",
            "ANTHROPIC_API_KEY_2",
            "https_proxy",
            "PATH",
            "MATRIX_HOMESERVER",
            "X_BASE_URL",
        ] {
            assert!(!is_harmless(name), "{name}");
        }
        assert!(is_harmless("MY_SETTING"));
    }

    #[test]
    fn the_process_wins_over_the_state_folder_which_wins_over_the_user_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let state = home.join(".openclaw");
        let cwd = dir.path().join("cwd");
        std::fs::create_dir_all(home.join(".config/openclaw")).unwrap();
        std::fs::create_dir_all(&state).unwrap();
        std::fs::create_dir_all(&cwd).unwrap();
        std::fs::write(state.join(".env"), "A=state\nB=state\n").unwrap();
        std::fs::write(home.join(".config/openclaw/gateway.env"), "B=user\nC=user\n").unwrap();
        std::fs::write(cwd.join(".env"), "OPENCLAW_GATEWAY_PORT=1\nD=cwd\n").unwrap();
        let process: Env = [("HOME", home.to_str().unwrap()), ("A", "process")]
            .into_iter()
            .collect();
        let paths = Paths::resolve(&process, &cwd);
        let env = apply(&process, &paths).env;
        assert_eq!(env.get("A"), Some("process"));
        assert_eq!(env.get("B"), Some("state"));
        assert_eq!(env.get("C"), Some("user"));
        assert_eq!(env.get("D"), Some("cwd"));
        assert_eq!(env.get("OPENCLAW_GATEWAY_PORT"), None);
    }
}
