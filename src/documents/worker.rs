//! The process that reads one PDF: file in, one line of JSON out.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use super::{Extent, pdf};

/// The first argument of a worker; no command of the command line has such a name.
pub(super) const MARK: &str = "__read-pdf";

/// Largest file.
const MAX_INPUT: u64 = 64 * 1024 * 1024;
/// Most memory.
#[cfg(unix)]
const MAX_MEMORY: u64 = 256 * 1024 * 1024;
/// Most processor time, seconds.
#[cfg(unix)]
const MAX_TIME: u64 = 15;

/// Does the work if the arguments are those of a worker.
pub fn run_if_asked(mut argv: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mark = argv.nth(1)?;
    if mark != MARK {
        return None;
    }
    let mut number = || argv.next()?.to_str()?.parse().ok();
    let extent = number().zip(number()).map(|(chars, pages)| Extent { chars, pages });
    let done = extent.and_then(|extent| {
        confine();
        let mut content = Vec::new();
        std::io::stdin().take(MAX_INPUT).read_to_end(&mut content).ok()?;
        let text = pdf::read(&content, extent)?;
        let line = serde_json::to_string(&text).ok()?;
        // The library prints what it wonders about; the last line is ours.
        writeln!(std::io::stdout(), "\n{line}").ok()
    });
    Some(if done.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Sets the limits. A limit that cannot be set is one of several.
#[cfg(unix)]
fn confine() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (resource, most) in [
        (Resource::Data, MAX_MEMORY),
        (Resource::As, 4 * MAX_MEMORY),
        (Resource::Cpu, MAX_TIME),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).unwrap_or_default();
    }
    // Where memory is short all the same, this process goes first.
    std::fs::write("/proc/self/oom_score_adj", "1000").unwrap_or_default();
}

#[cfg(not(unix))]
fn confine() {}
