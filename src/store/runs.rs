//! Runs: accepted once per id, begun once, ended once, whatever is repeated or crashes in between.
//!
//! The run's id is its idempotency key. A run is open (`ended_at` is null) exactly while it is accepted or running.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::sessions::{self, Ending};
use super::{
    AcceptOutcome, AppendedMessage, BeganRun, BeginRun, FinishRun, FinishedRun, NewRun, Recovery, RunState, StoreError,
    StoredRun, messages,
};
use crate::store::retention::DOOMED;

macro_rules! columns {
    () => {
        "run_id, session_key, agent_id, source, state, request, accepted_at, started_at, ended_at, error, \
         stop_reason, result"
    };
}

pub(super) const GET: &str = concat!("SELECT ", columns!(), " FROM runs WHERE run_id = :run_id");
pub(super) const OPEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM runs WHERE ended_at IS NULL ORDER BY +position"
);
pub(super) const HEAD: &str =
    "SELECT position, state, transcript, session_key, agent_id FROM runs WHERE run_id = :run_id";
const INSERT: &str = "
    INSERT INTO runs (run_id, session_key, agent_id, source, state, transcript, accepted_at, started_at, request)
    VALUES (:run_id, :session_key, :agent_id, :source, :state, :transcript, :accepted_at, :started_at, :request)";
pub(super) const BEGUN: &str = "
    UPDATE runs SET state = 'running', transcript = :transcript, started_at = :now WHERE position = :position";
pub(super) const ENDED: &str = "
    UPDATE runs SET state = :state, ended_at = :now, error = :error, stop_reason = :stop_reason, result = :result,
        request = ''
    WHERE position = :position";
pub(super) const DIED: &str = "
    UPDATE runs SET state = 'interrupted', ended_at = :now, error = :error, request = '' WHERE run_id = :run_id";
pub(super) const TRANSCRIPT: &str = "SELECT session_id, archived_at FROM transcripts WHERE number = :number";

/// Error text of a run whose process died.
const INTERRUPTED: &str = "interrupted by a gateway restart";
/// Runs forgotten per transaction.
const PRUNE_GROUP: u32 = 500;

struct Head {
    position: i64,
    state: RunState,
    transcript: Option<i64>,
    session_key: String,
    agent_id: String,
}

pub(super) fn get(conn: &Connection, run_id: &str) -> Result<Option<StoredRun>, StoreError> {
    let run = conn
        .prepare_cached(GET)?
        .query_row(named_params! { ":run_id": run_id }, stored_run)
        .optional()?;
    Ok(run)
}

fn head(conn: &Connection, run_id: &str) -> Result<Head, StoreError> {
    conn.prepare_cached(HEAD)?
        .query_row(named_params! { ":run_id": run_id }, |row| {
            Ok(Head {
                position: row.get(0)?,
                state: state(row, 1)?,
                transcript: row.get(2)?,
                session_key: row.get(3)?,
                agent_id: row.get(4)?,
            })
        })
        .optional()?
        .ok_or_else(|| StoreError::Failed(format!("run {run_id} is unknown; accept it first")))
}

pub(super) fn accept(conn: &Connection, run: &NewRun, begin: Option<&BeginRun>) -> Result<AcceptOutcome, StoreError> {
    if let Some(known) = get(conn, &run.run_id)? {
        return Ok(AcceptOutcome::Known(Box::new(known)));
    }
    if let Some(allowed) = run.send_allowed
        && !may_send(conn, &run.session_key, allowed)?
    {
        return Ok(AcceptOutcome::Denied);
    }
    let began = begin.map(|begin| start(conn, &run.run_id, begin)).transpose()?;
    let state = if began.is_some() {
        RunState::Running
    } else {
        RunState::Accepted
    };
    conn.prepare_cached(INSERT)?.execute(named_params! {
        ":run_id": run.run_id,
        ":session_key": run.session_key,
        ":agent_id": run.agent_id,
        ":source": run.source,
        ":state": state.as_str(),
        ":transcript": began.as_ref().map(|(transcript, _)| transcript),
        ":accepted_at": run.now_ms,
        ":started_at": began.as_ref().and(begin).map(|begin| begin.now_ms),
        ":request": run.request,
    })?;
    Ok(AcceptOutcome::New {
        began: began.map(|(_, began)| began),
    })
}

fn may_send(conn: &Connection, session_key: &str, allowed: bool) -> Result<bool, StoreError> {
    let row = sessions::head(conn, session_key)?;
    let own = row.as_ref().and_then(|row| row.settings.get("sendPolicy")?.as_str());
    Ok(match own {
        Some("deny") => false,
        Some("allow") => true,
        _ => allowed,
    })
}

pub(super) fn begin(conn: &Connection, begin: &BeginRun) -> Result<BeganRun, StoreError> {
    let run = head(conn, &begin.run_id)?;
    if run.state.is_terminal() {
        return Err(StoreError::Failed(format!(
            "run {} has ended ({}) and cannot begin again",
            begin.run_id,
            run.state.as_str()
        )));
    }
    if let Some(transcript) = run.transcript {
        let (session_id, _) = transcript_row(conn, transcript)?
            .ok_or_else(|| StoreError::Failed(format!("the session of run {} was deleted", begin.run_id)))?;
        return Ok(BeganRun {
            session_id,
            session_created: false,
            messages: Vec::new(),
            settings: serde_json::Map::new(),
        });
    }
    let (transcript, began) = start(conn, &begin.run_id, begin)?;
    conn.prepare_cached(BEGUN)?.execute(named_params! {
        ":position": run.position, ":transcript": transcript, ":now": begin.now_ms,
    })?;
    Ok(began)
}

/// The session's side of a beginning; also tells in which transcript.
fn start(conn: &Connection, run_id: &str, begin: &BeginRun) -> Result<(i64, BeganRun), StoreError> {
    let (session, session_created) = sessions::ensure(conn, &begin.session_key, &begin.agent_id, begin.now_ms)?;
    let appended = messages::append(
        conn,
        session.transcript,
        session.message_count,
        Some(run_id),
        &begin.messages,
        begin.now_ms,
    )?;
    let count = session.message_count.saturating_add(sessions::count(appended.len()));
    sessions::started(conn, &session, count, begin.now_ms)?;
    let began = BeganRun {
        session_id: session.session_id,
        session_created,
        messages: appended,
        settings: session.settings,
    };
    Ok((session.transcript, began))
}

pub(super) fn finish(conn: &Connection, finish: &FinishRun) -> Result<FinishedRun, StoreError> {
    if !finish.state.is_terminal() {
        return Err(StoreError::Failed(format!(
            "a run cannot end as {}",
            finish.state.as_str()
        )));
    }
    let run = head(conn, &finish.run_id)?;
    if run.state.is_terminal() {
        return Ok(FinishedRun::default());
    }
    let messages = end_in_session(conn, finish, &run)?;
    conn.prepare_cached(ENDED)?.execute(named_params! {
        ":position": run.position,
        ":state": finish.state.as_str(),
        ":now": finish.now_ms,
        ":error": finish.error,
        ":stop_reason": finish.stop_reason,
        ":result": finish.result,
    })?;
    Ok(FinishedRun { messages })
}

/// Appends the answer to the transcript in which the run began. The session row only changes if that is still its
/// present one: after a reset the answer belongs to the archive, after a delete to nobody.
fn end_in_session(conn: &Connection, finish: &FinishRun, run: &Head) -> Result<Vec<AppendedMessage>, StoreError> {
    let session = match run.transcript {
        Some(transcript) => sessions::head(conn, &run.session_key)?.filter(|session| session.transcript == transcript),
        // It never began: nothing happened in the session, unless there is something to keep.
        None if finish.messages.is_empty() => return Ok(Vec::new()),
        None => Some(sessions::ensure(conn, &run.session_key, &run.agent_id, finish.now_ms)?.0),
    };
    let append = |transcript, last| {
        messages::append(
            conn,
            transcript,
            last,
            Some(&finish.run_id),
            &finish.messages,
            finish.now_ms,
        )
    };
    match (session, run.transcript) {
        (Some(session), _) => {
            let appended = append(session.transcript, session.message_count)?;
            let ending = Ending {
                state: finish.state,
                appended: appended.len(),
                usage: finish.usage,
                prompt_tokens: finish.prompt_tokens,
                model: finish.model.as_ref(),
                now_ms: finish.now_ms,
            };
            sessions::ended(conn, &session, &ending)?;
            Ok(appended)
        }
        (None, Some(transcript)) => match transcript_row(conn, transcript)? {
            Some((_, Some(archived_at))) if archived_at != DOOMED => {
                append(transcript, messages::last(conn, transcript)?)
            }
            _ => Ok(Vec::new()),
        },
        (None, None) => Ok(Vec::new()),
    }
}

/// Session id and time of archiving of a transcript.
fn transcript_row(conn: &Connection, number: i64) -> Result<Option<(String, Option<i64>)>, StoreError> {
    let row = conn
        .prepare_cached(TRANSCRIPT)?
        .query_row(named_params! { ":number": number }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(row)
}

pub(super) fn recover(conn: &Connection, now_ms: i64) -> Result<Recovery, StoreError> {
    let mut recovery = Recovery::default();
    let open = conn
        .prepare_cached(OPEN)?
        .query_map([], stored_run)?
        .collect::<Result<Vec<_>, _>>()?;
    for mut run in open {
        if run.state != RunState::Running {
            recovery.pending.push(run);
            continue;
        }
        conn.prepare_cached(DIED)?.execute(named_params! {
            ":run_id": run.run_id, ":now": now_ms, ":error": INTERRUPTED,
        })?;
        sessions::died(conn, &run.session_key, now_ms)?;
        run.state = RunState::Interrupted;
        run.ended_at_ms = Some(now_ms);
        run.error = Some(INTERRUPTED.to_owned());
        recovery.interrupted.push(run);
    }
    Ok(recovery)
}

/// Forgets a group of ended runs; returns how many, and whether there may be more.
pub(super) fn prune(conn: &Connection, before_ms: i64) -> Result<(u64, bool), StoreError> {
    let removed = conn
        .prepare_cached(
            "DELETE FROM runs WHERE position IN
                (SELECT position FROM runs WHERE ended_at IS NOT NULL AND ended_at < :before LIMIT :limit)",
        )?
        .execute(named_params! { ":before": before_ms, ":limit": PRUNE_GROUP })?;
    let removed = sessions::count(removed);
    Ok((removed, removed >= u64::from(PRUNE_GROUP)))
}

fn stored_run(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    Ok(StoredRun {
        run_id: row.get(0)?,
        session_key: row.get(1)?,
        agent_id: row.get(2)?,
        source: row.get(3)?,
        state: state(row, 4)?,
        request: row.get(5)?,
        accepted_at_ms: row.get(6)?,
        started_at_ms: row.get(7)?,
        ended_at_ms: row.get(8)?,
        error: row.get(9)?,
        stop_reason: row.get(10)?,
        result: row.get(11)?,
    })
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<RunState> {
    let text: String = row.get(column)?;
    RunState::parse(&text).ok_or_else(|| rusqlite::Error::InvalidColumnType(column, "state".to_owned(), Type::Text))
}
