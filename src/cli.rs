//! The command line: arguments in, one command, text or JSON out, an exit code.
//!
//! It talks to a gateway over the wire like any other client and reads the local config file; it never reaches into a
//! running gateway. The data goes one way: [`args`] (what was typed) → [`settings`](crate::settings) or
//! [`target`] (what is meant) → a file in [`command`] (what is done) → [`printer`] (what is shown).
//!
//! A command must cost a few milliseconds: no logging is set up, the runtime is single-threaded and is only built for
//! commands that use the network.
//!
//! Exit codes:
//!
//! | command | 0 | 1 |
//! |---|---|---|
//! | `gateway`, `gateway run` | stopped cleanly | failed, wrong flags; else 75: another gateway is in the way, 78: configuration, 143: a second signal |
//! | `gateway status` | the probe succeeded, or `--no-probe` | down, refused |
//! | `gateway probe` | any target reachable | none reachable |
//! | `gateway health`, `gateway call`, `health` | answered | down, refused, method error |
//! | `gateway ready` | the probe says yes | it says no, or the gateway is down |
//! | `gateway token` | there is a shared token | this gateway has none |
//! | `status` | the gateway answers | down, refused (the overview is printed all the same) |
//! | `channels status` | the gateway answers | down, refused (config-only summary), invalid config |
//! | `logs` | lines came from the gateway; `--follow` ended by Ctrl-C | down, refused (a local log file is shown all the same) |
//! | `config validate`, `get`, `file` | valid / found | invalid config / not found |
//! | unknown or unavailable commands, wrong usage | | always |
//!
//! A reader that closes stdout early counts as success. With `--json` a failure is also one document on stdout:
//! `{"ok": false, "error": {"code", "message"}}`, unless the command's own document already says it.

pub mod args;
pub mod client;
pub mod command;
pub mod exit;
pub mod local;
pub mod printer;
pub mod target;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use self::args::{Cli, Command};
use self::command::Context;
use self::exit::{Exit, Failure};
use self::local::Local;
use self::printer::Printer;
use crate::config::Env;
use crate::documents::worker;
use crate::settings::RunSettings;

/// Width of help texts when nobody looks at a terminal.
const PLAIN_HELP_WIDTH: usize = 80;
/// Longest line of help on a wide terminal.
const MAX_HELP_WIDTH: usize = 100;

/// What is left to do after the arguments were understood.
#[derive(Debug)]
pub enum Step {
    /// Run the gateway in this process.
    Gateway(Box<RunSettings>),
    /// Nothing: the command is done.
    Done(Exit),
}

/// Runs what the process's arguments say. `run_gateway` is the composition root: it gets the settings of `gateway run`
/// and returns when the gateway has stopped.
pub fn main(run_gateway: impl FnOnce(RunSettings) -> ExitCode) -> ExitCode {
    if let Some(exit) = worker::run_if_asked(std::env::args_os()) {
        return exit;
    }
    let mut printer = Printer::stdio();
    match interpret(std::env::args_os(), Env::capture(), &mut printer) {
        Step::Gateway(settings) => {
            printer.flush();
            drop(printer);
            run_gateway(*settings)
        }
        Step::Done(exit) => printer.finish(exit).into(),
    }
}

/// Understands `argv` (program name first) and executes every command but `gateway run`.
pub fn interpret(argv: impl IntoIterator<Item = OsString>, env: Env, printer: &mut Printer) -> Step {
    let argv = args::lift_dev(argv.into_iter().collect());
    let command = Cli::command();
    let command = if printer.is_terminal() {
        command.max_term_width(MAX_HELP_WIDTH)
    } else {
        command.term_width(PLAIN_HELP_WIDTH)
    };
    let parsed = command
        .try_get_matches_from(argv)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return Step::Done(show_usage(&error, printer)),
    };
    if cli.root.no_color {
        printer.plain();
    }
    let Some(command) = cli.command else {
        printer.raw(&Cli::command().term_width(PLAIN_HELP_WIDTH).render_help().to_string());
        return Step::Done(Exit::OK);
    };
    let json = command.wants_json();
    let result = cli.root.apply_profile(env).and_then(|env| match command {
        Command::Gateway(args) if args.runs() => {
            let settings = args.into_run().settings(env, &cli.root, printer)?;
            Ok(Step::Gateway(Box::new(settings)))
        }
        command => {
            let local = Local::load(&env);
            command::execute(command, Context { local, printer }).map(Step::Done)
        }
    });
    result.unwrap_or_else(|failure: Failure| {
        printer.failure(&failure, json);
        Step::Done(Exit::FAILURE)
    })
}

fn show_usage(error: &clap::Error, printer: &mut Printer) -> Exit {
    let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = error.render();
    let text = if printer.colored() && wanted {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    if wanted {
        printer.raw(&text);
    } else {
        printer.raw_note(&text);
    }
    Exit::ok_if(wanted)
}

#[cfg(test)]
mod tests;
