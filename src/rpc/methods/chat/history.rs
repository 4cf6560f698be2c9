//! `chat.history` and `chat.startup`: the newest messages of a session, within a byte budget.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::rpc::methods::store_fault;
use crate::rpc::methods::target::Target;
use crate::sessions::{rows, transcript};
use crate::store::{SessionRow, StoredMessage};
use crate::wire::params::chat::ChatHistory;

const DEFAULT_LIMIT: u32 = 200;
const DEFAULT_MAX_CHARS: usize = 8_000;
/// Most bytes of all messages.
const BUDGET: usize = 6 * 1024 * 1024;
/// Most bytes of one message, unless the caller asks for longer texts.
const MAX_MESSAGE: usize = 128 * 1024;

/// Messages of one page, oldest first.
#[derive(Debug, Default)]
struct Page {
    messages: Vec<Box<RawValue>>,
    /// Older messages exist.
    has_more: bool,
    /// Newest messages that were skipped or are in this page.
    next_offset: u64,
}

pub(super) async fn history(ctx: RequestCtx, params: ChatHistory) -> MethodResult {
    let rich = ctx.conn.protocol >= 4;
    answer(ctx, params, rich).await
}

pub(super) async fn startup(ctx: RequestCtx, params: ChatHistory) -> MethodResult {
    answer(ctx, params, true).await
}

async fn answer(ctx: RequestCtx, params: ChatHistory, rich: bool) -> MethodResult {
    let target = Target::of(&ctx, &params.session_key, params.agent_id.as_deref())?;
    let key = target.key.as_str();
    let row = ctx.services.store.session(key).await.map_err(store_fault)?;
    let page = match &row {
        Some(row) => page(&ctx, row, &params).await?,
        None => Page::default(),
    };
    let snapshot = &ctx.live.snapshot;
    let mut answer = Answer::default();
    answer.put("sessionKey", &params.session_key)?;
    if let Some(row) = &row {
        answer.put("sessionId", &row.session_id)?;
    }
    answer.put("messages", &page.messages)?;
    if rich {
        let total = row.as_ref().map_or(0, |row| row.message_count);
        answer.put("pendingInputs", &json!({ "items": [], "total": 0 }))?;
        answer.put("hasMore", &page.has_more)?;
        answer.put("totalMessages", &total)?;
        if page.has_more {
            answer.put("nextOffset", &page.next_offset)?;
        }
        answer.put("defaults", &rows::defaults(&target.agent, snapshot, &ctx.live.models))?;
        answer.put("sessionInfo", &session_info(&ctx, &target, row.as_ref()))?;
    }
    let thinking = rows::thinking_level(row.as_ref(), snapshot.agent(target.agent.as_str()));
    answer.put("thinkingLevel", &thinking)?;
    for name in ["fastMode", "verboseLevel"] {
        if let Some(value) = row.as_ref().and_then(|row| row.settings.get(name)) {
            answer.put(name, value)?;
        }
    }
    payload(&answer)
}

/// The object that is answered, its members already JSON.
#[derive(Default)]
struct Answer(Vec<(&'static str, Box<RawValue>)>);

impl serde::Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Answer {
    fn put<T: serde::Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), crate::rpc::method::MethodFailure> {
        self.0.push((name, payload(&value)?));
        Ok(())
    }
}

/// A session that has no row yet is described as it would begin.
fn session_info(ctx: &RequestCtx, target: &Target, row: Option<&SessionRow>) -> Value {
    if let Some(row) = row {
        let mut map = rows::row_map(row, &ctx.live.snapshot, &ctx.live.models);
        map.insert("hasActiveRun".to_owned(), is_active(ctx, target).into());
        return Value::Object(map);
    }
    let mut map = Map::new();
    map.insert("key".to_owned(), json!(target.key));
    map.insert(
        "kind".to_owned(),
        json!(crate::sessions::key::kind(&target.key).as_str()),
    );
    map.insert("updatedAt".to_owned(), Value::Null);
    if let Value::Object(defaults) = rows::defaults(&target.agent, &ctx.live.snapshot, &ctx.live.models) {
        map.extend(defaults);
    }
    Value::Object(map)
}

fn is_active(ctx: &RequestCtx, target: &Target) -> bool {
    ctx.services.runs.active().sessions.contains(&target.key)
}

async fn page(
    ctx: &RequestCtx,
    row: &SessionRow,
    params: &ChatHistory,
) -> Result<Page, crate::rpc::method::MethodFailure> {
    let offset = params.offset.unwrap_or(0);
    // Sequence numbers have no gaps, so skipping the newest is a matter of arithmetic.
    let before = (offset > 0).then(|| row.message_count.saturating_sub(offset) + 1);
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    let stored = ctx
        .services
        .store
        .messages(&row.key, before, limit)
        .await
        .map_err(store_fault)?;
    let configured = ctx.live.snapshot.config.gateway.webchat.chat_history_max_chars;
    let max_chars = params
        .max_chars
        .or(configured)
        .map_or(DEFAULT_MAX_CHARS, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let budget = params
        .max_bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .map_or(BUDGET, |bytes| bytes.min(BUDGET));
    Ok(fit(&stored, offset, max_chars, budget))
}

/// The newest messages that fit `budget`; at least one, if there is any.
fn fit(stored: &[StoredMessage], offset: u64, max_chars: usize, budget: usize) -> Page {
    const BYTES_PER_CHAR: usize = 4;
    let max_message = MAX_MESSAGE.max(max_chars.saturating_mul(BYTES_PER_CHAR)).min(budget);
    let mut used = 0_usize;
    let mut messages = Vec::with_capacity(stored.len());
    for message in stored.iter().rev() {
        let mut view = transcript::history_view(message, max_chars);
        if view.get().len() > max_message {
            view = transcript::oversized_view(message);
        }
        used = used.saturating_add(view.get().len());
        if used > budget && !messages.is_empty() {
            break;
        }
        messages.push(view);
    }
    let kept = messages.len() as u64;
    messages.reverse();
    let oldest = stored
        .len()
        .checked_sub(messages.len())
        .and_then(|index| stored.get(index));
    Page {
        messages,
        has_more: oldest.is_some_and(|message| message.seq > 1),
        next_offset: offset + kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Part;

    fn stored(texts: &[&str], first_seq: u64) -> Vec<StoredMessage> {
        texts
            .iter()
            .zip(first_seq..)
            .map(|(text, seq)| StoredMessage {
                id: format!("{seq:08x}"),
                seq,
                role: "user".into(),
                body: transcript::user_message(&[Part::Text((*text).into())], 0).body,
                run_id: None,
                created_at_ms: 0,
            })
            .collect()
    }

    #[test]
    fn the_budget_keeps_the_newest_messages_and_says_that_there_are_more() {
        let page = fit(&stored(&["one", "two", "three"], 1), 0, 8_000, 250);
        assert_eq!(page.messages.len(), 2);
        assert!(page.messages[1].get().contains("three"));
        assert!(page.has_more);
        assert_eq!(page.next_offset, 2);
    }

    #[test]
    fn a_whole_conversation_has_no_more_and_a_later_page_continues_the_offset() {
        let page = fit(&stored(&["one", "two"], 1), 0, 8_000, BUDGET);
        assert!(!page.has_more);
        let page = fit(&stored(&["five", "six"], 5), 3, 8_000, BUDGET);
        assert!(page.has_more);
        assert_eq!(page.next_offset, 5);
    }

    #[test]
    fn a_message_that_no_cut_makes_small_is_replaced() {
        let blocks: Vec<Part> = (0..40).map(|_| Part::Text("x".repeat(7_000))).collect();
        let mut large = stored(&["x"], 1);
        large[0].body = transcript::user_message(&blocks, 0).body;
        let page = fit(&large, 0, 8_000, BUDGET);
        assert!(page.messages[0].get().contains("\"reason\":\"oversized\""));
    }
}
