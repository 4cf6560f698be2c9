//! Typed sections, one file per top-level key.
//!
//! The doc comments here are the descriptions of the published schema. A field is typed only if the gateway honours it;
//! what upstream knows beyond that is listed in `upstream-only.txt`, accepted and named in one warning.
//!
//! Keys of our own, beside the sections they belong to:
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `gateway.management.{enabled,bind,port}` | off, all addresses, 9464 | second listener for probes and metrics |
//! | `gateway.shutdown.graceMs` | 25000 | drain budget after SIGTERM |
//! | `gateway.readiness.requiredChannels` | `[]` | channels that must be up for readiness |
//! | `gateway.reload.startFromLastGood` | false | start from the kept copy if the file is broken |
//! | `gateway.limits.*` | see `gateway::Limits` | protection of the listener |
//! | `agents.defaults.contextMessages`, `agents.list[].contextMessages` | 120 | history sent to the model |
//! | `agents.entries` | - | keyed form of `agents.list` |
//! | `auth.profiles.*.apiKey` | - | the credential itself, instead of `auth-profiles.json` |
//! | `models.providers.*.api` value `demo` | - | the built-in model that needs no key |

pub mod agents;
pub mod auth;
pub mod channels;
pub mod commands;
pub mod cron;
pub mod diagnostics;
pub mod env;
pub mod gateway;
pub mod hooks;
pub mod logging;
pub mod messages;
pub mod meta;
pub mod models;
pub mod opaque;
pub mod secrets;
pub mod session;
pub mod ui;

use schemars::JsonSchema;
use serde::Deserialize;

pub use opaque::Opaque;
pub use secrets::{SecretInput, SecretRef, SecretSource};

/// The configuration file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Editor hint; not read.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// Stamp of the program that wrote the file last.
    pub meta: meta::Meta,
    /// Environment variables that the file provides.
    pub env: env::EnvSection,
    /// The server itself: address, authentication, HTTP surface, limits.
    pub gateway: gateway::Gateway,
    /// Log output.
    pub logging: logging::Logging,
    /// Telemetry export and watch-dogs.
    pub diagnostics: diagnostics::Diagnostics,
    /// Where secrets come from.
    pub secrets: secrets::Secrets,
    /// Conversation scope, reset and retention.
    pub session: session::Session,
    /// Several credentials per model provider.
    pub auth: auth::Auth,
    /// Model providers.
    pub models: models::Models,
    /// Agents and their defaults.
    pub agents: agents::Agents,
    /// Routes from channel conversations to agents, first match wins.
    pub bindings: Vec<channels::Binding>,
    /// Chat channels by id.
    pub channels: channels::Channels,
    /// Inbound and outbound message handling.
    pub messages: messages::Messages,
    /// Chat and control commands.
    pub commands: commands::Commands,
    /// HTTP ingress for other programs.
    pub hooks: hooks::Hooks,
    /// Scheduled jobs.
    pub cron: cron::Cron,
    /// Look of the Control UI.
    pub ui: ui::Ui,
    /// Plugin settings. Script plugins do not run here; built-in replacements read their entry.
    pub plugins: Opaque,
}
