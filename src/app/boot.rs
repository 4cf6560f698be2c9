//! From the command line to a configuration that may be served. Synchronous; nothing is bound or started here.

use std::path::PathBuf;
use std::process::ExitCode;

use super::force::{self, ForceError};
use super::lock::{LockError, StateLock};
use super::{dev, reset};
use crate::base::fs::create_private_dir;
use crate::base::{Clock as _, SystemClock};
use crate::config::last_good::{self, BootError, Started};
use crate::config::load::LoadInput;
use crate::config::paths::Paths;
use crate::config::surroundings::Surroundings;
use crate::settings::RunSettings;

/// Exit code when another gateway is in the way: the state directory or the port is taken.
pub(super) const EXIT_TAKEN: u8 = 75;

/// Everything a gateway starts from.
pub(super) struct Booted {
    /// For later loads.
    pub(super) input: LoadInput,
    /// The configuration.
    pub(super) started: Started,
    /// Held as long as the process.
    pub(super) lock: StateLock,
    /// What flags had done before the start, for the log.
    pub(super) done: Vec<String>,
}

/// Why there is no start; `Display` is the text for stderr.
#[derive(Debug, thiserror::Error)]
pub(super) enum BootFailure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] BootError),
    /// Another gateway.
    #[error("Gateway failed to start: {0}{hint}", hint = after_lock(.0))]
    Lock(#[from] LockError),
    /// `--force`.
    #[error("Gateway failed to start: {0}")]
    Force(#[from] ForceError),
    /// The state directory.
    #[error(
        "Gateway failed to start: cannot use the state directory {path}: {reason}; \
         it must be writable, or OPENCLAW_STATE_DIR must name one that is"
    )]
    State {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// What helps if another gateway runs.
const fn after_lock(error: &LockError) -> &'static str {
    match error {
        LockError::Held { .. } => "\nIf the gateway is supervised, stop it with: openclaw gateway stop",
        LockError::Unusable { .. } => "",
    }
}

impl BootFailure {
    /// Exit code of the process.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(error) => error.exit_code(),
            Self::Lock(LockError::Held { .. }) => EXIT_TAKEN,
            Self::Lock(_) | Self::Force(_) | Self::State { .. } => 1,
        })
    }
}

/// Resolves locations, takes the state directory, loads the configuration.
pub(super) fn boot(settings: &RunSettings) -> Result<Booted, BootFailure> {
    let env = settings.env.clone();
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let dev = settings.dev || env.get("OPENCLAW_PROFILE") == Some("dev");
    let paths = Paths::resolve(&env, &cwd);
    let mut input = LoadInput {
        around: Surroundings::detect(&env, std::path::Path::new("/")),
        env,
        overrides: settings.overrides.clone(),
        generated_token: None,
        generation: 1,
        loaded_at_ms: SystemClock.now_ms(),
        shell: crate::config::shell_env::ShellEnv::default(),
        paths,
    };
    let state_dir = input.paths.state_dir.clone();
    let state = |reason: std::io::Error| BootFailure::State {
        path: state_dir.clone(),
        reason: reason.to_string(),
    };
    let mut done = Vec::new();
    let mut lock = None;
    if settings.reset {
        create_private_dir(&state_dir).map_err(state)?;
        lock = Some(StateLock::acquire(&state_dir)?);
        if let Some(aside) = reset::start_over(&input.paths, input.loaded_at_ms).map_err(state)? {
            done.push(format!(
                "reset: what was there is in {}; delete it when it is not needed",
                aside.display()
            ));
        }
    }
    if dev {
        dev::seed_config(&input.paths.config).map_err(state)?;
    }
    // The configuration is judged before anything else is written, so that a refusal leaves no trace.
    let started = last_good::boot(&mut input)?;
    if settings.force
        && let Some(address) = started.loaded.snapshot.listen.addresses.first()
    {
        done.extend(force::free_port(address.port())?);
    }
    create_private_dir(&state_dir).map_err(state)?;
    let lock = match lock {
        Some(lock) => lock,
        None => StateLock::acquire(&state_dir)?,
    };
    Ok(Booted {
        input,
        started,
        lock,
        done,
    })
}
