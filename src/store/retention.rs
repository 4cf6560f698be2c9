//! Retention: which sessions and archives go, and their removal in small steps.
//!
//! Removing happens in two strokes. A transcript is marked first (archived at [`DOOMED`], the oldest moment there is),
//! together with the removal of its session row; its messages then go in steps, each a short transaction of its own, so
//! that turns keep flowing in between. What a crash leaves marked is removed by the next pass.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::counter::Counter;
use super::sessions::count;
use super::{Retention, RetentionReport, Store, StoreError, messages, responses};

/// Archive time of a transcript whose messages are being removed.
pub(super) const DOOMED: i64 = i64::MIN;
/// Sessions marked per transaction.
const MARK_GROUP: u64 = 100;
/// Messages removed per transaction.
const PURGE_MESSAGES: u64 = 500;
/// Bytes of messages removed per transaction; big ones cost a page access per page.
const PURGE_BYTES: u64 = 2 * 1024 * 1024;
/// Free pages given back to the file system per transaction.
const VACUUM_PAGES: u32 = 256;

pub(super) const CONDEMN: &str = "
    SELECT number, transcript, updated_at FROM sessions
    WHERE NOT EXISTS (SELECT 1 FROM runs WHERE session_key = sessions.key AND ended_at IS NULL)
    ORDER BY updated_at LIMIT :limit";
pub(super) const NEXT_ARCHIVE: &str = "
    SELECT number FROM transcripts
    WHERE archived_at IS NOT NULL AND archived_at < :before ORDER BY archived_at LIMIT 1";

/// What one step of purging did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purged {
    messages: u64,
    /// Nothing is left to purge.
    done: bool,
}

/// See [`Store::enforce_retention`].
pub(super) async fn enforce(store: &Store, limits: Retention, now_ms: i64) -> Result<RetentionReport, StoreError> {
    let mut report = RetentionReport::default();
    let oldest = limits.max_age_ms.map(|age| now_ms.saturating_sub(age.max(0)));
    loop {
        let marked = store
            .write(move |conn| mark_surplus(conn, oldest, limits.max_entries))
            .await?;
        report.sessions += marked;
        if marked < MARK_GROUP {
            break;
        }
    }
    report.messages += purge(store, oldest.unwrap_or(DOOMED)).await?;
    if let Some(max_bytes) = limits.max_bytes {
        while let Some(sessions) = store.write(move |conn| mark_for_space(conn, max_bytes)).await? {
            report.sessions += sessions;
            report.messages += purge(store, DOOMED).await?;
        }
    }
    while store.write(vacuum).await? {}
    Ok(report)
}

/// Removes the messages of all transcripts that are marked or were archived before `before`; returns how many.
pub(super) async fn purge(store: &Store, before: i64) -> Result<u64, StoreError> {
    let mut messages = 0;
    loop {
        let step = store.write(move |conn| purge_step(conn, before)).await?;
        messages += step.messages;
        if step.done {
            return Ok(messages);
        }
    }
}

/// Marks sessions without activity since `oldest`, and the least active ones beyond `max_entries`. Sessions with open
/// runs stay.
fn mark_surplus(conn: &Connection, oldest: Option<i64>, max_entries: Option<u64>) -> Result<u64, StoreError> {
    if oldest.is_none() && max_entries.is_none() {
        return Ok(0);
    }
    let rows: Counter = conn
        .prepare_cached("SELECT count(*) FROM sessions")?
        .query_row([], |row| row.get(0))?;
    let surplus = max_entries.map_or(0, |most| rows.0.saturating_sub(most));
    let mut marked = 0;
    for (number, transcript, updated_at) in least_active(conn, MARK_GROUP)? {
        let expired = oldest.is_some_and(|oldest| updated_at < oldest);
        if !expired && marked >= surplus {
            break;
        }
        condemn(conn, number, transcript)?;
        marked += 1;
    }
    Ok(marked)
}

/// Marks the oldest archive, or else what was used least recently: a session, or a thread of responses, which goes at
/// once. `None`: the limit is kept, or nothing can go.
fn mark_for_space(conn: &Connection, max_bytes: u64) -> Result<Option<u64>, StoreError> {
    if used_bytes(conn)? <= max_bytes {
        return Ok(None);
    }
    if let Some(archive) = next_archive(conn, i64::MAX)? {
        doom(conn, archive)?;
        return Ok(Some(0));
    }
    let session = least_active(conn, 1)?.pop();
    let thread = responses::least_recent(conn)?;
    match (session, thread) {
        (Some((.., used_at)), Some((thread, touched_at))) if touched_at < used_at => {
            responses::forget_thread(conn, thread)?;
            Ok(Some(0))
        }
        (Some((number, transcript, _)), _) => {
            condemn(conn, number, transcript)?;
            Ok(Some(1))
        }
        (None, Some((thread, _))) => {
            responses::forget_thread(conn, thread)?;
            Ok(Some(0))
        }
        (None, None) => Ok(None),
    }
}

fn least_active(conn: &Connection, limit: u64) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let sessions = conn
        .prepare_cached(CONDEMN)?
        .query_map(named_params! { ":limit": Counter(limit) }, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(sessions)
}

fn condemn(conn: &Connection, number: i64, transcript: i64) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM sessions WHERE number = :number")?
        .execute(named_params! { ":number": number })?;
    doom(conn, transcript)
}

fn doom(conn: &Connection, transcript: i64) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE transcripts SET archived_at = :doomed WHERE number = :number")?
        .execute(named_params! { ":doomed": DOOMED, ":number": transcript })?;
    Ok(())
}

fn next_archive(conn: &Connection, before: i64) -> Result<Option<i64>, StoreError> {
    let number = conn
        .prepare_cached(NEXT_ARCHIVE)?
        .query_row(named_params! { ":before": before }, |row| row.get(0))
        .optional()?;
    Ok(number)
}

/// Removes some messages of one archive, oldest first, and the archive itself with its last message.
fn purge_step(conn: &Connection, before: i64) -> Result<Purged, StoreError> {
    // Marked transcripts go in any case, hence at least the moment after the mark.
    let Some(transcript) = next_archive(conn, before.max(DOOMED + 1))? else {
        return Ok(Purged {
            messages: 0,
            done: true,
        });
    };
    // Marked, so that a late answer does not grow it again while it shrinks.
    doom(conn, transcript)?;
    let first = messages::place(transcript, 0)?;
    let end = messages::place(transcript.saturating_add(1), 0)?;
    let mut bytes = 0_u64;
    let mut last = None;
    {
        let mut statement = conn.prepare_cached(
            "SELECT place, octet_length(body) FROM messages
             WHERE place > :first AND place < :end ORDER BY place LIMIT :limit",
        )?;
        let mut rows =
            statement.query(named_params! { ":first": first, ":end": end, ":limit": Counter(PURGE_MESSAGES) })?;
        while bytes < PURGE_BYTES
            && let Some(row) = rows.next()?
        {
            last = Some(row.get::<_, i64>(0)?);
            bytes = bytes.saturating_add(row.get::<_, Counter>(1)?.0);
        }
    }
    let removed = match last {
        Some(last) => conn
            .prepare_cached("DELETE FROM messages WHERE place > :first AND place <= :last")?
            .execute(named_params! { ":first": first, ":last": last })?,
        None => 0,
    };
    if messages::last(conn, transcript)? == 0 {
        conn.prepare_cached("DELETE FROM transcripts WHERE number = :number")?
            .execute(named_params! { ":number": transcript })?;
    }
    Ok(Purged {
        messages: count(removed),
        done: false,
    })
}

/// Bytes of pages that hold something.
fn used_bytes(conn: &Connection) -> Result<u64, StoreError> {
    let bytes: Counter = conn
        .prepare_cached(
            "SELECT (page_count - freelist_count) * page_size
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(bytes.0)
}

/// Gives some free pages back to the file system; says whether there are more.
fn vacuum(conn: &Connection) -> Result<bool, StoreError> {
    let free = || conn.query_row("PRAGMA freelist_count", [], |row| row.get::<_, u32>(0));
    let before = free()?;
    if before == 0 {
        return Ok(false);
    }
    // Each step of the statement moves one page.
    let mut statement = conn.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let after = free()?;
    // A file from elsewhere may not be able to shrink; then there is no use in going on.
    Ok(after > 0 && after < before)
}
