//! Appends lines to a file, or to standard error, from a thread of its own, so that nobody waits for the disk or for
//! whoever reads the other end of a pipe.
//!
//! The queue is bounded. A destination that is slower than the writers costs lines, and the gap is named where they would
//! have been.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::fs::{append_private, create_private_dir};

/// Lines that may wait.
const CAPACITY: usize = 8_192;

/// How often a full queue is looked at by who waits for it.
const LOOK: Duration = Duration::from_millis(5);

/// Where lines end up. Called from the writing thread only.
pub trait Destination: Send + 'static {
    /// Appends `line`, which ends with a line break.
    fn append(&mut self, line: &str) -> io::Result<()>;

    /// What to call it in messages.
    fn name(&self) -> String;

    /// The line, without line break, that stands for `missed` others.
    fn gap(&self, missed: u64) -> String {
        format!("{{\"message\":\"{missed} lines were lost: the disk is too slow\"}}")
    }
}

enum Entry {
    Line(String),
    Flush(SyncSender<()>),
}

/// A file that is appended to as it is. New ones are readable by their owner only.
pub struct AppendFile {
    path: PathBuf,
    file: File,
}

impl AppendFile {
    /// Opens the file, making its folder.
    ///
    /// # Errors
    /// The folder cannot be made or the file cannot be opened for appending.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            create_private_dir(folder)?;
        }
        let file = append_private(&path)?;
        Ok(Self { path, file })
    }
}

impl Destination for AppendFile {
    fn append(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// The writing end; cheap to clone. The thread ends when the last one is dropped.
#[derive(Clone)]
pub struct LineFile {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl LineFile {
    /// Starts the thread. Fails only if the system has no thread to give.
    pub fn start(destination: impl Destination) -> io::Result<Self> {
        let (queue, entries) = sync_channel(CAPACITY);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new()
            .name("line-file".to_owned())
            .spawn(move || write_all(destination, &entries, &counted))?;
        Ok(Self { queue, lost })
    }

    /// Queues a line (without line break). Never blocks: if the queue is full the line is lost and counted.
    pub fn push(&self, mut line: String) {
        line.push('\n');
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Entry::Line(line)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was queued so far is written, or `patience` is over.
    pub fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let (done, written) = sync_channel(1);
        let mut entry = Entry::Flush(done);
        // A full queue gets shorter.
        while let Err(TrySendError::Full(back)) = self.queue.try_send(entry) {
            if Instant::now() >= deadline {
                return;
            }
            entry = back;
            thread::sleep(LOOK);
        }
        // Too late is as good as it gets: the caller is leaving.
        let rest = deadline.saturating_duration_since(Instant::now());
        written.recv_timeout(rest).unwrap_or_default();
    }
}

fn write_all(mut destination: impl Destination, entries: &Receiver<Entry>, lost: &AtomicU64) {
    let mut failing = false;
    for entry in entries {
        let line = match entry {
            Entry::Line(line) => line,
            Entry::Flush(done) => {
                done.try_send(()).unwrap_or_default();
                continue;
            }
        };
        let missed = lost.swap(0, Ordering::Relaxed);
        let gap = (missed > 0).then(|| destination.gap(missed) + "\n");
        let written = gap.iter().chain([&line]).try_for_each(|line| destination.append(line));
        if let Err(error) = &written
            && !failing
        {
            // Not through the log: this may be the log.
            let text = format!(
                "cannot write {}: {error}; lines are lost until it can be written\n",
                destination.name()
            );
            io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
        }
        failing = written.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Memory(Arc<Mutex<Vec<String>>>, Receiver<()>);

    impl Destination for Memory {
        fn append(&mut self, line: &str) -> io::Result<()> {
            self.1.recv().ok();
            self.0.lock().unwrap().push(line.to_owned());
            Ok(())
        }

        fn name(&self) -> String {
            "memory".to_owned()
        }
    }

    #[test]
    fn a_slow_disk_costs_lines_and_the_gap_is_named() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (go, gate) = sync_channel(CAPACITY * 2);
        let file = LineFile::start(Memory(Arc::clone(&lines), gate)).unwrap();
        for number in 0..CAPACITY + 10 {
            file.push(number.to_string());
        }
        drop(go);
        file.flush(Duration::from_secs(10));
        file.push("after".to_owned());
        file.flush(Duration::from_secs(10));
        let lines = lines.lock().unwrap();
        let (gaps, kept): (Vec<&String>, Vec<&String>) =
            lines.iter().partition(|line| line.contains("lines were lost"));
        assert_eq!((kept[0].as_str(), kept[kept.len() - 1].as_str()), ("0\n", "after\n"));
        assert!(!gaps.is_empty(), "no gap was named");
    }
}
