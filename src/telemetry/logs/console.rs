//! Lines for people (or for what collects standard error) in three styles.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use arc_swap::ArcSwap;
use owo_colors::{OwoColorize as _, Style};

use super::layer::Fields;
use super::{Active, ConsoleStyle};
use crate::base::line_file::Destination;
use crate::base::printable;

/// Standard error, as the writing thread has it. Logs go there so that stdout stays the result of commands. A terminal
/// that is held, or a collector that stopped reading, costs lines and never holds up the gateway.
pub(super) struct StandardError(pub(super) Arc<ArcSwap<Active>>);

impl Destination for StandardError {
    fn append(&mut self, line: &str) -> io::Result<()> {
        io::stderr().lock().write_all(line.as_bytes())
    }

    fn name(&self) -> String {
        "standard error".to_owned()
    }

    fn gap(&self, missed: u64) -> String {
        let text = format!("{missed} lines were lost: standard error is not read fast enough");
        match self.0.load().style {
            ConsoleStyle::Json => format!("{{\"message\":\"{text}\"}}"),
            ConsoleStyle::Compact | ConsoleStyle::Pretty => text,
        }
    }
}

/// One line for standard error. `json` is the masked JSON form.
pub(super) fn line(
    active: &Active,
    json: &str,
    level: &str,
    subsystem: &str,
    fields: &Fields,
    now: &jiff::Zoned,
) -> String {
    match active.style {
        ConsoleStyle::Json => json.to_owned(),
        ConsoleStyle::Compact | ConsoleStyle::Pretty => text(active, level, subsystem, fields, now),
    }
}

fn text(active: &Active, level: &str, subsystem: &str, fields: &Fields, now: &jiff::Zoned) -> String {
    let is_pretty = active.style == ConsoleStyle::Pretty;
    let time = if is_pretty {
        "%H:%M:%S"
    } else {
        "%Y-%m-%dT%H:%M:%S%.3f%:z"
    };
    let mut message = String::new();
    if level == "error" || level == "warn" {
        message.push_str(level);
        message.push_str(": ");
    }
    printable::push_message(&mut message, &fields.message);
    for (key, value) in &fields.rest {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to a String cannot fail.
        write!(message, " {key}=").unwrap_or_default();
        printable::push_word(&mut message, &shown);
    }
    // Masked before colours come in, which would break words apart.
    let message = active.redaction.line(&message);
    let (time, subsystem) = (now.strftime(time), short_subsystem(subsystem));
    if !(is_pretty && active.colors) {
        return format!("{time} [{subsystem}] {message}");
    }
    let style = match level {
        "error" => Style::new().red(),
        "warn" => Style::new().yellow(),
        "debug" | "trace" => Style::new().dimmed(),
        _ => Style::new(),
    };
    format!(
        "{} {} {}",
        time.to_string().dimmed(),
        format_args!("[{subsystem}]").cyan(),
        message.style(style)
    )
}

fn short_subsystem(target: &str) -> &str {
    let target = target.strip_prefix("openclaw::").unwrap_or(target);
    match target.strip_prefix("gateway/") {
        Some(rest) => rest,
        None => target,
    }
}
