//! The log of the process: how it is set up, and `logs.tail` from its memory.

use crate::config::Snapshot;
use crate::config::types::logging::{ConsoleStyle as StyleSetting, LogLevel};
use crate::domain::Fault;
use crate::domain::logs::{LogPage, LogTail, TailQuery};
use crate::domain::run::PortFuture;
use crate::settings::RunSettings;
use crate::telemetry::LogSettings;
use crate::telemetry::logs::ConsoleStyle;
use crate::telemetry::ring::LogRing;

/// The log of this process; nothing else is mixed in.
pub(super) struct RingTail {
    pub(super) ring: LogRing,
}

impl LogTail for RingTail {
    fn tail(&self, query: TailQuery) -> PortFuture<'_, Result<LogPage, Fault>> {
        let max_bytes = usize::try_from(query.max_bytes).unwrap_or(usize::MAX);
        let page = self.ring.tail(query.cursor, query.limit, max_bytes);
        Box::pin(std::future::ready(Ok(LogPage {
            file: "memory".to_owned(),
            cursor: page.cursor,
            size: page.size,
            lines: page.lines,
            truncated: page.truncated,
            reset: page.reset,
        })))
    }
}

const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Silent => "silent",
        LogLevel::Fatal => "fatal",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// The level in force: environment, then configuration.
pub(super) fn console_level(snapshot: &Snapshot) -> String {
    const KNOWN: [&str; 7] = ["silent", "fatal", "error", "warn", "info", "debug", "trace"];
    if let Some(level) = snapshot
        .env
        .get("OPENCLAW_LOG_LEVEL")
        .filter(|level| KNOWN.contains(level))
    {
        return level.to_owned();
    }
    let logging = &snapshot.config.logging;
    level_name(logging.console_level.or(logging.level).unwrap_or(LogLevel::Info)).to_owned()
}

/// How the process logs: flags, then environment, then configuration.
pub(super) fn log_settings(settings: &RunSettings, snapshot: &Snapshot, container: bool) -> LogSettings {
    let level = match &settings.log_level {
        Some(level) => level.clone(),
        None if settings.verbose => "debug".to_owned(),
        None => console_level(snapshot),
    };
    let style = snapshot.config.logging.console_style.map(|style| match style {
        StyleSetting::Pretty => ConsoleStyle::Pretty,
        StyleSetting::Compact => ConsoleStyle::Compact,
        StyleSetting::Json => ConsoleStyle::Json,
    });
    LogSettings {
        level,
        style: style.or(container.then_some(ConsoleStyle::Json)),
    }
}
