//! The log subscriber: console in three styles, a file, the newest lines in memory. Everything about it can change at
//! run time.

mod console;
mod layer;
mod mirror;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use self::console::StandardError;
use self::layer::GatewayLayer;
pub use self::mirror::LogMirror;
use super::redaction::Redaction;
use super::ring::LogRing;
use super::rolling::{FileSettings, Rolling};
use crate::base::line_file::LineFile;

/// How long the last lines may take to reach the console, and the file.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Form of console lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleStyle {
    /// `HH:MM:SS [subsystem] message`, for terminals.
    Pretty,
    /// Timestamp, subsystem, message.
    Compact,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Nothing.
    Silent,
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And the life of the process.
    Info,
    /// And requests.
    Debug,
    /// Everything.
    Trace,
}

impl Verbosity {
    /// The level with this name (`silent`, `fatal`, `error`, `warn`, `info`, `debug`, `trace`).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "silent" => Self::Silent,
            // Nothing is logged as fatal: what ends the process is an error.
            "fatal" | "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return None,
        })
    }

    fn shows(self, level: Level) -> bool {
        let needed = match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        };
        self >= needed
    }

    const fn directive(self) -> &'static str {
        match self {
            Self::Silent => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// What the console shows.
    pub console_level: Verbosity,
    /// What the file holds.
    pub file_level: Verbosity,
    /// Console form; `None`: pretty on a terminal, else compact.
    pub style: Option<ConsoleStyle>,
    /// Whether pretty lines are coloured; `None`: on a terminal.
    pub colors: Option<bool>,
    /// What is masked.
    pub redaction: Redaction,
    /// The log file, if there is one.
    pub file: Option<FileSettings>,
    /// Whether lines of the file's level are exported.
    pub is_exported: bool,
}

struct LogFile {
    settings: FileSettings,
    lines: LineFile,
}

/// Settings in force.
struct Active {
    console_level: Verbosity,
    file_level: Verbosity,
    style: ConsoleStyle,
    colors: bool,
    redaction: Redaction,
    file: Option<Arc<LogFile>>,
}

/// Changes how the process logs.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, tracing_subscriber::Registry>,
    active: Arc<ArcSwap<Active>>,
    console: Option<LineFile>,
    /// The last file that could not be opened, so that it is complained about once.
    refused: Arc<Mutex<Option<FileSettings>>>,
    /// The newest lines.
    pub ring: LogRing,
    /// Where lines go besides.
    pub mirror: LogMirror,
}

impl LogControl {
    /// Puts settings in force for everything that follows. A file that cannot be opened is warned about; the console and
    /// the memory go on.
    pub fn apply(&self, settings: &LogSettings) {
        if let Err(error) = self.filter.reload(filter(settings)) {
            tracing::warn!(target: "gateway", %error, "log level could not be changed");
        }
        let (file, problem) = open_file(settings, self.active.load().file.as_ref());
        self.active.store(Arc::new(active(settings, file)));
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match (problem, &settings.file) {
            (Some(error), Some(file)) if refused.as_ref() != Some(file) => {
                *refused = Some(file.clone());
                let path = file.current();
                tracing::warn!(target: "gateway", path = %path.display(), %error,
                    "log file cannot be used (check logging.file and its folder); logging goes on without it");
            }
            (Some(_), _) => {}
            (None, _) => *refused = None,
        }
    }

    /// The file that is written today, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        self.active.load().file.as_ref().map(|file| file.settings.current())
    }

    /// Waits a moment for the last lines to reach console and file. Blocking; for the end of the process.
    pub fn flush(&self) {
        if let Some(console) = &self.console {
            console.flush(LAST_LINES);
        }
        if let Some(file) = &self.active.load().file {
            file.lines.flush(LAST_LINES);
        }
    }
}

/// Installs the subscriber of the process.
pub fn install(settings: &LogSettings) -> LogControl {
    let ring = LogRing::default();
    let mirror = LogMirror::default();
    let (filter, handle) = reload::Layer::new(filter(settings));
    let active = Arc::new(ArcSwap::from_pointee(active(settings, None)));
    let console = LineFile::start(StandardError(Arc::clone(&active))).ok();
    let layer = GatewayLayer {
        active: Arc::clone(&active),
        console: console.clone(),
        ring: ring.clone(),
        mirror: mirror.clone(),
    };
    // A second installation in one process (tests) keeps the first subscriber.
    if tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .is_err()
    {
        tracing::debug!(target: "gateway", "a log subscriber is installed already");
    }
    let control = LogControl {
        filter: handle,
        active,
        console,
        refused: Arc::default(),
        ring,
        mirror,
    };
    control.apply(settings);
    control
}

fn filter(settings: &LogSettings) -> EnvFilter {
    let most = if settings.file.is_some() || settings.is_exported {
        settings.console_level.max(settings.file_level)
    } else {
        settings.console_level
    };
    // Libraries speak only when something is wrong; our own targets follow the level.
    EnvFilter::try_new(format!(
        "{},hyper=warn,h2=warn,tower=warn,reqwest=warn,rustls=warn",
        most.directive()
    ))
    .unwrap_or_else(|_| EnvFilter::new("info"))
}

fn active(settings: &LogSettings, file: Option<Arc<LogFile>>) -> Active {
    let terminal = io::stderr().is_terminal();
    Active {
        console_level: settings.console_level,
        file_level: settings.file_level,
        style: settings.style.unwrap_or(if terminal {
            ConsoleStyle::Pretty
        } else {
            ConsoleStyle::Compact
        }),
        colors: settings.colors.unwrap_or(terminal),
        redaction: settings.redaction.clone(),
        file,
    }
}

/// The file of these settings: the one that is open, or a new one.
fn open_file(settings: &LogSettings, known: Option<&Arc<LogFile>>) -> (Option<Arc<LogFile>>, Option<io::Error>) {
    let Some(wanted) = &settings.file else {
        return (None, None);
    };
    if let Some(known) = known.filter(|known| known.settings == *wanted) {
        return (Some(Arc::clone(known)), None);
    }
    match Rolling::open(wanted.clone()).and_then(LineFile::start) {
        Ok(lines) => {
            let settings = wanted.clone();
            (Some(Arc::new(LogFile { settings, lines })), None)
        }
        Err(error) => (None, Some(error)),
    }
}
