//! How a command ends: its exit code, and what it says when it fails.

use std::process::ExitCode;

/// Exit code of a command. The table is in the docs of [`crate::cli`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// It did what was asked.
    pub const OK: Self = Self(0);
    /// It did not: refused, unreachable, invalid, not found, wrong usage.
    pub const FAILURE: Self = Self(1);

    /// `OK` when `ok`, else `FAILURE`.
    pub const fn ok_if(ok: bool) -> Self {
        if ok { Self::OK } else { Self::FAILURE }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable name for programs, upper snake case.
    pub code: String,
    /// One line for `--json`.
    pub message: String,
    /// What goes to stderr; several lines.
    pub text: String,
}

impl Failure {
    /// A failure whose text is its message.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code: code.to_owned(),
            text: message.clone(),
            message,
        }
    }

    /// The arguments cannot be used as given.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("USAGE", message)
    }

    /// A failure with a longer text for people.
    pub fn with_text(code: &str, message: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            text: text.into(),
        }
    }

    /// The same failure with `prefix` before its text.
    pub fn prefixed(mut self, prefix: &str) -> Self {
        self.text.insert_str(0, prefix);
        self
    }
}
