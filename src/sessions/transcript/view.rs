//! From a stored message to the one that clients see: marked with its place, long texts cut.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::store::StoredMessage;

/// What ends a text that was cut.
const CUT: &str = "\n...(truncated)...";
/// Text of a message that is too large to show at all.
const OVERSIZED: &str = "[chat.history omitted: message too large]";

/// The message with `__openclaw:{id,seq}`; every text of more than `max_chars` characters is cut and says so, larger
/// images are replaced by their size.
pub fn history_view(stored: &StoredMessage, max_chars: usize) -> Box<RawValue> {
    // Characters never outnumber bytes, so a short body holds no long text.
    if stored.body.len() <= max_chars {
        return marked(&stored.body, &stored.id, stored.seq);
    }
    let Ok(Value::Object(mut message)) = serde_json::from_str(&stored.body) else {
        return oversized_view(stored);
    };
    let mut changed = false;
    match message.get_mut("content") {
        Some(Value::String(text)) => changed |= cut(text, max_chars),
        Some(Value::Array(blocks)) => {
            for block in blocks.iter_mut().filter_map(Value::as_object_mut) {
                changed |= shorten(block, max_chars);
            }
        }
        _ => {}
    }
    if !changed {
        return marked(&stored.body, &stored.id, stored.seq);
    }
    marked(&Value::Object(message).to_string(), &stored.id, stored.seq)
}

/// A transcript message object with `__openclaw:{id,seq}` as its last member. `body` that is no JSON object gives a
/// placeholder.
pub fn marked(body: &str, id: &str, seq: u64) -> Box<RawValue> {
    let mark = json!({ "id": id, "seq": seq });
    splice(body, &mark).unwrap_or_else(|| placeholder("assistant", 0, &mark))
}

/// Stands for a message that is too large to send.
pub fn oversized_view(stored: &StoredMessage) -> Box<RawValue> {
    let mark = json!({ "id": stored.id, "seq": stored.seq, "truncated": true, "reason": "oversized" });
    placeholder(&stored.role, stored.created_at_ms, &mark)
}

fn splice(body: &str, mark: &Value) -> Option<Box<RawValue>> {
    let inner = body.trim().strip_prefix('{')?.strip_suffix('}')?.trim_end();
    let comma = if inner.is_empty() { "" } else { "," };
    RawValue::from_string(format!("{{{inner}{comma}\"__openclaw\":{mark}}}")).ok()
}

fn placeholder(role: &str, timestamp: i64, mark: &Value) -> Box<RawValue> {
    let value = json!({
        "role": role,
        "timestamp": timestamp,
        "content": [{ "type": "text", "text": OVERSIZED }],
        "__openclaw": mark,
    });
    serde_json::value::to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn shorten(block: &mut Map<String, Value>, max_chars: usize) -> bool {
    let mut changed = false;
    for key in ["text", "thinking"] {
        if let Some(Value::String(text)) = block.get_mut(key) {
            changed |= cut(text, max_chars);
        }
    }
    let bytes = match block.get("data") {
        Some(Value::String(data)) if data.len() > max_chars => Some(data.len()),
        _ => None,
    };
    if let Some(bytes) = bytes {
        block.shift_remove("data");
        block.insert("omitted".to_owned(), Value::Bool(true));
        block.insert("bytes".to_owned(), Value::from(bytes));
        changed = true;
    }
    if let Some(arguments) = block.get_mut("arguments") {
        let length = arguments.to_string().len();
        if length > max_chars {
            *arguments = json!({ "omitted": true, "bytes": length });
            changed = true;
        }
    }
    changed
}

fn cut(text: &mut String, max_chars: usize) -> bool {
    let Some((end, _)) = text.char_indices().nth(max_chars) else {
        return false;
    };
    text.truncate(end);
    text.push_str(CUT);
    true
}
