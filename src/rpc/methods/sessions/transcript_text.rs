//! Short texts made from a transcript: titles, last messages, previews.

use crate::domain::{Message, Part};
use crate::rpc::method::RequestCtx;
use crate::rpc::methods::store_fault;
use crate::sessions::transcript::to_model;
use crate::store::StoredMessage;

const TITLE_CHARS: usize = 60;
const LAST_CHARS: usize = 120;
/// Among so many messages the first user message and the last visible one are looked for.
const WINDOW: u32 = 10;

/// The text of a message as a person sees it; `None` for tool results and empty turns.
pub(super) fn visible(stored: &StoredMessage) -> Option<String> {
    let text = match to_model(stored)? {
        Message::User { parts } => {
            let texts: Vec<String> = parts
                .into_iter()
                .map(|part| match part {
                    Part::Text(text) => text,
                    Part::Image { .. } => "[image]".to_owned(),
                    Part::Audio { .. } => "[audio]".to_owned(),
                })
                .collect();
            texts.join("\n")
        }
        Message::Assistant { text, .. } => text,
        Message::Tool { .. } => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// At most `max` characters; a cut text ends with `...`.
pub(super) fn shorten(text: &str, max: usize) -> String {
    const DOTS: &str = "...";
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(DOTS.len())).collect();
    short.truncate(short.trim_end().len());
    short.push_str(DOTS);
    short
}

/// A title from the session's first user message.
pub(super) async fn title(ctx: &RequestCtx, key: &str) -> Result<Option<String>, crate::domain::Fault> {
    let first = ctx
        .services
        .store
        .messages(key, Some(u64::from(WINDOW) + 1), WINDOW)
        .await
        .map_err(store_fault)?;
    let text = first.iter().filter(|message| message.role == "user").find_map(visible);
    Ok(text.map(|text| shorten(&one_line(&text), TITLE_CHARS)))
}

/// The session's last visible message.
pub(super) async fn last_message(ctx: &RequestCtx, key: &str) -> Result<Option<String>, crate::domain::Fault> {
    let newest = ctx
        .services
        .store
        .messages(key, None, WINDOW)
        .await
        .map_err(store_fault)?;
    let text = newest.iter().rev().find_map(visible);
    Ok(text.map(|text| shorten(&one_line(&text), LAST_CHARS)))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn a_cut_text_says_so_and_never_splits_a_character() {
        assert_eq!(shorten("short", 10), "short");
        assert_eq!(shorten("ääää ääää ääää", 8), "ääää...");
        assert_eq!(shorten(&"ä".repeat(30), 20).chars().count(), 20);
    }
}
