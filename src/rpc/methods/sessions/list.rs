//! `sessions.list` and `sessions.describe`.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::changed::state_db;
use super::transcript_text;
use crate::base::SessionKey;
use crate::domain::Fault;
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::sessions::{key, rows};
use crate::store::{SessionQuery, SessionRow};
use crate::wire::params::sessions::{SessionsDescribe, SessionsList};

const DEFAULT_LIMIT: u64 = 100;
/// Most rows of one answer.
const MAX_LIMIT: u64 = 10_000;
/// Most rows of one answer that get texts from their transcripts.
const MAX_TEXTS: usize = 100;
const MS_PER_MINUTE: u64 = 60_000;

pub(super) async fn list(ctx: RequestCtx, params: SessionsList) -> MethodResult {
    let now_ms = ctx.services.clock.now_ms();
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let offset = params.offset.unwrap_or(0);
    let agent = params.agent_id.as_deref().map(key::agent_id);
    let query = SessionQuery {
        agent_id: agent.as_ref().map(ToString::to_string),
        active_since_ms: params.active_minutes.map(|minutes| {
            let back = i64::try_from(minutes.saturating_mul(MS_PER_MINUTE)).unwrap_or(i64::MAX);
            now_ms.saturating_sub(back)
        }),
        search: params.search.clone().filter(|text| !text.trim().is_empty()),
        label: params.label.clone(),
        offset: 0,
        limit: 0,
    };
    let page = page(&ctx, &params, query, offset, limit).await?;
    let returned = page.rows.len() as u64;
    let next_offset = offset + page.read;
    let has_more = next_offset < page.total && page.read > 0;
    let active: HashSet<SessionKey> = ctx.services.runs.active().sessions.into_iter().collect();
    let wanted = Texts {
        title: params.include_derived_titles == Some(true),
        last: params.include_last_message == Some(true),
    };
    let mut sessions = Vec::with_capacity(page.rows.len());
    for (index, row) in page.rows.iter().enumerate() {
        let mut view = rows::row_map(row, &ctx.live.snapshot, &ctx.live.models);
        view.insert("hasActiveRun".to_owned(), active.contains(row.key.as_str()).into());
        if index < MAX_TEXTS {
            wanted.add(&ctx, row, &mut view).await?;
        }
        sessions.push(Value::Object(view));
    }
    let defaults_of = agent.unwrap_or_else(|| ctx.live.snapshot.default_agent().clone());
    let mut answer = json!({
        "ts": now_ms,
        "path": state_db(&ctx).display().to_string(),
        "count": returned,
        "totalCount": page.total,
        "limitApplied": limit,
        "hasMore": has_more,
        "defaults": rows::defaults(&defaults_of, &ctx.live.snapshot, &ctx.live.models),
        "sessions": sessions,
    });
    if ctx.conn.protocol >= 4
        && let Some(map) = answer.as_object_mut()
    {
        let next = has_more.then_some(next_offset);
        map.insert("nextOffset".to_owned(), json!(next));
    }
    payload(&answer)
}

pub(super) async fn describe(ctx: RequestCtx, params: SessionsDescribe) -> MethodResult {
    let target = Target::of(&ctx, &params.key, params.agent_id.as_deref())?;
    let row = ctx
        .services
        .store
        .session(target.key.as_str())
        .await
        .map_err(store_fault)?;
    let Some(row) = row else {
        return payload(&json!({ "session": null }));
    };
    let mut view = rows::row_map(&row, &ctx.live.snapshot, &ctx.live.models);
    let active = ctx.services.runs.active().sessions.contains(&target.key);
    view.insert("hasActiveRun".to_owned(), active.into());
    let wanted = Texts {
        title: params.include_derived_titles == Some(true),
        last: params.include_last_message == Some(true),
    };
    wanted.add(&ctx, &row, &mut view).await?;
    payload(&json!({ "session": view }))
}

/// Rows to show.
struct Page {
    rows: Vec<SessionRow>,
    /// How far the list was read; more than `rows` if some of them are not shown.
    read: u64,
    total: u64,
}

/// What storage can filter it pages itself; the rest is filtered here, over a bounded number of rows.
async fn page(
    ctx: &RequestCtx,
    params: &SessionsList,
    query: SessionQuery,
    offset: u64,
    limit: u64,
) -> Result<Page, Fault> {
    let store = &ctx.services.store;
    let archived = Archived::of(ctx.conn.protocol, params.archived.as_ref());
    if params.spawned_by.is_none() && archived != Archived::Only {
        let query = SessionQuery {
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            ..query
        };
        let found = store.sessions(query).await.map_err(store_fault)?;
        return Ok(Page {
            read: found.rows.len() as u64,
            total: found.total,
            rows: found.rows.into_iter().filter(|row| archived.shows(row)).collect(),
        });
    }
    let spawner = match &params.spawned_by {
        Some(text) => Some(Target::of(ctx, text, params.agent_id.as_deref())?.key),
        None => None,
    };
    let query = SessionQuery {
        limit: u32::try_from(MAX_LIMIT).unwrap_or(u32::MAX),
        ..query
    };
    let found = store.sessions(query).await.map_err(store_fault)?;
    let by = |row: &SessionRow| row.settings.get("spawnedBy").and_then(Value::as_str).map(str::to_owned);
    let rows: Vec<SessionRow> = found
        .rows
        .into_iter()
        .filter(|row| archived.shows(row))
        .filter(|row| {
            spawner
                .as_ref()
                .is_none_or(|spawner| by(row).as_deref() == Some(spawner.as_str()))
        })
        .collect();
    Ok(cut(rows, offset, limit))
}

fn cut(rows: Vec<SessionRow>, offset: u64, limit: u64) -> Page {
    let total = rows.len() as u64;
    let (offset, limit) = (
        usize::try_from(offset).unwrap_or(usize::MAX),
        usize::try_from(limit).unwrap_or(usize::MAX),
    );
    let rows: Vec<SessionRow> = rows.into_iter().skip(offset).take(limit).collect();
    Page {
        read: rows.len() as u64,
        total,
        rows,
    }
}

/// Which sessions are shown, as to their being put away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archived {
    Shown,
    Hidden,
    Only,
}

impl Archived {
    /// Protocol 3 knows no archive and sees everything.
    fn of(protocol: u8, asked: Option<&Value>) -> Self {
        match asked {
            Some(Value::Bool(true)) => Self::Only,
            Some(Value::String(_)) => Self::Shown,
            _ if protocol < 4 => Self::Shown,
            _ => Self::Hidden,
        }
    }

    fn shows(self, row: &SessionRow) -> bool {
        let archived = row.settings.get("archived").and_then(Value::as_bool).unwrap_or(false);
        match self {
            Self::Shown => true,
            Self::Hidden => !archived,
            Self::Only => archived,
        }
    }
}

/// Texts that a caller asked for.
#[derive(Debug, Clone, Copy)]
struct Texts {
    title: bool,
    last: bool,
}

impl Texts {
    async fn add(self, ctx: &RequestCtx, row: &SessionRow, view: &mut Map<String, Value>) -> Result<(), Fault> {
        if row.message_count == 0 {
            return Ok(());
        }
        if self.title
            && let Some(title) = transcript_text::title(ctx, &row.key).await?
        {
            view.insert("derivedTitle".to_owned(), title.into());
        }
        if self.last
            && let Some(last) = transcript_text::last_message(ctx, &row.key).await?
        {
            view.insert("lastMessagePreview".to_owned(), last.into());
        }
        Ok(())
    }
}
