//! What this machine says about the gateway: paths, config file, port, credentials. Read without a running gateway, and
//! tolerant: a broken file still gives its path, its issues and whatever of it can be understood.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::exit::Failure;
use crate::base::Secret;
use crate::base::fs::{ReadError, read_capped};
use crate::config::include::{self, Roots};
use crate::config::overrides::env_port;
use crate::config::raw::{self, MAX_ROOT_BYTES};
use crate::config::redact::{credentials, of_environment, redact};
use crate::config::secrets::SecretTable;
use crate::config::substitute::substitute;
use crate::config::types::gateway::Management;
use crate::config::types::secrets::Secrets;
use crate::config::types::{Config, SecretInput};
use crate::config::{
    Env, Issue, Paths, Surroundings, bind, crossfield, defaults, dotenv, secret_files, token, validate,
};

/// Port when nothing names one.
const DEFAULT_PORT: u16 = 18_789;

/// The local side of the command line.
#[derive(Debug, Clone)]
pub struct Local {
    /// Locations.
    pub paths: Paths,
    /// Whether the config file exists.
    pub exists: bool,
    /// Why it is invalid; empty: it is valid.
    pub issues: Vec<Issue>,
    /// Findings that do not make it invalid.
    pub warnings: Vec<Issue>,
    /// Its content, included files joined and `${NAME}` replaced; an empty object when there is none or it cannot be
    /// parsed.
    pub source: Value,
    env: Env,
}

impl Local {
    /// Reads the local side. `env` has the profile applied; env files are added here.
    pub fn load(env: &Env) -> Self {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let paths = Paths::resolve(env, &cwd);
        let mut with_files = dotenv::apply(env, &paths);
        let secrets = secret_files::apply(&mut with_files.env, &paths);
        let mut local = Self {
            exists: false,
            issues: Vec::new(),
            warnings: secrets
                .problem
                .into_iter()
                .chain(secrets.warnings)
                .map(|text| Issue::warning("env", text))
                .collect(),
            source: json!({}),
            env: with_files.env,
            paths,
        };
        match read_capped(&local.paths.config, MAX_ROOT_BYTES) {
            Ok(bytes) => {
                local.exists = true;
                local.read(bytes);
            }
            Err(ReadError::Missing(_)) => {}
            Err(error) => {
                local.exists = true;
                local.issues.push(Issue::error("", format!("cannot be read: {error}")));
            }
        }
        local
    }

    fn read(&mut self, bytes: Vec<u8>) {
        let parsed = match raw::text(bytes).and_then(|text| raw::parse(&text)) {
            Ok(parsed) => parsed,
            Err(error) => {
                let text = format!("JSON5 parse failed: SyntaxError: {error}");
                self.issues.push(Issue::error("", text));
                return;
            }
        };
        let roots = Roots::new(&self.paths.config, self.env.get("OPENCLAW_INCLUDE_ROOTS"));
        let included = include::resolve(&parsed, &self.paths.config, &roots);
        let broken = included.errors.into_iter().map(|text| Issue::error("", text));
        self.issues.extend(broken);
        self.source = included.value;
        for missing in substitute(&mut self.source, &self.env) {
            let text = format!("environment variable {} is not set", missing.name);
            self.warnings.push(Issue::warning(missing.path, text));
        }
        self.issues.extend(validate::validate(&self.source).issues);
    }

    /// The rules that need the whole file at once. Only asked for when somebody wants the full verdict.
    pub fn check_rules(&mut self) {
        if !self.is_valid() {
            return;
        }
        let runtime = defaults::apply(&self.source);
        match serde_path_to_error::deserialize::<_, Config>(runtime) {
            Ok(config) => {
                self.issues.extend(crossfield::issues(&config));
                self.warnings.extend(crossfield::warnings(&config));
            }
            Err(error) => {
                let text = format!("Invalid input: {}", error.inner());
                self.issues.push(Issue::error(error.path().to_string(), text));
            }
        }
    }

    /// Whether the config file is usable.
    pub fn is_valid(&self) -> bool {
        self.issues.is_empty()
    }

    /// The config file.
    pub fn config_path(&self) -> &Path {
        &self.paths.config
    }

    /// The environment, env files included.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The value at a dotted path.
    pub fn at(&self, path: &str) -> Option<&Value> {
        lookup(&self.source, path)
    }

    /// A text at a dotted path, trimmed; blank counts as absent.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = self.at(path)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A credential at a dotted path, a reference resolved. One that cannot be resolved counts as absent: the gateway
    /// then says what is missing.
    pub fn secret(&self, path: &str) -> Option<Secret> {
        let value = self.at(path)?;
        let input = SecretInput::deserialize(value).ok()?;
        let settings = self
            .at("secrets")
            .and_then(|section| Secrets::deserialize(section).ok());
        // Only this reference is resolved: asking for the gateway's token must not run every configured program.
        let table = SecretTable::resolve(value, &settings.unwrap_or_default(), &self.env, &self.paths, None);
        table.get(&input).ok().flatten()
    }

    /// The token that the local gateway made for itself because none is configured.
    pub fn generated_token(&self) -> Option<Secret> {
        token::read(&self.paths).ok().flatten()
    }

    /// A switch at a dotted path.
    pub fn is_true(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The port of the local gateway: environment, then config, then the default.
    pub fn port(&self) -> u16 {
        let of_config = || {
            self.at("gateway.port")?
                .as_u64()?
                .try_into()
                .ok()
                .filter(|port| *port != 0)
        };
        self.env
            .get("OPENCLAW_GATEWAY_PORT")
            .and_then(env_port)
            .or_else(of_config)
            .unwrap_or(DEFAULT_PORT)
    }

    /// The port of the local gateway's management listener, if it is on and reachable over loopback.
    pub fn management_port(&self) -> Option<u16> {
        let section = self.at("gateway.management");
        let section = section.and_then(|section| Management::deserialize(section).ok());
        let around = Surroundings::detect(&self.env, Path::new("/"));
        let listeners = bind::management(&section.unwrap_or_default(), &self.env, around).ok()?;
        let listener = listeners.first()?;
        let reachable = listener.ip().is_unspecified() || listener.ip().is_loopback();
        reachable.then(|| listener.port())
    }

    /// `gateway.bind`, or the default of this machine.
    pub fn bind_mode(&self) -> String {
        self.text("gateway.bind").unwrap_or_else(|| {
            let container = Surroundings::detect(&self.env, Path::new("/")).container;
            if container { "auto" } else { "loopback" }.to_owned()
        })
    }

    /// `gateway.mode`.
    pub fn mode(&self) -> String {
        self.text("gateway.mode").unwrap_or_else(|| "local".to_owned())
    }

    /// The content with credentials replaced.
    pub fn redacted(&self) -> Value {
        let mut known = credentials(&self.source);
        known.extend(of_environment(&self.env));
        redact(&self.source, &known)
    }

    /// The block that says why the config file is refused.
    pub fn invalid_block(&self) -> String {
        let mut text = format!("Config invalid\nFile: {}\nProblem:\n", self.config_path().display());
        for issue in &self.issues {
            text.push_str(&format!("  - {}: {}\n", shown_path(issue), issue.message));
        }
        text.push_str("\nRun: openclaw doctor --fix");
        text
    }

    /// Fails with that block when the file is invalid.
    pub fn require_valid(&self) -> Result<(), Failure> {
        let Some(first) = self.issues.first() else {
            return Ok(());
        };
        Err(Failure::with_text(
            "CONFIG_INVALID",
            format!("config invalid: {}: {}", shown_path(first), first.message),
            self.invalid_block(),
        ))
    }
}

/// The path of an issue as people see it.
pub fn shown_path(issue: &Issue) -> &str {
    if issue.path.is_empty() { "<root>" } else { &issue.path }
}

/// The value at a dotted path; `list.0` and `list[0]` index lists.
pub fn lookup<'v>(root: &'v Value, path: &str) -> Option<&'v Value> {
    path.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .try_fold(root, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        })
}
