//! Commands, one file each.

pub mod channels;
pub mod channels_status;
pub mod completion;
pub mod config;
pub mod config_file;
pub mod config_get;
pub mod config_validate;
pub mod gateway;
pub mod gateway_ask;
pub mod gateway_call;
pub mod gateway_health;
pub mod gateway_probe;
pub mod gateway_ready;
pub mod gateway_run;
pub mod gateway_status;
pub mod gateway_token;
pub mod health;
pub mod health_lines;
pub mod log_line;
pub mod logs;
pub mod status;
pub mod status_report;
pub mod unavailable;

use std::time::Duration;

use serde_json::Value;

use super::args::Command;
use super::client::{Call, CallError, Caller, call_once, scope};
use super::exit::{Exit, Failure};
use super::local::Local;
use super::printer::Printer;
use super::target::Target;

/// What every command gets.
pub struct Context<'a> {
    /// The local side.
    pub local: Local,
    /// Where it writes.
    pub printer: &'a mut Printer,
}

impl Context<'_> {
    /// Says on stderr that the config file is invalid, for commands that go on without it.
    pub fn warn_if_invalid(&mut self) {
        if !self.local.is_valid() {
            let block = self.local.invalid_block();
            self.printer.note(block);
        }
    }
}

/// Makes one call as the command of that name would.
pub async fn call(target: &Target, command: &str, call: &Call, timeout: Duration) -> Result<Value, CallError> {
    let caller = Caller::for_command(&target.endpoint, command, scope::least_scope(&call.method));
    call_once(&target.endpoint, &caller, call, timeout).await
}

/// Executes a command that is not `gateway run`.
pub fn execute(command: Command, mut context: Context<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Config(args) => config::run(&args, &mut context),
        Command::Completion(args) => completion::run(&args, &mut context),
        Command::Other(words) => Err(unavailable::failure("openclaw", &words)),
        Command::Gateway(args) => online(args.execute(&mut context)),
        Command::Status(args) => online(status::run(&args, &mut context)),
        Command::Health(args) => online(health::run(&args, &mut context)),
        Command::Logs(args) => online(logs::run(&args, &mut context)),
        Command::Channels(args) => online(channels::run(&args, &mut context)),
    }
}

fn online(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("RUNTIME", format!("cannot start the async runtime: {error}")))?;
    let result = runtime.block_on(Box::pin(work));
    // A name lookup that never ends must not hold up the exit.
    runtime.shutdown_background();
    result
}
