//! `channels`: its subcommands.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::channels_status::ChannelsStatusArgs;
use super::{Context, channels_status, unavailable};
use crate::cli::exit::{Exit, Failure};

/// Chat channels
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct ChannelsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ChannelsCommand,
}

/// Subcommands of `channels`.
#[derive(Debug, Subcommand)]
pub enum ChannelsCommand {
    /// State of every channel account
    Status(ChannelsStatusArgs),
    /// Anything else: named in a clear error.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl ChannelsArgs {
    /// Whether failures are wanted as a document.
    pub fn wants_json(&self) -> bool {
        match &self.command {
            ChannelsCommand::Status(args) => args.json,
            ChannelsCommand::Other(words) => words.iter().any(|word| word == "--json"),
        }
    }
}

/// Executes the subcommand.
pub async fn run(args: &ChannelsArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        ChannelsCommand::Status(args) => channels_status::run(args, context).await,
        ChannelsCommand::Other(words) => Err(unavailable::failure("openclaw channels", words)),
    }
}
