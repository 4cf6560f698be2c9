//! `logs`: the end of the gateway's log, and with `--follow` what comes after it, also across restarts.

use std::time::Duration;

use clap::Args;
use owo_colors::{OwoColorize, Style};
use serde::Deserialize;
use serde_json::{Value, json};

use super::log_line::LogLine;
use super::{Context, call};
use crate::cli::client::{Call, CallError};
use crate::cli::exit::{Exit, Failure};
use crate::cli::printer::Printer;
use crate::cli::target::{Source, Target, TargetArgs, timeout_of};
use crate::telemetry::rolling::FileSettings;
use crate::telemetry::tail;

/// Most lines that one answer may hold; follow mode asks for that many so that a burst is not cut.
const MOST_LINES: u64 = 5_000;
const MOST_BYTES: u64 = 1_000_000;
/// First and longest pause while a followed gateway is away.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
const TRUNCATED: &str = "Log tail truncated (increase --max-bytes).";
const ROTATED: &str = "The log file was rotated; showing the end of the new one.";

/// Show or follow the gateway's log
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openclaw logs --limit 50
  openclaw logs --follow             Keeps going across gateway restarts; Ctrl-C ends it.
  openclaw logs --json | jq -r 'select(.level==\"error\").message'

When the local gateway is down, the log file named in the config is shown and the exit code is 1.

Exit codes:
  0  the gateway answered, or --follow was ended by Ctrl-C
  1  it is down or refuses us")]
pub struct LogsArgs {
    /// Keep showing new lines
    #[arg(long)]
    pub follow: bool,
    /// One JSON document per line
    #[arg(long)]
    pub json: bool,
    /// Most lines to show at the start
    #[arg(long, value_name = "n", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=MOST_LINES))]
    pub limit: u64,
    /// How often to look with --follow
    #[arg(long, value_name = "ms", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..))]
    pub interval: u64,
    /// Most bytes to read
    #[arg(long, value_name = "n", default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(1..=MOST_BYTES))]
    pub max_bytes: u64,
    /// No colours in the lines
    #[arg(long)]
    pub plain: bool,
    /// Times in the local zone
    #[arg(long)]
    pub local_time: bool,
    /// Accepted for compatibility; logs answers once
    #[arg(long, hide = true)]
    pub expect_final: bool,
    /// Time for each call
    #[arg(long, value_name = "ms", default_value_t = 30_000)]
    pub timeout: u64,
    /// Which gateway.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Answer of `logs.tail`.
#[derive(Debug, Deserialize)]
struct Tail {
    file: String,
    #[serde(default)]
    cursor: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    lines: Vec<String>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    reset: bool,
}

/// What was shown so far.
#[derive(Default)]
struct Shown {
    cursor: Option<u64>,
    file: Option<String>,
}

/// Shows the log.
pub async fn run(args: &LogsArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let timeout = timeout_of(args.timeout)?;
    let target = Target::resolve(&args.target, &context.local)?;
    context.warn_if_invalid();
    let mut shown = Shown::default();
    if args.follow {
        let interrupt = tokio::signal::ctrl_c();
        return tokio::select! {
            result = follow(args, &target, timeout, context, &mut shown) => result,
            _ = interrupt => Ok(Exit::OK),
        };
    }
    match tail(args, &target, timeout, &shown).await {
        Ok(tail) => {
            show(args, &tail, &mut shown, context.printer);
            Ok(Exit::OK)
        }
        Err(error) if error.is_outage() && matches!(target.source, Source::Local | Source::LocalFallback) => {
            show_local_file(args, context).ok_or_else(|| target.explain(&error))
        }
        Err(error) => Err(target.explain(&error)),
    }
}

/// Polls until the reader goes away or something fails that waiting does not mend.
async fn follow(
    args: &LogsArgs,
    target: &Target,
    timeout: Duration,
    context: &mut Context<'_>,
    shown: &mut Shown,
) -> Result<Exit, Failure> {
    let mut pause = RETRY.0;
    let mut away = false;
    while !context.printer.reader_gone() {
        match tail(args, target, timeout, shown).await {
            Ok(tail) => {
                if away {
                    notice("Gateway is back.", args, context.printer);
                }
                away = false;
                pause = RETRY.0;
                show(args, &tail, shown, context.printer);
                context.printer.flush();
                tokio::time::sleep(Duration::from_millis(args.interval)).await;
            }
            Err(error) if error.is_outage() => {
                if !away {
                    let text = format!("Gateway not reachable ({}); waiting for it.", error.probe_line());
                    notice(&text, args, context.printer);
                }
                away = true;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY.1);
            }
            Err(error) => return Err(target.explain(&error)),
        }
    }
    Ok(Exit::OK)
}

async fn tail(args: &LogsArgs, target: &Target, timeout: Duration, shown: &Shown) -> Result<Tail, CallError> {
    let mut params = json!({ "limit": args.limit, "maxBytes": args.max_bytes });
    if let (Some(object), Some(cursor)) = (params.as_object_mut(), shown.cursor) {
        object.insert("limit".to_owned(), Value::from(MOST_LINES));
        object.insert("cursor".to_owned(), Value::from(cursor));
    }
    let payload = call(target, "logs", &Call::new("logs.tail", params), timeout).await?;
    serde_json::from_value(payload)
        .map_err(|error| CallError::Local(format!("the gateway's answer to logs.tail cannot be read: {error}")))
}

fn show(args: &LogsArgs, tail: &Tail, shown: &mut Shown, printer: &mut Printer) {
    if shown.file.as_deref() != Some(&tail.file) {
        if args.json {
            printer.json_line(&json!({ "type": "meta", "file": tail.file, "cursor": tail.cursor, "size": tail.size }));
        } else {
            printer.line(format_args!("Log file: {}", tail.file));
        }
    }
    if tail.reset && shown.cursor.is_some() {
        notice(ROTATED, args, printer);
    }
    shown.file = Some(tail.file.clone());
    shown.cursor = Some(tail.cursor);
    for raw in &tail.lines {
        let line = LogLine::parse(raw);
        if args.json {
            printer.json_line(&line.for_programs(raw));
        } else {
            let text = line.for_people(args.local_time);
            let style = level_style(line.level.as_deref());
            match style.filter(|_| printer.colored() && !args.plain) {
                Some(style) => printer.line(text.style(style)),
                None => printer.line(text),
            }
        }
    }
    if tail.truncated {
        notice(TRUNCATED, args, printer);
    }
}

fn notice(text: &str, args: &LogsArgs, printer: &mut Printer) {
    if args.json {
        printer.json_line(&json!({ "type": "notice", "message": text }));
        printer.flush();
    } else {
        printer.note(text);
    }
}

fn level_style(level: Option<&str>) -> Option<Style> {
    match level? {
        "error" | "fatal" => Some(Style::new().red()),
        "warn" => Some(Style::new().yellow()),
        "debug" | "trace" => Some(Style::new().dimmed()),
        _ => None,
    }
}

/// Shows the end of the configured log file; `None` when none is configured or it cannot be read. Never a success: the
/// gateway did not answer.
fn show_local_file(args: &LogsArgs, context: &mut Context<'_>) -> Option<Exit> {
    let file = context.local.text("logging.file")?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let path = context.local.paths.expand(&file);
    let named = FileSettings {
        path,
        max_bytes: u64::MAX,
    };
    let file = named.current();
    let page = tail::read(&file, None, limit, args.max_bytes).ok()?;
    notice(
        "Local Gateway RPC unavailable; reading configured file log instead.",
        args,
        context.printer,
    );
    let tail = Tail {
        file: file.display().to_string(),
        cursor: page.cursor,
        size: page.size,
        lines: page.lines,
        truncated: page.size > args.max_bytes,
        reset: false,
    };
    show(args, &tail, &mut Shown::default(), context.printer);
    Some(Exit::FAILURE)
}
