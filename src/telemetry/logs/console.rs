//! Lines for people (or for what collects standard error) in three styles.

use std::fmt::Write as _;
use std::io::Write as _;

use owo_colors::{OwoColorize as _, Style};

use super::layer::Fields;
use super::{Active, ConsoleStyle};
use crate::base::printable;

/// Writes one line to standard error. `json` is the masked JSON form.
pub(super) fn show(active: &Active, json: &str, level: &str, subsystem: &str, fields: &Fields, now: &jiff::Zoned) {
    let text = match active.style {
        ConsoleStyle::Json => format!("{json}\n"),
        ConsoleStyle::Compact | ConsoleStyle::Pretty => text(active, level, subsystem, fields, now),
    };
    // Logs go to stderr so that stdout stays the result of commands; a closed stderr must not stop the gateway.
    std::io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
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
        return format!("{time} [{subsystem}] {message}\n");
    }
    let style = match level {
        "error" => Style::new().red(),
        "warn" => Style::new().yellow(),
        "debug" | "trace" => Style::new().dimmed(),
        _ => Style::new(),
    };
    format!(
        "{} {} {}\n",
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
