//! `gateway token`: the shared token of this machine's gateway, for people who set up a client.
//!
//! Asks no gateway: whoever can read the configuration and the state directory may know it.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::base::Secret;
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::Local;

/// Print the shared token of this machine's gateway
#[derive(Debug, Args)]
#[command(after_help = "\
In the order of the gateway: gateway.auth.token, OPENCLAW_GATEWAY_TOKEN (or the file that OPENCLAW_GATEWAY_TOKEN_FILE
names), the token that was generated at the first start.

Exit codes:
  0  printed
  1  this gateway has no shared token")]
pub struct TokenArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints it and nothing else.
pub fn run(args: &TokenArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let token = token(&context.local)?;
    if args.json {
        context.printer.json(&json!({ "token": token.expose() }));
    } else {
        context.printer.value(token.expose());
    }
    Ok(Exit::OK)
}

fn token(local: &Local) -> Result<Secret, Failure> {
    let none = |text: String| Failure::new("NO_TOKEN", text);
    if let Some(mode) = local.text("gateway.auth.mode").filter(|mode| mode != "token") {
        return Err(none(format!(
            "gateway.auth.mode is {mode}: this gateway has no shared token"
        )));
    }
    local
        .secret("gateway.auth.token")
        .or_else(|| local.env().get("OPENCLAW_GATEWAY_TOKEN").map(Secret::new))
        .or_else(|| local.generated_token())
        .ok_or_else(|| {
            none(format!(
                "no token is configured and none was generated yet in {}; start the gateway once",
                local.paths.state_dir.display()
            ))
        })
}
