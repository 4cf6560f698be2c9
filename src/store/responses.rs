//! Stored responses, by id and by thread.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::counter::Counter;
use super::sessions::count;
use super::{ResponseChain, ResponseRetention, StoreError, StoredResponse};

/// Most responses of a chain that one request may load.
const MAX_CHAIN: usize = 1_000;
/// Most bytes of a chain that one request may load.
const MAX_CHAIN_BYTES: usize = 64 * 1024 * 1024;

const GET: &str = "
    SELECT id, owner, agent_id, previous, input, body FROM responses WHERE id = :id AND owner = :owner";
const PUT: &str = "
    INSERT INTO responses (id, thread, owner, agent_id, previous, created_at, input, body)
    VALUES (:id, :thread, :owner, :agent_id, :previous, :now, :input, :body)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body";
/// The thread that was continued least recently, if it is older than `before` or all threads together are too large.
pub(super) const SURPLUS: &str = "
    SELECT number FROM response_threads
    WHERE touched_at < :before OR (SELECT total(bytes) FROM response_threads) > :max_bytes
    ORDER BY touched_at LIMIT 1";

pub(super) fn get(conn: &Connection, owner: &str, id: &str) -> Result<Option<StoredResponse>, StoreError> {
    let found = conn
        .prepare_cached(GET)?
        .query_row(named_params! { ":id": id, ":owner": owner }, stored)
        .optional()?;
    Ok(found)
}

pub(super) fn chain(conn: &Connection, owner: &str, id: &str) -> Result<ResponseChain, StoreError> {
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    let mut next = Some(id.to_owned());
    while let Some(id) = next.take() {
        let Some(response) = get(conn, owner, &id)? else {
            return Ok(ResponseChain::Missing(id));
        };
        bytes = bytes.saturating_add(response.input.len() + response.body.len());
        if found.len() == MAX_CHAIN || bytes > MAX_CHAIN_BYTES {
            return Ok(ResponseChain::TooLong);
        }
        next.clone_from(&response.previous);
        found.push(response);
    }
    found.reverse();
    Ok(ResponseChain::Whole(found))
}

pub(super) fn put(conn: &Connection, response: &StoredResponse, now_ms: i64) -> Result<(), StoreError> {
    let known = thread_of(conn, &response.id)?;
    let before: u64 = match known {
        None => 0,
        Some(_) => weight(conn, &response.id)?,
    };
    let joined = match (known, &response.previous) {
        (Some(thread), _) => Some(thread),
        (None, Some(previous)) => thread_of(conn, previous)?,
        (None, None) => None,
    };
    let thread = match joined {
        Some(thread) => thread,
        None => {
            conn.prepare_cached("INSERT INTO response_threads (touched_at) VALUES (:now)")?
                .execute(named_params! { ":now": now_ms })?;
            conn.last_insert_rowid()
        }
    };
    conn.prepare_cached(PUT)?.execute(named_params! {
        ":id": response.id,
        ":thread": thread,
        ":owner": response.owner,
        ":agent_id": response.agent_id,
        ":previous": response.previous,
        ":now": now_ms,
        ":input": response.input,
        ":body": response.body,
    })?;
    let after = weight(conn, &response.id)?;
    conn.prepare_cached(
        "UPDATE response_threads SET touched_at = max(touched_at, :now), bytes = bytes - :before + :after
         WHERE number = :thread",
    )?
    .execute(named_params! {
        ":now": now_ms, ":before": Counter(before), ":after": Counter(after), ":thread": thread,
    })?;
    Ok(())
}

pub(super) fn delete(conn: &Connection, owner: &str, id: &str) -> Result<bool, StoreError> {
    if get(conn, owner, id)?.is_none() {
        return Ok(false);
    }
    let (thread, bytes) = (thread_of(conn, id)?, weight(conn, id)?);
    conn.prepare_cached("DELETE FROM responses WHERE id = :id")?
        .execute(named_params! { ":id": id })?;
    conn.prepare_cached("UPDATE response_threads SET bytes = bytes - :bytes WHERE number = :thread")?
        .execute(named_params! { ":bytes": Counter(bytes), ":thread": thread })?;
    conn.prepare_cached(
        "DELETE FROM response_threads
         WHERE number = :thread AND NOT EXISTS (SELECT 1 FROM responses WHERE thread = :thread)",
    )?
    .execute(named_params! { ":thread": thread })?;
    Ok(true)
}

/// Forgets one thread that is beyond the limits; `None`: all are within.
pub(super) fn prune(conn: &Connection, limits: ResponseRetention, now_ms: i64) -> Result<Option<u64>, StoreError> {
    let surplus: Option<i64> = conn
        .prepare_cached(SURPLUS)?
        .query_row(
            named_params! {
                ":before": now_ms.saturating_sub(limits.max_age_ms.max(0)),
                ":max_bytes": Counter(limits.max_bytes),
            },
            |row| row.get(0),
        )
        .optional()?;
    match surplus {
        Some(thread) => forget_thread(conn, thread).map(Some),
        None => Ok(None),
    }
}

/// The thread that was continued least recently, with when that was.
pub(super) fn least_recent(conn: &Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let thread = conn
        .prepare_cached("SELECT number, touched_at FROM response_threads ORDER BY touched_at LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(thread)
}

/// Removes a thread with its responses; returns how many.
pub(super) fn forget_thread(conn: &Connection, thread: i64) -> Result<u64, StoreError> {
    let removed = conn
        .prepare_cached("DELETE FROM responses WHERE thread = :thread")?
        .execute(named_params! { ":thread": thread })?;
    conn.prepare_cached("DELETE FROM response_threads WHERE number = :thread")?
        .execute(named_params! { ":thread": thread })?;
    Ok(count(removed))
}

fn thread_of(conn: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    let thread = conn
        .prepare_cached("SELECT thread FROM responses WHERE id = :id")?
        .query_row(named_params! { ":id": id }, |row| row.get(0))
        .optional()?;
    Ok(thread)
}

fn weight(conn: &Connection, id: &str) -> Result<u64, StoreError> {
    let bytes: Counter = conn
        .prepare_cached("SELECT octet_length(input) + octet_length(body) FROM responses WHERE id = :id")?
        .query_row(named_params! { ":id": id }, |row| row.get(0))?;
    Ok(bytes.0)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredResponse> {
    Ok(StoredResponse {
        id: row.get(0)?,
        owner: row.get(1)?,
        agent_id: row.get(2)?,
        previous: row.get(3)?,
        input: row.get(4)?,
        body: row.get(5)?,
    })
}
