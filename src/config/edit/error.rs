//! Why a change of the configuration is refused. `Display` is the text for the caller.

use std::path::PathBuf;

use crate::config::raw::SyntaxError;
use crate::config::snapshot::Issue;

/// Findings that the text itself names; the rest is counted.
const SHOWN: usize = 3;

/// Why a change is refused. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The caller does not say what the change is based on.
    #[error("config base hash required; re-run config.get and retry")]
    BaseHashRequired,
    /// The file is another one than the caller saw.
    #[error("config changed since last load; re-run config.get and retry")]
    BaseHashStale,
    /// The request's text is no JSON5.
    #[error("SyntaxError: {0}")]
    Syntax(String),
    /// A patch must be an object.
    #[error("config.patch raw must be an object")]
    PatchNotObject,
    /// A patch needs a usable file below it.
    #[error("invalid config; fix before patching")]
    FileInvalid,
    /// Redacted values that stand for nothing.
    #[error("{}", joined(.0))]
    Sentinel(Vec<Issue>),
    /// The change concerns what another file holds.
    #[error(
        "config not written: {path} is included from {file}; change that file instead, or replace the $include with its \
         content in the root file"
    )]
    Included {
        /// Dotted path of the included part.
        path: String,
        /// As the `$include` names it.
        file: String,
    },
    /// The result is no valid configuration.
    #[error("{}", summary(.0))]
    Invalid(Vec<Issue>),
    /// The result needs secrets that cannot be read.
    #[error("invalid config: active SecretRef resolution failed ({0})")]
    Secrets(String),
    /// The result would lose too much to be meant.
    #[error(
        "Error: Config write rejected: {path} ({reason}). Nothing was written; edit the file itself if this is what you \
         want. code=CONFIG_WRITE_REJECTED"
    )]
    Rejected {
        /// The file.
        path: PathBuf,
        /// `size-drop:<bytes>-><bytes>` or `gateway-mode-removed`.
        reason: String,
    },
    /// The result is larger than a config file may be.
    #[error("config not written: it would be larger than 8 MiB")]
    TooLarge,
    /// The present file cannot be read.
    #[error("config not written: {0}")]
    Unreadable(String),
}

impl EditError {
    /// A syntax error in the words that clients of the protocol know: the character that does not fit, and where.
    pub(super) fn syntax(error: &SyntaxError, text: &str) -> Self {
        Self::Syntax(match error {
            SyntaxError::Syntax {
                reason, line, column, ..
            } => {
                let reason = match character(text, *line, *column) {
                    Some(found) if !reason.contains("end of input") => format!("invalid character '{found}'"),
                    _ => "invalid end of input".to_owned(),
                };
                format!("JSON5: {reason} at {line}:{column}")
            }
            other => other.to_string(),
        })
    }

    /// Everything that is wrong with the result; empty for other reasons.
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Invalid(issues) => issues,
            _ => &[],
        }
    }
}

fn character(text: &str, line: usize, column: usize) -> Option<char> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    line.chars().nth(column.checked_sub(1)?)
}

fn joined(issues: &[Issue]) -> String {
    let texts: Vec<&str> = issues.iter().map(|issue| issue.message.as_str()).collect();
    texts.join("; ")
}

fn summary(issues: &[Issue]) -> String {
    let shown: Vec<String> = issues
        .iter()
        .take(SHOWN)
        .map(|issue| {
            let path = if issue.path.is_empty() { "<root>" } else { &issue.path };
            format!("{path}: {}", issue.message)
        })
        .collect();
    let more = match issues.len().saturating_sub(SHOWN) {
        0 => String::new(),
        1 => " (+1 more issue)".to_owned(),
        hidden => format!(" (+{hidden} more issues)"),
    };
    format!("invalid config: {}{more}", shown.join("; "))
}
