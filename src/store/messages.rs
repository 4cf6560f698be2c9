//! Messages of transcripts: appending and paging.
//!
//! Does not know sessions' totals; whoever appends counts.

use rusqlite::{CachedStatement, Connection, OptionalExtension, named_params};

use super::counter::Counter;
use super::{AppendedMessage, NewMessage, StoreError, StoredMessage};

/// Bits of a place that hold the sequence number.
const SEQ_BITS: u32 = 32;
/// First number that is no sequence number any more.
const SEQ_END: u64 = 1 << SEQ_BITS;

/// The newest messages of a session below a sequence number, newest first.
pub(super) const PAGE: &str = "
    SELECT m.id, m.place & 4294967295, m.role, m.body, m.run_id, m.created_at
    FROM sessions AS s CROSS JOIN messages AS m
    WHERE s.key = :key
      AND m.place > (s.transcript << 32) AND m.place < (s.transcript << 32) + :before
    ORDER BY m.place DESC LIMIT :limit";
/// The last message of a transcript.
pub(super) const LAST: &str = "
    SELECT place & 4294967295 FROM messages
    WHERE place > :first AND place < :end ORDER BY place DESC LIMIT 1";
const INSERT: &str = "
    INSERT INTO messages (place, id, role, run_id, created_at, body)
    VALUES (:place, :id, :role, :run_id, :created_at, :body)";

/// Where message `seq` of a transcript is.
pub(super) fn place(transcript: i64, seq: u64) -> Result<i64, StoreError> {
    let start = transcript.checked_mul(1 << SEQ_BITS);
    i64::try_from(seq)
        .ok()
        .filter(|_| seq < SEQ_END)
        .and_then(|seq| start?.checked_add(seq))
        .ok_or_else(|| StoreError::Failed("the session has no room for more messages; reset it".to_owned()))
}

/// Appends behind message number `last` of the transcript.
pub(super) fn append(
    conn: &Connection,
    transcript: i64,
    last: u64,
    run_id: Option<&str>,
    messages: &[NewMessage],
    now_ms: i64,
) -> Result<Vec<AppendedMessage>, StoreError> {
    let mut insert = conn.prepare_cached(INSERT)?;
    let mut appended = Vec::with_capacity(messages.len());
    for (message, seq) in messages.iter().zip(last.saturating_add(1)..) {
        let id = format!("{:016x}", rand::random::<u64>());
        insert.execute(named_params! {
            ":place": place(transcript, seq)?,
            ":id": id,
            ":role": message.role,
            ":run_id": run_id,
            ":created_at": now_ms,
            ":body": message.body,
        })?;
        appended.push(AppendedMessage { id, seq });
    }
    Ok(appended)
}

/// Number of the last message of a transcript; 0 if there is none.
pub(super) fn last(conn: &Connection, transcript: i64) -> Result<u64, StoreError> {
    let last = conn
        .prepare_cached(LAST)?
        .query_row(
            named_params! { ":first": place(transcript, 0)?, ":end": place(transcript.saturating_add(1), 0)? },
            |row| row.get::<_, Counter>(0),
        )
        .optional()?;
    Ok(last.map_or(0, |seq| seq.0))
}

/// Up to `limit` newest messages before `before_seq`, oldest first.
pub(super) fn page(
    conn: &Connection,
    session_key: &str,
    before_seq: Option<u64>,
    limit: u32,
) -> Result<Vec<StoredMessage>, StoreError> {
    run_page(&mut conn.prepare_cached(PAGE)?, session_key, before_seq, limit)
}

/// [`page`] on a prepared [`PAGE`].
pub(super) fn run_page(
    statement: &mut CachedStatement<'_>,
    session_key: &str,
    before_seq: Option<u64>,
    limit: u32,
) -> Result<Vec<StoredMessage>, StoreError> {
    let before = before_seq.unwrap_or(SEQ_END).min(SEQ_END);
    let rows = statement.query_map(
        named_params! { ":key": session_key, ":before": Counter(before), ":limit": limit },
        |row| {
            Ok(StoredMessage {
                id: row.get(0)?,
                seq: row.get::<_, Counter>(1)?.0,
                role: row.get(2)?,
                body: row.get(3)?,
                run_id: row.get(4)?,
                created_at_ms: row.get(5)?,
            })
        },
    )?;
    let mut messages = rows.collect::<Result<Vec<_>, _>>()?;
    messages.reverse();
    Ok(messages)
}
