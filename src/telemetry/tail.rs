//! The end of a log file, addressed by byte offset like the log in memory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::ring::LogPage;

/// Whole lines of `path` from `cursor` on, or its tail: at most `max_bytes` and the last `limit` lines of that. A file
/// that is not there is an empty page. Blocking.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(path: &Path, cursor: Option<u64>, limit: usize, max_bytes: u64) -> io::Result<LogPage> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LogPage {
                cursor: 0,
                size: 0,
                lines: Vec::new(),
                truncated: false,
                reset: cursor.is_some_and(|at| at > 0),
            });
        }
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    let reset = cursor.is_some_and(|at| at > size);
    let tail_start = size.saturating_sub(max_bytes);
    let wanted = cursor.filter(|_| !reset);
    let start = wanted.map_or(tail_start, |at| at.max(tail_start));
    // One byte more shows whether the first line is whole.
    let from = start.saturating_sub(1);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(size - from).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = if start == 0 {
        &*text
    } else {
        text.split_once('\n').map_or("", |(_, rest)| rest)
    };
    // A line that is still being written belongs to the next page.
    let whole = text.rfind('\n').map_or("", |end| text.get(..=end).unwrap_or_default());
    let unfinished = (text.len() - whole.len()) as u64;
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    let cut = lines.len().saturating_sub(limit);
    lines.drain(..cut);
    Ok(LogPage {
        cursor: size.saturating_sub(unfinished),
        size,
        lines,
        truncated: cut > 0 || (!reset && wanted.map_or(start > 0, |at| at < start)),
        reset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_continues_and_an_unfinished_line_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        assert_eq!(read(&path, None, 10, 100).unwrap().lines, Vec::<String>::new());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let first = read(&path, None, 10, 100).unwrap();
        assert_eq!(
            (first.lines.as_slice(), first.cursor, first.size),
            (&["one".to_owned(), "two".to_owned()][..], 8, 11)
        );
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read(&path, Some(first.cursor), 10, 100).unwrap().lines, ["three"]);
    }

    #[test]
    fn a_short_budget_starts_at_a_whole_line_and_a_rolled_file_resets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        std::fs::write(&path, "first\nsecond\nthird\n").unwrap();
        let page = read(&path, None, 10, 9).unwrap();
        assert_eq!(
            (page.lines.as_slice(), page.truncated),
            (&["third".to_owned()][..], true)
        );
        assert_eq!(read(&path, None, 10, 6).unwrap().lines, ["third"]);
        let page = read(&path, None, 1, 100).unwrap();
        assert_eq!(
            (page.lines.as_slice(), page.truncated),
            (&["third".to_owned()][..], true)
        );
        let page = read(&path, Some(1_000), 10, 100).unwrap();
        assert!(page.reset && page.lines.len() == 3);
    }
}
