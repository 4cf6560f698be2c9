//! The log of the process: flags, environment and configuration together, and `logs.tail`.

use crate::config::types::logging::{ConsoleStyle as StyleSetting, LogLevel, Logging, RedactSensitive};
use crate::config::{Env, Snapshot};
use crate::domain::logs::{LogPage, LogTail, TailQuery};
use crate::domain::run::PortFuture;
use crate::domain::{Fault, FaultKind};
use crate::settings::RunSettings;
use crate::telemetry::LogSettings;
use crate::telemetry::logs::{self, ConsoleStyle, LogControl, LogMirror, Verbosity};
use crate::telemetry::redaction::Redaction;
use crate::telemetry::rolling::FileSettings;
use crate::telemetry::tail;

/// Size at which the file is rolled, unless configured.
const MAX_FILE_BYTES: u64 = 100 * 1024 * 1024;

/// What the command line and the machine say about the log; it holds for every configuration.
#[derive(Debug, Clone)]
struct Rules {
    /// `--log-level`.
    level: Option<Verbosity>,
    /// `--verbose`.
    verbose: bool,
    /// `--no-color`.
    no_color: bool,
    container: bool,
}

/// The log; cheap to clone.
#[derive(Clone)]
pub(super) struct Logs {
    control: LogControl,
    rules: Rules,
}

impl Logs {
    /// Installs the log of the process.
    pub(super) fn install(settings: &RunSettings, snapshot: &Snapshot, container: bool) -> Self {
        let rules = Rules {
            level: settings.log_level.as_deref().and_then(Verbosity::parse),
            verbose: settings.verbose,
            no_color: settings.no_color,
            container,
        };
        Self {
            control: logs::install(&rules.settings(snapshot)),
            rules,
        }
    }

    /// Puts what a configuration says in force.
    pub(super) fn apply(&self, snapshot: &Snapshot) {
        self.control.apply(&self.rules.settings(snapshot));
    }

    /// Where lines can be had for export.
    pub(super) fn mirror(&self) -> LogMirror {
        self.control.mirror.clone()
    }

    /// The last lines get a moment to reach console and file. Blocking.
    pub(super) fn flush(&self) {
        self.control.flush();
    }
}

impl Rules {
    /// `--log-level` and `OPENCLAW_LOG_LEVEL` mean console and file, `--verbose` the console only.
    fn settings(&self, snapshot: &Snapshot) -> LogSettings {
        let (config, env) = (&snapshot.config.logging, &snapshot.env);
        let forced = self
            .level
            .or_else(|| env.get("OPENCLAW_LOG_LEVEL").and_then(Verbosity::parse));
        let file_level = forced.unwrap_or_else(|| config.level.map_or(Verbosity::Info, verbosity));
        let console_level = match forced {
            Some(level) => level,
            None if self.verbose => Verbosity::Debug,
            None => config.console_level.map_or(file_level, verbosity),
        };
        let style = config.console_style.map(|style| match style {
            StyleSetting::Pretty => ConsoleStyle::Pretty,
            StyleSetting::Compact => ConsoleStyle::Compact,
            StyleSetting::Json => ConsoleStyle::Json,
        });
        LogSettings {
            console_level,
            file_level,
            style: style.or(self.container.then_some(ConsoleStyle::Json)),
            colors: self.colors(env),
            redaction: redaction(config),
            file: config
                .file
                .as_deref()
                .map(str::trim)
                .filter(|path| !path.is_empty())
                .map(|path| FileSettings {
                    path: snapshot.paths.expand(path),
                    max_bytes: config.max_file_bytes.unwrap_or(MAX_FILE_BYTES),
                }),
            is_exported: snapshot.otlp().logs.is_some(),
        }
    }

    /// `None`: as the terminal allows.
    fn colors(&self, env: &Env) -> Option<bool> {
        if self.no_color || env.raw("NO_COLOR").is_some() {
            return Some(false);
        }
        (env.is_truthy("FORCE_COLOR") || env.is_truthy("CLICOLOR_FORCE")).then_some(true)
    }
}

fn redaction(config: &Logging) -> Redaction {
    match config.redact_sensitive {
        RedactSensitive::Off => Redaction::off(),
        RedactSensitive::Tools => Redaction::with(config.redact_patterns.as_deref().unwrap_or_default()),
    }
}

const fn verbosity(level: LogLevel) -> Verbosity {
    match level {
        LogLevel::Silent => Verbosity::Silent,
        LogLevel::Fatal | LogLevel::Error => Verbosity::Error,
        LogLevel::Warn => Verbosity::Warn,
        LogLevel::Info => Verbosity::Info,
        LogLevel::Debug => Verbosity::Debug,
        LogLevel::Trace => Verbosity::Trace,
    }
}

impl LogTail for Logs {
    /// From the file if there is one, which also holds the time before the last start, else from memory.
    fn tail(&self, query: TailQuery) -> PortFuture<'_, Result<LogPage, Fault>> {
        Box::pin(async move {
            let Some(path) = self.control.file() else {
                let max_bytes = usize::try_from(query.max_bytes).unwrap_or(usize::MAX);
                let page = self.control.ring.tail(query.cursor, query.limit, max_bytes);
                return Ok(named("memory".to_owned(), page));
            };
            let file = path.display().to_string();
            let read =
                tokio::task::spawn_blocking(move || tail::read(&path, query.cursor, query.limit, query.max_bytes));
            match read.await {
                Ok(Ok(page)) => Ok(named(file, page)),
                Ok(Err(error)) => Err(Fault::unavailable(format!(
                    "the log file {file} cannot be read: {error}"
                ))),
                Err(error) => Err(Fault::new(
                    FaultKind::Internal,
                    format!("the log was not read: {error}"),
                )),
            }
        })
    }
}

fn named(file: String, page: crate::telemetry::ring::LogPage) -> LogPage {
    LogPage {
        file,
        cursor: page.cursor,
        size: page.size,
        lines: page.lines,
        truncated: page.truncated,
        reset: page.reset,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::snapshot_from_json5;

    fn rules() -> Rules {
        Rules {
            level: None,
            verbose: false,
            no_color: false,
            container: false,
        }
    }

    fn settings(rules: &Rules, config: &str, env: &[(&str, &str)]) -> LogSettings {
        let env: Env = env.iter().copied().collect();
        rules.settings(&snapshot_from_json5(config, Path::new("/nonexistent"), &env).unwrap())
    }

    fn levels(settings: &LogSettings) -> (Verbosity, Verbosity) {
        (settings.console_level, settings.file_level)
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        use Verbosity::{Debug, Error, Info, Trace, Warn};
        let config = "{logging: {level: 'warn', consoleLevel: 'error'}}";
        assert_eq!(levels(&settings(&rules(), "{}", &[])), (Info, Info));
        assert_eq!(
            levels(&settings(&rules(), "{logging: {level: 'warn'}}", &[])),
            (Warn, Warn)
        );
        assert_eq!(levels(&settings(&rules(), config, &[])), (Error, Warn));
        let verbose = Rules {
            verbose: true,
            ..rules()
        };
        assert_eq!(levels(&settings(&verbose, config, &[])), (Debug, Warn));
        let env = [("OPENCLAW_LOG_LEVEL", "trace")];
        assert_eq!(levels(&settings(&rules(), config, &env)), (Trace, Trace));
        let flag = Rules {
            level: Some(Info),
            ..rules()
        };
        assert_eq!(levels(&settings(&flag, config, &env)), (Info, Info));
    }

    #[test]
    fn colours_follow_the_flag_and_the_usual_variables() {
        assert_eq!(settings(&rules(), "{}", &[]).colors, None);
        assert_eq!(settings(&rules(), "{}", &[("NO_COLOR", "1")]).colors, Some(false));
        assert_eq!(settings(&rules(), "{}", &[("FORCE_COLOR", "1")]).colors, Some(true));
        let flag = Rules {
            no_color: true,
            ..rules()
        };
        assert_eq!(settings(&flag, "{}", &[("FORCE_COLOR", "1")]).colors, Some(false));
    }
}
