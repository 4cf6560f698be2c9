//! `gateway`: alone it runs the gateway; its subcommands look at a running one.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::gateway_ask::AskArgs;
use super::gateway_call::CallArgs;
use super::gateway_health::GatewayHealthArgs;
use super::gateway_probe::ProbeArgs;
use super::gateway_ready::ReadyArgs;
use super::gateway_run::RunArgs;
use super::gateway_status::GatewayStatusArgs;
use super::gateway_token::TokenArgs;
use super::{
    Context, gateway_ask, gateway_call, gateway_health, gateway_probe, gateway_ready, gateway_status, gateway_token,
    unavailable,
};
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  openclaw gateway                        Run in the foreground.
  openclaw gateway --bind lan --auth token --token \"$TOKEN\"
  openclaw gateway status --require-rpc   Check that it answers a real request.
  openclaw gateway call channels.status --params '{\"probe\":true}'
  openclaw gateway token                  Show the token that was generated at the first start.

Exit codes:
  run: 0 stopped cleanly, 1 wrong flags or cannot start, 78 refused because of the configuration
  others: 0 the gateway answered, 1 down, refused or failed";

/// Run, inspect and query the gateway
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GatewayArgs {
    /// Flags of `run`, which is what `gateway` alone does.
    #[command(flatten)]
    pub run: RunArgs,
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<GatewayCommand>,
}

/// Subcommands of `gateway`.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Run the gateway in the foreground
    Run(Box<RunArgs>),
    /// Is the gateway up, and does it accept our credentials?
    Status(GatewayStatusArgs),
    /// Try every known gateway and show what each allows
    Probe(ProbeArgs),
    /// Call a method of the control plane
    Call(CallArgs),
    /// Send one message over the OpenAI-compatible API and print the answer
    Ask(AskArgs),
    /// One line: healthy or not
    Health(GatewayHealthArgs),
    /// Is this machine's gateway ready? Needs no credentials; for container health checks
    Ready(ReadyArgs),
    /// Print the shared token of this machine's gateway
    Token(TokenArgs),
    /// Anything else: named in a clear error.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl GatewayArgs {
    /// Whether this runs the gateway. Flags given before `run` count like those after it.
    pub fn runs(&self) -> bool {
        matches!(self.command, None | Some(GatewayCommand::Run(_)))
    }

    /// All flags of `run`, wherever they were given.
    pub fn into_run(self) -> RunArgs {
        match self.command {
            Some(GatewayCommand::Run(child)) => child.over(self.run),
            _ => self.run,
        }
    }

    /// Whether failures are wanted as a document.
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Some(GatewayCommand::Status(args)) => args.json,
            Some(GatewayCommand::Probe(args)) => args.json,
            Some(GatewayCommand::Call(args)) => args.json,
            Some(GatewayCommand::Ask(args)) => args.json,
            Some(GatewayCommand::Health(args)) => args.json,
            Some(GatewayCommand::Ready(args)) => args.json,
            Some(GatewayCommand::Token(args)) => args.json,
            Some(GatewayCommand::Other(words)) => words.iter().any(|word| word == "--json"),
            Some(GatewayCommand::Run(_)) | None => false,
        }
    }

    /// Executes a subcommand that is not `run`.
    pub async fn execute(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let parent = self.run;
        let with_parent = |mut target: TargetArgs| {
            target.token = target.token.or(parent.token);
            target.password = target.password.or(parent.password);
            target
        };
        match self.command {
            Some(GatewayCommand::Status(mut args)) => {
                args.target = with_parent(args.target);
                gateway_status::run(&args, context).await
            }
            Some(GatewayCommand::Probe(mut args)) => {
                args.target = with_parent(args.target);
                gateway_probe::run(&args, context).await
            }
            Some(GatewayCommand::Call(mut args)) => {
                args.target = with_parent(args.target);
                gateway_call::run(&args, context).await
            }
            Some(GatewayCommand::Ask(mut args)) => {
                args.target = with_parent(args.target);
                gateway_ask::run(&args, context).await
            }
            Some(GatewayCommand::Health(mut args)) => {
                args.target = with_parent(args.target);
                gateway_health::run(&args, context).await
            }
            Some(GatewayCommand::Ready(args)) => gateway_ready::run(&args, context).await,
            Some(GatewayCommand::Token(args)) => gateway_token::run(&args, context),
            Some(GatewayCommand::Other(words)) => Err(unavailable::failure("openclaw gateway", &words)),
            Some(GatewayCommand::Run(_)) | None => Err(Failure::usage("gateway run is started by the process itself")),
        }
    }
}
