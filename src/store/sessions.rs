//! Session rows: made on first use, changed by turns, patches and resets.
//!
//! A row carries the number and the totals of its present transcript, so that a turn reads no history. Reset and delete
//! leave the old transcript as an archive for [`super::retention`].

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde_json::{Map, Value};

use super::counter::Counter;
use super::retention::DOOMED;
use super::{
    AppendMessage, AppendedMessage, PatchSession, RunState, SessionPage, SessionQuery, SessionRow, StoreError, messages,
};
use crate::base::SessionId;

const DEFAULT_LIMIT: u32 = 100;

macro_rules! columns {
    () => {
        "key, agent_id, session_id, created_at, session_started_at, updated_at, status, aborted_last_run, \
         started_at, ended_at, message_count, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, \
         last_prompt_tokens, provider, model, settings"
    };
}

macro_rules! matching {
    () => {
        " FROM sessions
          WHERE (:agent IS NULL OR agent_id = :agent)
            AND (:since IS NULL OR updated_at >= :since)
            AND (:label IS NULL OR label = :label)
            AND (:search IS NULL OR instr(lower(key), :search) > 0 OR instr(label_folded, :search) > 0)"
    };
}

pub(super) const GET: &str = concat!("SELECT ", columns!(), " FROM sessions WHERE key = :key");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    matching!(),
    " ORDER BY updated_at DESC, number DESC LIMIT :limit OFFSET :offset"
);
const COUNT: &str = concat!("SELECT count(*)", matching!());
pub(super) const HEAD: &str = "
    SELECT number, transcript, session_id, updated_at, message_count,
           input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, settings
    FROM sessions WHERE key = :key";
const INSERT: &str = "
    INSERT INTO sessions (key, agent_id, transcript, session_id, created_at, session_started_at, updated_at)
    VALUES (:key, :agent, :transcript, :session_id, :now, :now, :now)";
pub(super) const STARTED: &str = "
    UPDATE sessions SET status = 'running', aborted_last_run = 0, started_at = :now, ended_at = NULL,
        updated_at = :now, message_count = :count
    WHERE number = :number";
pub(super) const ENDED: &str = "
    UPDATE sessions SET status = :status, aborted_last_run = :aborted, ended_at = :now, updated_at = :now,
        message_count = :count, input_tokens = :input, output_tokens = :output, cache_read_tokens = :cache_read,
        cache_write_tokens = :cache_write, last_prompt_tokens = coalesce(:prompt, last_prompt_tokens),
        provider = coalesce(:provider, provider), model = coalesce(:model, model)
    WHERE number = :number";
pub(super) const DIED: &str = "
    UPDATE sessions SET status = 'failed', aborted_last_run = 1, ended_at = :now
    WHERE key = :key AND status = 'running'";
pub(super) const APPENDED: &str =
    "UPDATE sessions SET updated_at = :now, message_count = :count WHERE number = :number";

/// What a turn needs of a row.
#[derive(Debug)]
pub(super) struct Head {
    pub number: i64,
    pub transcript: i64,
    pub session_id: String,
    pub updated_at_ms: i64,
    pub message_count: u64,
    pub usage: [u64; 4],
    pub settings: Map<String, Value>,
}

/// How a run ended, for the row.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    pub state: RunState,
    pub appended: usize,
    pub usage: [u64; 4],
    pub prompt_tokens: u64,
    pub model: Option<&'a (String, String)>,
    pub now_ms: i64,
}

pub(super) fn head(conn: &Connection, key: &str) -> Result<Option<Head>, StoreError> {
    let head = conn
        .prepare_cached(HEAD)?
        .query_row(named_params! { ":key": key }, |row| {
            Ok(Head {
                number: row.get(0)?,
                transcript: row.get(1)?,
                session_id: row.get(2)?,
                updated_at_ms: row.get(3)?,
                message_count: row.get::<_, Counter>(4)?.0,
                usage: counters(row, 5)?,
                settings: decode(row, 9)?,
            })
        })
        .optional()?;
    Ok(head)
}

/// The session's row, made if missing; the flag says so.
pub(super) fn ensure(conn: &Connection, key: &str, agent_id: &str, now_ms: i64) -> Result<(Head, bool), StoreError> {
    if let Some(head) = head(conn, key)? {
        return Ok((head, false));
    }
    let (transcript, session_id) = new_transcript(conn, key)?;
    conn.prepare_cached(INSERT)?.execute(named_params! {
        ":key": key, ":agent": agent_id, ":transcript": transcript, ":session_id": session_id, ":now": now_ms,
    })?;
    let head = Head {
        number: conn.last_insert_rowid(),
        transcript,
        session_id,
        updated_at_ms: now_ms,
        message_count: 0,
        usage: [0; 4],
        settings: Map::new(),
    };
    Ok((head, true))
}

fn new_transcript(conn: &Connection, key: &str) -> Result<(i64, String), StoreError> {
    let session_id = SessionId::random().to_string();
    conn.prepare_cached("INSERT INTO transcripts (session_id, session_key) VALUES (:id, :key)")?
        .execute(named_params! { ":id": session_id, ":key": key })?;
    Ok((conn.last_insert_rowid(), session_id))
}

/// Notes that a run began and that the transcript has `count` messages now.
pub(super) fn started(conn: &Connection, head: &Head, count: u64, now_ms: i64) -> Result<(), StoreError> {
    conn.prepare_cached(STARTED)?.execute(named_params! {
        ":number": head.number, ":count": Counter(count), ":now": now_ms,
    })?;
    Ok(())
}

/// Notes how a run ended and adds what it used.
pub(super) fn ended(conn: &Connection, head: &Head, ending: &Ending<'_>) -> Result<(), StoreError> {
    let status = match ending.state {
        RunState::Ok => "done",
        RunState::Aborted => "killed",
        RunState::TimedOut => "timeout",
        RunState::Error | RunState::Interrupted | RunState::Accepted | RunState::Running => "failed",
    };
    let aborted = matches!(ending.state, RunState::Aborted | RunState::Interrupted);
    let [input, output, cache_read, cache_write] = head.usage;
    let [more_input, more_output, more_read, more_write] = ending.usage;
    // A run that was stopped before the provider counted says nothing about the size of the prompt.
    let prompt = Some(ending.prompt_tokens).filter(|prompt| *prompt > 0);
    conn.prepare_cached(ENDED)?.execute(named_params! {
        ":number": head.number,
        ":status": status,
        ":aborted": aborted,
        ":now": ending.now_ms,
        ":count": Counter(head.message_count.saturating_add(count(ending.appended))),
        ":input": Counter(input.saturating_add(more_input)),
        ":output": Counter(output.saturating_add(more_output)),
        ":cache_read": Counter(cache_read.saturating_add(more_read)),
        ":cache_write": Counter(cache_write.saturating_add(more_write)),
        ":prompt": prompt.map(Counter),
        ":provider": ending.model.map(|(provider, _)| provider),
        ":model": ending.model.map(|(_, model)| model),
    })?;
    Ok(())
}

/// A `usize` as a count.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Notes that the process died while a run of the session was at work.
pub(super) fn died(conn: &Connection, key: &str, now_ms: i64) -> Result<(), StoreError> {
    conn.prepare_cached(DIED)?
        .execute(named_params! { ":key": key, ":now": now_ms })?;
    Ok(())
}

pub(super) fn append(conn: &Connection, append: &AppendMessage) -> Result<AppendedMessage, StoreError> {
    let (head, _) = ensure(conn, &append.session_key, &append.agent_id, append.now_ms)?;
    let message = std::slice::from_ref(&append.message);
    let appended = messages::append(conn, head.transcript, head.message_count, None, message, append.now_ms)?;
    conn.prepare_cached(APPENDED)?.execute(named_params! {
        ":number": head.number, ":count": Counter(head.message_count.saturating_add(1)), ":now": append.now_ms,
    })?;
    appended
        .into_iter()
        .next()
        .ok_or_else(|| StoreError::Failed("the message was not appended".to_owned()))
}

pub(super) fn get(conn: &Connection, key: &str) -> Result<Option<SessionRow>, StoreError> {
    let row = conn
        .prepare_cached(GET)?
        .query_row(named_params! { ":key": key }, session_row)
        .optional()?;
    Ok(row)
}

/// The row of a session that was just written.
fn present(conn: &Connection, key: &str) -> Result<SessionRow, StoreError> {
    get(conn, key)?.ok_or_else(|| StoreError::Corrupt(format!("session {key} has no row")))
}

pub(super) fn list(conn: &Connection, query: &SessionQuery) -> Result<SessionPage, StoreError> {
    let search = query.search.as_ref().map(|text| text.to_lowercase());
    let limit = if query.limit == 0 { DEFAULT_LIMIT } else { query.limit };
    let total: Counter = conn.prepare_cached(COUNT)?.query_row(
        named_params! {
            ":agent": query.agent_id, ":since": query.active_since_ms, ":label": query.label, ":search": search,
        },
        |row| row.get(0),
    )?;
    let rows = conn
        .prepare_cached(LIST)?
        .query_map(
            named_params! {
                ":agent": query.agent_id, ":since": query.active_since_ms, ":label": query.label, ":search": search,
                ":limit": limit, ":offset": query.offset,
            },
            session_row,
        )?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SessionPage { rows, total: total.0 })
}

pub(super) fn patch(conn: &Connection, patch: &PatchSession) -> Result<SessionRow, StoreError> {
    let (head, _) = ensure(conn, &patch.key, &patch.agent_id, patch.now_ms)?;
    let mut row = present(conn, &patch.key)?;
    for (name, value) in &patch.patch {
        if value.is_null() {
            row.settings.shift_remove(name);
        } else {
            row.settings.insert(name.clone(), value.clone());
        }
    }
    row.updated_at_ms = patch.now_ms;
    let label = row.settings.get("label").and_then(Value::as_str);
    conn.prepare_cached(
        "UPDATE sessions SET settings = :settings, label = :label, label_folded = :folded, updated_at = :now
         WHERE number = :number",
    )?
    .execute(named_params! {
        ":number": head.number,
        ":settings": encode(&row.settings)?,
        ":label": label,
        ":folded": label.map(str::to_lowercase),
        ":now": patch.now_ms,
    })?;
    Ok(row)
}

pub(super) fn reset(conn: &Connection, key: &str, agent_id: &str, now_ms: i64) -> Result<SessionRow, StoreError> {
    let (head, created) = ensure(conn, key, agent_id, now_ms)?;
    if !created {
        archive(conn, head.transcript, now_ms)?;
        let (transcript, session_id) = new_transcript(conn, key)?;
        conn.prepare_cached(
            "UPDATE sessions SET transcript = :transcript, session_id = :session_id, session_started_at = :now,
                updated_at = :now, status = NULL, aborted_last_run = 0, started_at = NULL, ended_at = NULL,
                message_count = 0, input_tokens = 0, output_tokens = 0, cache_read_tokens = 0,
                cache_write_tokens = 0, last_prompt_tokens = 0
             WHERE number = :number",
        )?
        .execute(named_params! {
            ":number": head.number, ":transcript": transcript, ":session_id": session_id, ":now": now_ms,
        })?;
    }
    present(conn, key)
}

/// Removes the row; its transcript becomes an archive, or all its transcripts are marked for removal.
pub(super) fn delete(conn: &Connection, key: &str, delete_messages: bool) -> Result<bool, StoreError> {
    let Some(head) = head(conn, key)? else {
        return Ok(false);
    };
    conn.prepare_cached("DELETE FROM sessions WHERE number = :number")?
        .execute(named_params! { ":number": head.number })?;
    archive(conn, head.transcript, head.updated_at_ms)?;
    if delete_messages {
        conn.prepare_cached(
            "UPDATE transcripts SET archived_at = :doomed WHERE session_key = :key AND archived_at IS NOT NULL",
        )?
        .execute(named_params! { ":doomed": DOOMED, ":key": key })?;
    }
    Ok(true)
}

fn archive(conn: &Connection, transcript: i64, at_ms: i64) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE transcripts SET archived_at = :at WHERE number = :number")?
        .execute(named_params! { ":number": transcript, ":at": at_ms })?;
    Ok(())
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let provider: Option<String> = row.get(16)?;
    let model: Option<String> = row.get(17)?;
    Ok(SessionRow {
        key: row.get(0)?,
        agent_id: row.get(1)?,
        session_id: row.get(2)?,
        created_at_ms: row.get(3)?,
        session_started_at_ms: row.get(4)?,
        updated_at_ms: row.get(5)?,
        status: row.get(6)?,
        aborted_last_run: row.get(7)?,
        started_at_ms: row.get(8)?,
        ended_at_ms: row.get(9)?,
        message_count: row.get::<_, Counter>(10)?.0,
        usage: counters(row, 11)?,
        last_prompt_tokens: row.get::<_, Counter>(15)?.0,
        model: provider.zip(model),
        settings: decode(row, 18)?,
    })
}

/// Four counters side by side, from column `first` on.
fn counters(row: &Row<'_>, first: usize) -> rusqlite::Result<[u64; 4]> {
    Ok([
        row.get::<_, Counter>(first)?.0,
        row.get::<_, Counter>(first + 1)?.0,
        row.get::<_, Counter>(first + 2)?.0,
        row.get::<_, Counter>(first + 3)?.0,
    ])
}

fn decode(row: &Row<'_>, column: usize) -> rusqlite::Result<Map<String, Value>> {
    let settings: String = row.get(column)?;
    if settings == "{}" {
        return Ok(Map::new());
    }
    serde_json::from_str(&settings).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn encode(settings: &Map<String, Value>) -> Result<String, StoreError> {
    serde_json::to_string(settings).map_err(|error| StoreError::Failed(format!("settings are not JSON: {error}")))
}
