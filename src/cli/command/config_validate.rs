//! `config validate`: whether the gateway would accept the config file.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::cli::exit::Exit;
use crate::cli::local::shown_path;

/// Check the config file without starting the gateway
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  valid (a missing file is valid)
  1  invalid")]
pub struct ValidateArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the verdict: good ones on stdout, bad ones on stderr (with `--json` both on stdout).
pub fn run(args: &ValidateArgs, context: &mut Context<'_>) -> Exit {
    context.local.check_rules();
    let local = &context.local;
    let path = local.config_path().display().to_string();
    let valid = local.is_valid();
    if args.json && valid {
        context.printer.json_line(&json!({ "valid": true, "path": path }));
    } else if args.json {
        let issues: Vec<_> = local
            .issues
            .iter()
            .map(|issue| json!({ "path": shown_path(issue), "message": issue.message }))
            .collect();
        context
            .printer
            .json(&json!({ "valid": false, "path": path, "issues": issues }));
    } else if valid {
        context.printer.line(format_args!("Config valid: {path}"));
    } else {
        let mut text = format!("Config invalid at {path}:\n");
        for issue in &local.issues {
            text.push_str(&format!("  × {}: {}\n", shown_path(issue), issue.message));
        }
        text.push_str("\nRun `openclaw doctor` to repair, or fix the keys above manually.");
        context.printer.note(text);
    }
    for warning in &context.local.warnings {
        context
            .printer
            .note(format_args!("Warning: {}: {}", shown_path(warning), warning.message));
    }
    Exit::ok_if(valid)
}
