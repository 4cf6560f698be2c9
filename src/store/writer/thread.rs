//! The thread's loop: gather, run, commit, answer; keep the log short.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Command, Message, Shared};
use crate::store::StoreError;
use crate::store::connection::{self, BUSY_TIMEOUT, Journal, Location};

/// Commands per transaction: bounds how long the first of a group waits for the last.
const GROUP: usize = 256;
/// Quiet time after which the log is emptied.
const IDLE: Duration = Duration::from_secs(2);
/// A log this long did not start over by itself, because somebody always reads; then it is emptied by force.
pub(in crate::store) const LONG_LOG: u64 = 8 * 1024 * 1024;
/// How long emptying the log may wait for readers while commands queue up.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(100);
/// Time until the next try after readers got in the way of emptying a long log.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(250);
/// Lost transactions in a row after which the rest of a group is not tried one by one any more.
const GIVE_UP_AFTER: u32 = 3;

type Outcome = Result<(), StoreError>;

pub(super) struct Thread {
    /// Absent after a failure of the file, until it can be opened again.
    conn: Option<Connection>,
    location: Location,
    shared: Arc<Shared>,
    /// The log holds something that an idle moment should put away.
    dirty: bool,
    /// The last group failed; logged once per change.
    failing: bool,
    next_forced_checkpoint: Instant,
}

impl Thread {
    pub(super) fn new(conn: Connection, location: Location, shared: Arc<Shared>) -> Self {
        let thread = Self {
            conn: Some(conn),
            location,
            shared,
            dirty: true,
            failing: false,
            next_forced_checkpoint: Instant::now(),
        };
        thread.measure();
        thread
    }

    pub(super) fn work(mut self, inbox: &Receiver<Message>) {
        let closed = loop {
            let first = if self.dirty {
                match inbox.recv_timeout(IDLE) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => {
                        self.checkpoint();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break None,
                }
            } else {
                match inbox.recv() {
                    Ok(message) => message,
                    Err(_) => break None,
                }
            };
            if let ControlFlow::Break(reply) = self.group(first, inbox) {
                break Some(reply);
            }
        };
        self.checkpoint();
        if let Some(conn) = self.conn.take()
            && let Err((_, error)) = conn.close()
        {
            tracing::warn!(target: "store", %error, "the state database did not close cleanly");
        }
        if let Some(reply) = closed
            && reply.send(()).is_err()
        {
            tracing::debug!(target: "store", "closed after the caller stopped waiting");
        }
    }

    /// Runs `first` and what is queued behind it. Breaks when the store is closed and the queue empty.
    fn group(&mut self, first: Message, inbox: &Receiver<Message>) -> ControlFlow<oneshot::Sender<()>> {
        let mut closing = None;
        let mut next = Some(first);
        loop {
            let mut group = Vec::new();
            while let Some(message) = next.take() {
                match message {
                    Message::Command(command) => group.push(command),
                    Message::Close(reply) => closing = Some(reply),
                }
                if group.len() < GROUP {
                    next = inbox.try_recv().ok();
                }
            }
            self.shared.room.add_permits(group.len());
            if !group.is_empty() {
                self.carry_out(group);
            }
            match closing.take() {
                None => return ControlFlow::Continue(()),
                Some(reply) => match inbox.try_recv() {
                    // Commands that were queued before the store was closed.
                    Ok(message) => {
                        closing = Some(reply);
                        next = Some(message);
                    }
                    Err(_) => return ControlFlow::Break(reply),
                },
            }
        }
    }

    /// Commits the group and answers every command of it.
    fn carry_out(&mut self, mut group: Vec<Box<dyn Command>>) {
        let together = self.transact(&mut group);
        self.report(together.as_ref().err());
        match together {
            Ok(outcomes) => {
                for (command, outcome) in group.into_iter().zip(outcomes) {
                    command.answer(outcome);
                }
            }
            // What is too much for the disk together may fit in parts.
            Err(StoreError::Full(_)) if group.len() > 1 => self.carry_out_singly(group),
            Err(error) => {
                for command in group {
                    command.answer(Err(error.clone()));
                }
            }
        }
        self.tend_log();
    }

    fn carry_out_singly(&mut self, group: Vec<Box<dyn Command>>) {
        let mut lost = 0;
        let mut hopeless = None;
        for mut command in group {
            let outcome = match &hopeless {
                Some(error) => Err(StoreError::clone(error)),
                None => match self.transact(std::slice::from_mut(&mut command)) {
                    Ok(outcomes) => {
                        lost = 0;
                        outcomes.into_iter().collect()
                    }
                    Err(error) => {
                        lost += 1;
                        if lost >= GIVE_UP_AFTER {
                            hopeless = Some(error.clone());
                        }
                        Err(error)
                    }
                },
            };
            command.answer(outcome);
        }
    }

    /// Runs commands in one transaction. `Err`: nothing of it is on disk.
    fn transact(&mut self, group: &mut [Box<dyn Command>]) -> Result<Vec<Outcome>, StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => connection::writer(&self.location)?,
        };
        let result = run_group(&conn, group);
        let sound = match &result {
            Ok(outcomes) => {
                if outcomes.iter().any(Result::is_ok) {
                    self.shared.commits.fetch_add(1, Ordering::Relaxed);
                    self.dirty = true;
                }
                !outcomes
                    .iter()
                    .any(|outcome| matches!(outcome, Err(StoreError::Corrupt(_) | StoreError::ReadOnly(_))))
            }
            Err(error) => roll_back(&conn) && matches!(error, StoreError::Full(_)),
        };
        self.shared
            .commands
            .fetch_add(u64::try_from(group.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        // A connection that met a failing disk may keep a wrong picture of it: the next group opens the file anew.
        self.conn = sound.then_some(conn);
        result
    }

    /// Logs when writing starts to fail and when it works again.
    fn report(&mut self, error: Option<&StoreError>) {
        match error {
            Some(error) if !self.failing => {
                tracing::error!(target: "store", %error, "writes fail");
            }
            None if self.failing => tracing::info!(target: "store", "writes work again"),
            _ => {}
        }
        self.failing = error.is_some();
    }

    fn tend_log(&mut self) {
        let log = self.measure();
        if log > LONG_LOG && Instant::now() >= self.next_forced_checkpoint {
            self.checkpoint();
            if self.dirty {
                self.next_forced_checkpoint = Instant::now() + CHECKPOINT_PAUSE;
            }
        }
    }

    /// Copies the log into the database and empties it. Waits a moment for readers; if they stay, a later try does it.
    fn checkpoint(&mut self) {
        self.dirty = false;
        let Some(conn) = &self.conn else { return };
        if self.location.journal != Journal::Wal {
            return;
        }
        let attempt = || {
            conn.busy_timeout(CHECKPOINT_WAIT)?;
            let blocked = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            conn.busy_timeout(BUSY_TIMEOUT)?;
            blocked
        };
        match attempt() {
            Ok(blocked) => self.dirty = blocked,
            // A full disk, most likely: the log keeps everything until there is room.
            Err(error) => {
                tracing::debug!(target: "store", %error, "could not empty the log");
                self.dirty = true;
            }
        }
        self.measure();
    }

    /// Notes how much disk is taken; returns the length of the log.
    fn measure(&self) -> u64 {
        let length = |path| fs::metadata(path).map_or(0, |file| file.len());
        let log = length(self.location.log());
        let database = length(self.location.path.clone());
        self.shared.db_bytes.store(database + log, Ordering::Relaxed);
        log
    }
}

/// One transaction around all commands. `Err`: the transaction as a whole failed.
fn run_group(conn: &Connection, group: &mut [Box<dyn Command>]) -> Result<Vec<Outcome>, StoreError> {
    let execute = |sql: &str| conn.prepare_cached(sql)?.execute([]).map(drop);
    let alone = group.len() == 1;
    execute("BEGIN IMMEDIATE")?;
    let mut outcomes = Vec::with_capacity(group.len());
    for command in group {
        if !alone {
            execute("SAVEPOINT command")?;
        }
        let outcome = command.run(conn);
        // Some failures make SQLite end the transaction by itself, with everything that ran before.
        if conn.is_autocommit() {
            let error = StoreError::Failed("the transaction ended early".to_owned());
            return Err(outcome.err().unwrap_or(error));
        }
        match (&outcome, alone) {
            (Ok(()), true) => {}
            (Ok(()), false) => execute("RELEASE command")?,
            (Err(_), true) => execute("ROLLBACK")?,
            (Err(_), false) => {
                execute("ROLLBACK TO command")?;
                execute("RELEASE command")?;
            }
        }
        outcomes.push(outcome);
    }
    if !conn.is_autocommit() {
        execute("COMMIT")?;
    }
    Ok(outcomes)
}

/// Whether no transaction is open any more.
fn roll_back(conn: &Connection) -> bool {
    conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok()
}
