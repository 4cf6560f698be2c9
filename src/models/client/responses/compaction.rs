//! A conversation as one item.
//!
//! The item's content is opaque to clients by contract, not secret: it holds a summary of what the client itself sent, and
//! the client could send any other text in its place. Hence it is encoded and versioned, not encrypted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::ids::IdMaker;
use super::items::{to_stored, word};
use crate::wire::openai::responses::{Compaction, Item, TextOr};

/// Begins every content of ours, with the version of the encoding.
const MARK: &str = "openclaw.1.";

/// Asks the model for the summary; the user's own wishes come on top.
const PROMPT: &str = "Summarise the conversation above so that it can be continued from the summary alone. Keep the \
    user's goals, decisions, facts, names, numbers, file paths, code that matters, results of tools, and what is still \
    open. Write plain text. Answer with the summary only.";

/// Stands before a summary where a model reads it.
const HEADING: &str = "[Summary of the earlier conversation]";

#[derive(Serialize, Deserialize)]
struct Sealed {
    summary: String,
}

/// The message that asks for a summary.
pub fn compaction_prompt(instructions: Option<&str>) -> String {
    match instructions.map(str::trim).filter(|text| !text.is_empty()) {
        Some(instructions) => format!("{PROMPT}\n\n{instructions}"),
        None => PROMPT.to_owned(),
    }
}

/// The message as the last list of items of the conversation.
pub fn prompt_list(prompt: &str) -> String {
    to_stored(&[Item {
        r#type: Some(word("message")),
        role: Some(word("user")),
        content: Some(TextOr::Text(prompt.into())),
        ..Item::default()
    }])
}

/// The item that stands for the conversation from now on.
pub fn compaction_item(ids: &IdMaker, summary: &str) -> Compaction {
    let sealed = Sealed {
        summary: summary.to_owned(),
    };
    // One text under a constant key: serialising cannot fail.
    let json = serde_json::to_vec(&sealed).unwrap_or_default();
    Compaction {
        id: ids.output("cmp", 0),
        encrypted_content: format!("{MARK}{}", URL_SAFE_NO_PAD.encode(json)),
    }
}

/// The summary in an item's content, as a model reads it; `None`: not ours.
pub(super) fn summary_text(content: &str) -> Option<String> {
    let json = URL_SAFE_NO_PAD.decode(content.strip_prefix(MARK)?).ok()?;
    let sealed: Sealed = serde_json::from_slice(&json).ok()?;
    Some(format!("{HEADING}\n{}", sealed.summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_survives_the_way_to_the_client_and_back() {
        let item = compaction_item(&IdMaker::random(), "Ann likes \"tea\".\nÜber");
        let text = summary_text(&item.encrypted_content).unwrap();
        assert_eq!(text, "[Summary of the earlier conversation]\nAnn likes \"tea\".\nÜber");
        for foreign in ["gAAAAABpM0Yj-", "openclaw.1.###", "openclaw.2.e30", ""] {
            assert_eq!(summary_text(foreign), None, "{foreign}");
        }
    }
}
