//! Configuration: from files and environment to one immutable [`Snapshot`].
//!
//! The file is input and is never written by the gateway on its own. A snapshot is complete (defaults applied, secrets
//! resolved, agents and providers flattened) so that nobody re-derives anything while serving a request.

//! The way of a load: [`mod@env`] and [`paths`] say where, [`raw`] and [`mod@include`] read, [`substitute`] fills in
//! `${NAME}`, [`validate`] reports everything that is wrong, [`defaults`] completes, [`auth`], [`bind`], [`secrets`],
//! `agents` and [`providers`] flatten. [`mod@load`] runs it, [`last_good`] starts from it, [`watch`] and [`reload`] repeat it.

pub mod accounts;
mod agents;
pub mod auth;
pub mod bind;
pub mod crossfield;
pub mod defaults;
pub mod diff;
pub mod dotenv;
pub mod edit;
mod effective;
pub mod embeddings;
pub mod env;
pub mod error;
pub mod hints;
pub mod include;
pub mod last_good;
pub mod load;
pub mod otlp;
pub mod overrides;
pub mod paths;
pub mod providers;
pub mod raw;
pub mod redact;
pub mod reload;
pub mod rules;
pub mod schema;
pub mod secret_files;
pub mod secrets;
pub mod shell_env;
pub mod snapshot;
pub mod substitute;
pub mod surroundings;
pub mod tls;
pub mod token;
pub mod types;
pub mod upstream;
pub mod validate;
pub mod view;
pub mod watch;
pub mod write;

pub use bind::Listen;
pub use embeddings::EmbeddingSettings;
pub use env::Env;
pub use error::{Refusal, StartError};
pub use load::{LoadError, LoadInput, Loaded, load, snapshot_from_json5};
pub use overrides::{Flags, StartOverrides};
pub use paths::Paths;
pub use reload::{Reload, Reloader};
pub use snapshot::{
    AccountSettings, AgentProfile, AuthMode, Issue, ModelEntry, ModelOverride, ModelSelection, ProviderSettings,
    RateLimit, ResolvedAuth, RestPolicy, Severity, Snapshot, SnapshotHandle, TrustedProxy, WatchedFile,
};
pub use surroundings::Surroundings;
pub use tls::TlsFiles;
pub use watch::Watcher;
