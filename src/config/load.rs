//! From paths and environment to one [`Snapshot`], or everything that is wrong.
//!
//! Reads files (blocking) and changes nothing; writing the last-good copy and the generated token are separate calls.

mod environment;
mod outcome;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::outcome::{LoadError, Loaded};
use super::accounts::StoredProfiles;
use super::env::Env;
use super::error::{Refusal, StartError};
use super::include::{self, Roots};
use super::overrides::StartOverrides;
use super::paths::Paths;
use super::raw::{self, MAX_ROOT_BYTES};
use super::secrets::{SecretTable, digest};
use super::shell_env::ShellEnv;
use super::snapshot::{Issue, Snapshot, WatchedFile};
use super::substitute::substitute;
use super::surroundings::Surroundings;
use super::tls::TlsFiles;
use super::types::Config;
use super::types::gateway::GatewayMode;
use super::{agents, auth, bind, crossfield, defaults, dotenv, providers, secret_files, validate};
use crate::base::Secret;
use crate::base::fs::{ReadError, read_capped};

/// What a load starts from. Stays the same for the life of the process except for `generation` and `loaded_at_ms`.
#[derive(Debug, Clone)]
pub struct LoadInput {
    /// Locations.
    pub paths: Paths,
    /// The process environment, profile applied, without env files.
    pub env: Env,
    /// The command line.
    pub overrides: StartOverrides,
    /// The machine.
    pub around: Surroundings,
    /// The token generated earlier (`token::read_or_create`).
    pub generated_token: Option<Secret>,
    /// Number of the snapshot to make.
    pub generation: u64,
    /// Wall clock, ms.
    pub loaded_at_ms: i64,
    /// What the login shell said, once it was asked.
    pub shell: ShellEnv,
}

/// Loads from the config file. `previous` lends secrets that cannot be read right now.
pub fn load(input: &LoadInput, previous: Option<&Snapshot>) -> Result<Loaded, Box<LoadError>> {
    let mut loading = Loading::new(input);
    let bytes = match read_capped(&input.paths.config, MAX_ROOT_BYTES) {
        Ok(bytes) => Some(bytes),
        Err(ReadError::Missing(_)) => None,
        Err(error) => {
            loading.watch(input.paths.config.clone(), None);
            loading.exists = true;
            let reason = hint(&error, &input.paths.config);
            return Err(loading.fail(StartError::Unreadable {
                path: input.paths.config.clone(),
                reason,
            }));
        }
    };
    loading.watch(input.paths.config.clone(), bytes.clone());
    loading.accept(bytes, previous)
}

/// Loads from given bytes in place of the config file: the last-good copy.
pub fn load_bytes(input: &LoadInput, bytes: Vec<u8>, previous: Option<&Snapshot>) -> Result<Loaded, Box<LoadError>> {
    let mut loading = Loading::new(input);
    let on_disk = read_capped(&input.paths.config, MAX_ROOT_BYTES).ok();
    loading.watch(input.paths.config.clone(), on_disk);
    loading.accept(Some(bytes), previous)
}

/// Loads as if the config file held `bytes`, for a change that is about to be written.
pub fn load_proposed(input: &LoadInput, bytes: Vec<u8>, previous: Option<&Snapshot>) -> Result<Loaded, Box<LoadError>> {
    let mut loading = Loading::new(input);
    loading.watch(input.paths.config.clone(), Some(bytes.clone()));
    loading.accept(Some(bytes), previous)
}

/// A snapshot from text alone, for tests and for checks of a proposed file. The token is `test-token` if none is given.
pub fn snapshot_from_json5(text: &str, state_dir: &Path, env: &Env) -> Result<Arc<Snapshot>, Vec<Issue>> {
    let mut env = env.clone();
    env.set("OPENCLAW_STATE_DIR", state_dir.to_string_lossy());
    env.fill("HOME", &state_dir.to_string_lossy());
    let input = LoadInput {
        paths: Paths::resolve(&env, state_dir),
        env,
        overrides: StartOverrides {
            allow_unconfigured: true,
            ..StartOverrides::default()
        },
        around: Surroundings::default(),
        generated_token: Some(Secret::new("test-token")),
        generation: 1,
        loaded_at_ms: 0,
        shell: ShellEnv::default(),
    };
    match load_bytes(&input, text.as_bytes().to_vec(), None) {
        Ok(loaded) => Ok(loaded.snapshot),
        Err(error) => Err(error.error.issues()),
    }
}

fn hint(error: &ReadError, path: &Path) -> String {
    match error {
        ReadError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("{source} (try: chown $(id -u) \"{}\")", path.display())
        }
        ReadError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

struct Loading<'a> {
    input: &'a LoadInput,
    env: Env,
    watched: Vec<WatchedFile>,
    warnings: Vec<Issue>,
    exists: bool,
    hash: String,
    /// What is wrong with a file that should give the gateway's credential.
    secret_problem: Option<String>,
}

impl<'a> Loading<'a> {
    fn new(input: &'a LoadInput) -> Self {
        let mut with_files = dotenv::apply(&input.env, &input.paths);
        let secrets = secret_files::apply(&mut with_files.env, &input.paths);
        let mut loading = Self {
            input,
            env: with_files.env,
            watched: Vec::new(),
            warnings: with_files
                .problems
                .into_iter()
                .chain(secrets.warnings)
                .map(|text| Issue::warning("env", text))
                .collect(),
            exists: false,
            hash: hex::encode(Sha256::digest(b"")),
            secret_problem: secrets.problem,
        };
        for (path, bytes) in with_files.files.into_iter().chain(secrets.files) {
            loading.watch(path, bytes);
        }
        loading
    }

    fn watch(&mut self, path: PathBuf, bytes: Option<Vec<u8>>) {
        self.watch_digest(path, bytes.map(digest));
    }

    fn watch_digest(&mut self, path: PathBuf, digest: Option<[u8; 32]>) {
        if !self.watched.iter().any(|known| known.path == path) {
            self.watched.push(WatchedFile { path, digest });
        }
    }

    fn fail(self, error: StartError) -> Box<LoadError> {
        Box::new(LoadError {
            error,
            watched: self.watched,
            hash: self.hash,
            exists: self.exists,
            warnings: self.warnings,
        })
    }

    fn accept(mut self, bytes: Option<Vec<u8>>, previous: Option<&Snapshot>) -> Result<Loaded, Box<LoadError>> {
        let path = self.input.paths.config.clone();
        self.exists = bytes.is_some();
        let Some(bytes) = bytes else {
            if !self.input.overrides.allow_unconfigured {
                return Err(self.fail(StartError::MissingConfig));
            }
            return self.resolve_tree(String::new(), Value::Object(serde_json::Map::new()), previous);
        };
        self.hash = hex::encode(Sha256::digest(&bytes));
        let parsed = raw::text(bytes).and_then(|text| raw::parse(&text).map(|value| (text, value)));
        match parsed {
            Ok((text, value)) => self.resolve_tree(text, value, previous),
            Err(error) => Err(self.fail(StartError::Syntax { path, error })),
        }
    }

    fn resolve_tree(
        mut self,
        text: String,
        parsed: Value,
        previous: Option<&Snapshot>,
    ) -> Result<Loaded, Box<LoadError>> {
        let path = self.input.paths.config.clone();
        let roots = Roots::new(&path, self.env.get("OPENCLAW_INCLUDE_ROOTS"));
        let included = include::resolve(&parsed, &path, &roots);
        for (file, bytes) in included.files {
            self.watch(file, bytes);
        }
        let invalid = |issues: Vec<Issue>| StartError::Invalid {
            path: path.clone(),
            issues,
        };
        if !included.errors.is_empty() {
            let issues = included.errors.into_iter().map(|text| Issue::error("", text)).collect();
            return Err(self.fail(invalid(issues)));
        }
        let joined = included.value;
        let mut source = joined.clone();
        environment::fill_from_section(&mut self.env, &source);
        if let Err(problem) = environment::fill_from_shell(&mut self.env, &source, &self.input.shell) {
            self.warnings.push(Issue::warning("env.shellEnv", problem));
        }
        for missing in substitute(&mut source, &self.env) {
            let text = format!(
                "Missing env var \"{}\" - feature using this value will be unavailable",
                missing.name
            );
            self.warnings.push(Issue::warning(missing.path, text));
        }
        let findings = validate::validate(&source);
        if !findings.issues.is_empty() {
            return Err(self.fail(invalid(findings.issues)));
        }
        self.name_unused(&findings.unused);
        let mut runtime = defaults::apply(&source);
        let config: Config = match serde_path_to_error::deserialize(runtime.clone()) {
            Ok(config) => config,
            Err(error) => {
                let issue = Issue::error(error.path().to_string(), format!("Invalid input: {}", error.inner()));
                return Err(self.fail(invalid(vec![issue])));
            }
        };
        let mut issues = crossfield::issues(&config);
        let agents = agents::flatten(&config.agents, &self.input.paths, &mut issues);
        if !issues.is_empty() {
            return Err(self.fail(invalid(issues)));
        }
        if let Err(error) = self.guard(&config) {
            return Err(self.fail(error));
        }
        let secrets = SecretTable::resolve(
            &source,
            &config.secrets,
            &self.env,
            &self.input.paths,
            previous.map(|snapshot| &snapshot.secrets),
        );
        for (file, digest) in &secrets.files {
            self.watch_digest(file.clone(), *digest);
        }
        for (reference, reason) in &secrets.degraded {
            let text = format!("{reason} The value read before stays in use for {reference}.");
            self.warnings.push(Issue::warning("secrets", text));
        }
        let resolved = self.resolve(&config, &secrets);
        let (listen, auth) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return Err(self.fail(error)),
        };
        let mut seen = Vec::new();
        let keeper = agents.iter().find(|agent| agent.is_default);
        let stored = StoredProfiles::read(
            &self.input.paths.state_dir,
            keeper.map_or("main", |agent| agent.id.as_str()),
            &mut seen,
            &mut self.warnings,
        );
        for (file, digest) in seen {
            self.watch_digest(file, digest);
        }
        let providers = providers::flatten(
            &config.models,
            &config.auth,
            &stored,
            &runtime,
            &secrets,
            &mut self.warnings,
        );
        self.warnings.extend(crossfield::warnings(&config));
        defaults::seed_origins(&mut runtime, &config.gateway, &listen);
        let snapshot = Snapshot {
            generation: self.input.generation,
            hash: self.hash,
            tree_hash: hex::encode(Sha256::digest(source.to_string())),
            loaded_at_ms: self.input.loaded_at_ms,
            path,
            exists: self.exists,
            raw: text,
            parsed,
            source,
            runtime,
            config,
            warnings: self.warnings,
            paths: self.input.paths.clone(),
            state_dir: self.input.paths.state_dir.clone(),
            watched_files: self.watched,
            env: self.env,
            listen,
            secrets,
            auth,
            providers,
            agents,
        };
        Ok(Loaded {
            snapshot: Arc::new(snapshot),
            joined,
        })
    }

    /// `gateway.mode` must say that a gateway is meant to run here.
    fn guard(&self, config: &Config) -> Result<(), StartError> {
        match config.gateway.mode {
            _ if self.input.overrides.allow_unconfigured => Ok(()),
            Some(GatewayMode::Local) => Ok(()),
            Some(GatewayMode::Remote) => Err(StartError::ModeRemote),
            None => Err(StartError::ModeMissing),
        }
    }

    fn resolve(
        &mut self,
        config: &Config,
        secrets: &SecretTable,
    ) -> Result<(bind::Listen, super::ResolvedAuth), StartError> {
        if let Some(problem) = self.secret_problem.take() {
            return Err(Refusal::SecretUnavailable(problem).into());
        }
        let overrides = &self.input.overrides;
        let listen = bind::resolve(&config.gateway, overrides, &self.env, self.input.around)?;
        let auth = auth::resolve(&auth::Inputs {
            config,
            env: &self.env,
            overrides,
            secrets,
            generated: self.input.generated_token.as_ref(),
            listen: &listen,
            around: self.input.around,
        })?;
        self.check_tls(config)?;
        Ok((listen, auth))
    }

    /// A certificate must be there or makeable; its files are watched so that a renewal is applied.
    fn check_tls(&mut self, config: &Config) -> Result<(), StartError> {
        let (section, paths) = (&config.gateway.tls, &self.input.paths);
        let Some(files) = TlsFiles::of(section, paths) else {
            return Ok(());
        };
        let can_be_had = files.can_be_had();
        let authority = section.ca_path.as_deref().map(|text| paths.expand(text));
        for file in [files.cert, files.key].into_iter().chain(authority) {
            let bytes = read_capped(&file, 1024 * 1024).ok();
            self.watch(file, bytes);
        }
        if can_be_had {
            Ok(())
        } else {
            Err(Refusal::TlsMissing.into())
        }
    }

    fn name_unused(&mut self, unused: &[String]) {
        let names: BTreeSet<String> = unused.iter().map(|path| without_indexes(path)).collect();
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            let text = format!("accepted and without effect in this gateway: {}", names.join(", "));
            self.warnings.push(Issue::warning("", text));
        }
    }
}

/// `a[3].b` as `a[].b`, so that every agent's use of a key is named once.
fn without_indexes(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = *c == '[' || (inside && *c != ']');
            !inside || *c == '['
        })
        .collect()
}
