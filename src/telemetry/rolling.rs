//! The log file: rolled by size, and by day if its name holds a date.
//!
//! `openclaw-YYYY-MM-DD.log` always means the file of today; its predecessors are deleted after a day. Any other name is
//! kept as it is. A full file moves to `name.1.log`, that one to `name.2.log`, up to five.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::fs::{append_private, create_private_dir};
use crate::base::line_file::Destination;

/// Full files that are kept.
const KEPT: u32 = 5;
/// Age at which files of other days are deleted.
const OLD: Duration = Duration::from_secs(24 * 3600);
const PREFIX: &str = "openclaw-";
const SUFFIX: &str = ".log";

/// Where to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// The file as configured, absolute.
    pub path: PathBuf,
    /// Size at which it is rolled.
    pub max_bytes: u64,
}

impl FileSettings {
    /// The file of today.
    pub fn current(&self) -> PathBuf {
        self.on(jiff::Zoned::now().date())
    }

    fn on(&self, day: jiff::civil::Date) -> PathBuf {
        if self.is_dated() {
            self.path.with_file_name(format!("{PREFIX}{day}{SUFFIX}"))
        } else {
            self.path.clone()
        }
    }

    fn is_dated(&self) -> bool {
        self.path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.len() == PREFIX.len() + 10 + SUFFIX.len() && is_of_a_day(name))
    }
}

struct Open {
    path: PathBuf,
    file: File,
    size: u64,
}

/// The file as the writing thread has it.
pub struct Rolling {
    settings: FileSettings,
    open: Option<Open>,
}

impl Rolling {
    /// Opens the file of today.
    ///
    /// # Errors
    /// The folder cannot be made or the file cannot be opened for appending.
    pub fn open(settings: FileSettings) -> io::Result<Self> {
        let mut rolling = Self { settings, open: None };
        let path = rolling.settings.current();
        rolling.open = Some(open(path)?);
        Ok(rolling)
    }

    fn ready(&mut self, path: PathBuf, length: u64) -> io::Result<&mut Open> {
        let known = self.open.take().filter(|known| known.path == path);
        let mut current = match known {
            Some(known) => known,
            None => {
                if self.settings.is_dated() {
                    delete_old(&path);
                }
                open(path)?
            }
        };
        if current.size > 0 && current.size.saturating_add(length) > self.settings.max_bytes {
            shift(&current.path)?;
            current = open(current.path)?;
        }
        Ok(self.open.insert(current))
    }
}

impl Destination for Rolling {
    fn append(&mut self, line: &str) -> io::Result<()> {
        let path = self.settings.current();
        let length = line.len() as u64;
        let current = self.ready(path, length)?;
        current.file.write_all(line.as_bytes())?;
        current.size += length;
        Ok(())
    }

    fn name(&self) -> String {
        format!("the log file {}", self.settings.current().display())
    }
}

fn open(path: PathBuf) -> io::Result<Open> {
    if let Some(folder) = path.parent() {
        create_private_dir(folder)?;
    }
    let file = append_private(&path)?;
    let size = file.metadata()?.len();
    Ok(Open { path, file, size })
}

/// `x.log` becomes `x.1.log`, and so on; the last one goes.
fn shift(path: &Path) -> io::Result<()> {
    for number in (1..KEPT).rev() {
        match fs::rename(numbered(path, number), numbered(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}.{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}.{number}"),
    };
    path.with_file_name(name)
}

/// Whether the name is `openclaw-YYYY-MM-DD.log`, or that of a full file moved aside.
fn is_of_a_day(name: &str) -> bool {
    let middle = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    let day = middle.map(|middle| middle.split_once('.').map_or(middle, |(day, _)| day));
    day.is_some_and(|day| day.len() == 10 && day.parse::<jiff::civil::Date>().is_ok())
}

/// Deletes dated files of other days. What cannot be deleted stays.
fn delete_old(current: &Path) {
    let Some(files) = current.parent().and_then(|folder| fs::read_dir(folder).ok()) else {
        return;
    };
    let now = SystemTime::now();
    for file in files.flatten() {
        let name = file.file_name();
        let is_log = name.to_str().is_some_and(is_of_a_day);
        let modified = file.metadata().and_then(|facts| facts.modified());
        let is_old = modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > OLD));
        if is_log && is_old && file.path() != current {
            fs::remove_file(file.path()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: PathBuf, max_bytes: u64) -> FileSettings {
        FileSettings { path, max_bytes }
    }

    #[test]
    fn a_full_file_moves_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/gateway.log");
        let mut rolling = Rolling::open(settings(path.clone(), 10)).unwrap();
        for number in 0..8 {
            rolling.append(&format!("line {number}\n")).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 7\n");
        let kept = |number: u32| fs::read_to_string(numbered(&path, number)).ok();
        assert_eq!(kept(1).as_deref(), Some("line 6\n"));
        assert_eq!(kept(5).as_deref(), Some("line 2\n"));
        assert_eq!(kept(6), None);
    }

    #[test]
    fn only_a_dated_name_follows_the_day() {
        let day = "2026-03-04".parse().unwrap();
        let dated = settings(PathBuf::from("/logs/openclaw-2020-01-01.log"), 1);
        assert_eq!(dated.on(day), PathBuf::from("/logs/openclaw-2026-03-04.log"));
        for name in ["openclaw.log", "openclaw-today.log", "mine-2020-01-01.log"] {
            let plain = settings(PathBuf::from("/logs").join(name), 1);
            assert_eq!(plain.on(day), plain.path);
        }
    }

    #[test]
    fn dated_files_of_other_days_are_deleted_after_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let kept = ["other.log", "openclaw-mine.log", "openclaw-2020.log"];
        let gone = ["openclaw-2020-01-01.log", "openclaw-2020-01-01.3.log"];
        fs::write(file("openclaw-2020-01-02.log"), "x").unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
        for name in kept.into_iter().chain(gone) {
            fs::write(file(name), "x").unwrap();
            File::options()
                .write(true)
                .open(file(name))
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        let mut rolling = Rolling {
            settings: settings(file("openclaw-2020-01-02.log"), 1_000),
            open: None,
        };
        rolling.append("new\n").unwrap();
        assert!(gone.iter().all(|name| !file(name).exists()));
        assert!(kept.iter().all(|name| file(name).exists()) && file("openclaw-2020-01-02.log").exists());
    }
}
