//! What this machine says about the gateway: paths, config file, port. Read without a running gateway, and tolerant: a
//! broken file still gives its path, its issues and the defaults.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::env::Env;
use super::exit::Failure;
use crate::base::Secret;
use crate::settings::Profile;

/// Port when nothing names one.
const DEFAULT_PORT: u16 = 18_789;
/// Port of the development profile.
const DEV_PORT: u16 = 19_001;
/// What a secret looks like in output.
pub const REDACTED: &str = "__OPENCLAW_REDACTED__";

/// A finding that makes the config file invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIssue {
    /// Dotted path, `<root>` for the document.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// The local side of the command line.
#[derive(Debug, Clone)]
pub struct Local {
    /// The state directory.
    pub state_dir: PathBuf,
    /// The config file.
    pub config_path: PathBuf,
    /// Whether it exists.
    pub exists: bool,
    /// Why it is invalid; empty: it is valid.
    pub issues: Vec<ConfigIssue>,
    /// Findings that do not make it invalid.
    pub warnings: Vec<ConfigIssue>,
    /// Its content; an empty object when there is none or it cannot be parsed.
    pub source: Value,
    env: Env,
    dev: bool,
}

/// Paths of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Paths {
    state_dir: PathBuf,
    config: PathBuf,
}

impl Local {
    /// Reads the local side.
    pub fn load(env: &Env, profile: &Profile) -> Self {
        let Paths { state_dir, config } = paths(env, profile);
        let mut local = Self {
            state_dir,
            config_path: config,
            exists: false,
            issues: Vec::new(),
            warnings: Vec::new(),
            source: Value::Object(serde_json::Map::new()),
            env: env.clone(),
            dev: *profile == Profile::Dev,
        };
        match std::fs::read_to_string(&local.config_path) {
            Ok(text) => {
                local.exists = true;
                match json5::from_str::<Value>(&text) {
                    Ok(value @ Value::Object(_)) => local.source = value,
                    Ok(_) => local.invalid("the document is not an object".to_owned()),
                    Err(error) => local.invalid(format!("JSON5 parse failed: {error}")),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                local.exists = true;
                local.invalid(format!("cannot be read: {error}"));
            }
        }
        local
    }

    fn invalid(&mut self, message: String) {
        self.issues.push(ConfigIssue {
            path: "<root>".to_owned(),
            message,
        });
    }

    /// Whether the config file is usable.
    pub fn is_valid(&self) -> bool {
        self.issues.is_empty()
    }

    /// The environment.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The value at a dotted path.
    pub fn at(&self, path: &str) -> Option<&Value> {
        lookup(&self.source, path)
    }

    /// A text at a dotted path, `${ENV}` replaced, trimmed; blank counts as absent.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = self.expand(self.at(path)?.as_str()?)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A credential at a dotted path: a text or a reference to an environment variable. Other references (files,
    /// programs) are left to the gateway.
    pub fn secret(&self, path: &str) -> Option<Secret> {
        if let Some(text) = self.text(path) {
            return Some(Secret::new(text));
        }
        let reference = self.at(path)?;
        if reference.get("source").and_then(Value::as_str) != Some("env") {
            return None;
        }
        self.env.get(reference.get("id")?.as_str()?).map(Secret::new)
    }

    /// A switch at a dotted path.
    pub fn is_true(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The port of the local gateway: environment, then config, then the profile's default.
    pub fn port(&self) -> u16 {
        let of_env = self.env.get("OPENCLAW_GATEWAY_PORT").and_then(port_of);
        let of_config = || {
            self.at("gateway.port")?
                .as_u64()?
                .try_into()
                .ok()
                .filter(|port| *port != 0)
        };
        if self.dev {
            of_env.unwrap_or(DEV_PORT)
        } else {
            of_env.or_else(of_config).unwrap_or(DEFAULT_PORT)
        }
    }

    /// `gateway.bind`.
    pub fn bind_mode(&self) -> String {
        self.text("gateway.bind").unwrap_or_else(|| "loopback".to_owned())
    }

    /// `gateway.mode`.
    pub fn mode(&self) -> String {
        self.text("gateway.mode").unwrap_or_else(|| "local".to_owned())
    }

    /// The content with secrets replaced.
    pub fn redacted(&self) -> Value {
        redact(&self.source)
    }

    /// The block that says why the config file is refused.
    pub fn invalid_block(&self) -> String {
        let mut text = format!("Config invalid\nFile: {}\nProblem:\n", self.config_path.display());
        for issue in &self.issues {
            text.push_str(&format!("  - {}: {}\n", issue.path, issue.message));
        }
        text.push_str("\nRun: openclaw doctor --fix");
        text
    }

    /// Fails with that block when the file is invalid.
    pub fn require_valid(&self) -> Result<(), Failure> {
        if self.is_valid() {
            return Ok(());
        }
        let first = self
            .issues
            .first()
            .map_or(String::new(), |issue| format!(": {}: {}", issue.path, issue.message));
        Err(Failure::with_text(
            "CONFIG_INVALID",
            format!("config invalid{first}"),
            self.invalid_block(),
        ))
    }

    /// Replaces `${NAME}`; a variable that is not set makes the whole text absent.
    fn expand(&self, text: &str) -> Option<String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}')?;
            result.push_str(before);
            result.push_str(self.env.get(name)?);
            rest = tail;
        }
        result.push_str(rest);
        Some(result)
    }
}

/// The value at a dotted path; numbers index lists.
pub fn lookup<'v>(root: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(root, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        })
}

fn port_of(text: &str) -> Option<u16> {
    let digits = text.rsplit_once(':').map_or(text, |(_, port)| port);
    digits.parse().ok().filter(|port| *port != 0)
}

fn redact(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| {
                    let hide = is_sensitive(key) && matches!(value, Value::String(_) | Value::Number(_));
                    let shown = if hide { Value::from(REDACTED) } else { redact(value) };
                    (key.clone(), shown)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(redact).collect()),
        other => other.clone(),
    }
}

fn is_sensitive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("token")
        || key.ends_with("apikey")
        || key.ends_with("password")
        || key.contains("secret")
        || key.ends_with("privatekey")
        || key == "authorization"
}

fn paths(env: &Env, profile: &Profile) -> Paths {
    let home = home(env);
    let named = profile.name().map(|name| match name {
        "default" => home.join(".openclaw"),
        name => home.join(format!(".openclaw-{name}")),
    });
    let of_env = env.get("OPENCLAW_STATE_DIR").map(|dir| absolute(dir, &home));
    let explicit = of_env.or(named);
    let state_dir = explicit.clone().unwrap_or_else(|| {
        [".openclaw", ".clawdbot"]
            .map(|name| home.join(name))
            .into_iter()
            .find(|dir| dir.is_dir())
            .unwrap_or_else(|| home.join(".openclaw"))
    });
    let config = env.get("OPENCLAW_CONFIG_PATH").map_or_else(
        || {
            ["openclaw.json", "clawdbot.json"]
                .map(|name| state_dir.join(name))
                .into_iter()
                .find(|file| file.is_file())
                .unwrap_or_else(|| state_dir.join("openclaw.json"))
        },
        |path| absolute(path, &home),
    );
    Paths { state_dir, config }
}

fn home(env: &Env) -> PathBuf {
    let os_home = ["HOME", "USERPROFILE"]
        .into_iter()
        .find_map(|name| env.get(name))
        .map(PathBuf::from);
    let own = env
        .get("OPENCLAW_HOME")
        .filter(|value| !matches!(*value, "undefined" | "null"))
        .map(|value| absolute(value, os_home.as_deref().unwrap_or(Path::new("."))));
    own.or(os_home)
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_else(|| PathBuf::from("."))
}

fn absolute(path: &str, home: &Path) -> PathBuf {
    let expanded = match path.strip_prefix('~') {
        Some("") => home.to_path_buf(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    };
    std::path::absolute(&expanded).unwrap_or(expanded)
}
