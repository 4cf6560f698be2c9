//! `logging`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Log output.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Logging {
    /// Level of the log file and, unless `consoleLevel` says otherwise, of the console.
    pub level: Option<LogLevel>,
    /// Log file, beside the console; absent: none. A name `openclaw-YYYY-MM-DD.log` always means today's file.
    pub file: Option<String>,
    /// Size at which the file is rolled; absent: 100 MiB.
    #[schemars(range(min = 1))]
    pub max_file_bytes: Option<u64>,
    /// Level of the console.
    pub console_level: Option<LogLevel>,
    /// Form of console lines; absent: `pretty` on a terminal, `json` in a container, else `compact`.
    pub console_style: Option<ConsoleStyle>,
    /// What is masked.
    pub redact_sensitive: RedactSensitive,
    /// Regular expressions of what is masked in log lines besides the built-in ones: `/expression/flags`, or a bare
    /// expression that ignores letter case.
    pub redact_patterns: Option<Vec<String>>,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Silent,
    /// The process cannot go on.
    Fatal,
    /// Somebody must act.
    Error,
    /// Degraded.
    Warn,
    /// Life of the process, one line per run.
    Info,
    /// One line per request.
    Debug,
    /// Frames.
    Trace,
}

/// Form of console lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleStyle {
    /// Short time, colours.
    Pretty,
    /// Full timestamp, no colours.
    Compact,
    /// One JSON object per line.
    Json,
}

/// What is masked in logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RedactSensitive {
    /// Nothing beyond what is never logged.
    Off,
    /// Credentials in log lines and tool output.
    #[default]
    Tools,
}
