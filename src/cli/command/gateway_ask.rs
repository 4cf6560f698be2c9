//! `gateway ask`: one message over the OpenAI-compatible API, as a program with an SDK would send it.

use clap::Args;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Context;
use crate::cli::client::{CallError, http};
use crate::cli::exit::{Exit, Failure};
use crate::cli::target::{Target, TargetArgs, timeout_of};

/// Send one message over the OpenAI-compatible API and print the answer
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw gateway ask \"Who are you?\"
  openclaw gateway ask --model openclaw/research \"What is new?\"

Needs gateway.http.endpoints.chatCompletions.enabled. The conversation is not kept.

Exit codes:
  0  an answer came
  1  the gateway is down, refuses us, or the model failed")]
pub struct AskArgs {
    /// What to say
    #[arg(value_name = "text")]
    pub text: String,
    /// Whom to ask: openclaw, or openclaw/AGENT
    #[arg(long, value_name = "model", default_value = "openclaw")]
    pub model: String,
    /// Print the whole response
    #[arg(long)]
    pub json: bool,
    /// Time for everything
    #[arg(long, value_name = "ms", default_value_t = 60_000)]
    pub timeout: u64,
    /// Which gateway.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Asks and prints.
pub async fn run(args: &AskArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let budget = timeout_of(args.timeout)?;
    let target = Target::resolve(&args.target, &context.local)?;
    context.warn_if_invalid();
    let body = json!({"model": args.model, "messages": [{"role": "user", "content": args.text}]});
    let asking = http::post(&target.endpoint, "/v1/chat/completions", &body);
    let (status, answer) = timeout(budget, Box::pin(asking))
        .await
        .unwrap_or(Err(CallError::Timeout(budget)))
        .map_err(|error| target.explain(&error))?;
    let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    let (true, Some(text)) = (status.is_success(), text) else {
        return Err(refused(status, &answer));
    };
    if args.json {
        context.printer.json(&answer);
    } else {
        context.printer.line(text);
    }
    Ok(Exit::OK)
}

fn refused(status: ::http::StatusCode, answer: &Value) -> Failure {
    let said = |name: &str| answer.pointer(&format!("/error/{name}")).and_then(Value::as_str);
    let reason = said("message").unwrap_or("the answer is not a chat completion");
    let mut message = format!("{status}: {reason}");
    if said("code") == Some("not_found") {
        message.push_str("; set gateway.http.endpoints.chatCompletions.enabled");
    }
    Failure::new(&format!("HTTP_{}", status.as_u16()), message)
}
