//! `chat.completion.chunk` events, written as bytes.
//!
//! A chunk differs from the one before in a few bytes, so everything else is prepared once per stream. Each method
//! appends one complete SSE event; nothing allocates but the buffer.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::completion::Usage;
use super::error::ErrorBody;

/// The last event of every stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// A comment that keeps proxies from closing a silent stream.
pub const PING: &[u8] = b": ping\n\n";

/// Writes the chunks of one stream.
#[derive(Debug, Clone)]
pub struct ChunkWriter {
    /// Everything up to and without `"choices"`.
    head: Vec<u8>,
}

impl ChunkWriter {
    /// A writer for the stream `id` (`chatcmpl_<uuid>`), with the request's `model` and the start in Unix seconds.
    pub fn new(id: &str, model: &str, created: i64) -> Self {
        let mut head = BytesMut::with_capacity(160 + model.len());
        head.put_slice(b"data: {\"id\":");
        put_string(&mut head, id);
        head.put_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        put_json(&mut head, &created);
        head.put_slice(b",\"model\":");
        put_string(&mut head, model);
        Self { head: head.to_vec() }
    }

    /// The first chunk.
    pub fn role(&self, out: &mut BytesMut) {
        self.open(out);
        out.put_slice(b"\"role\":\"assistant\"");
        close(out, None);
    }

    /// Visible text.
    pub fn content(&self, out: &mut BytesMut, text: &str) {
        self.open(out);
        out.put_slice(b"\"content\":");
        put_string(out, text);
        close(out, None);
    }

    /// Reasoning text, under the name that clients of open models read.
    pub fn reasoning(&self, out: &mut BytesMut, text: &str) {
        self.open(out);
        out.put_slice(b"\"reasoning_content\":");
        put_string(out, text);
        close(out, None);
    }

    /// A tool call begins.
    pub fn tool_call_start(&self, out: &mut BytesMut, index: usize, id: &str, name: &str) {
        self.open(out);
        out.put_slice(b"\"tool_calls\":[{\"index\":");
        put_json(out, &index);
        out.put_slice(b",\"id\":");
        put_string(out, id);
        out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        put_string(out, name);
        out.put_slice(b",\"arguments\":\"\"}}]");
        close(out, None);
    }

    /// More of a call's arguments.
    pub fn tool_call_args(&self, out: &mut BytesMut, index: usize, delta: &str) {
        self.open(out);
        out.put_slice(b"\"tool_calls\":[{\"index\":");
        put_json(out, &index);
        out.put_slice(b",\"function\":{\"arguments\":");
        put_string(out, delta);
        out.put_slice(b"}}]");
        close(out, None);
    }

    /// The only call, in the form that was before tools, begins.
    pub fn function_call_start(&self, out: &mut BytesMut, name: &str) {
        self.open(out);
        out.put_slice(b"\"function_call\":{\"name\":");
        put_string(out, name);
        out.put_slice(b",\"arguments\":\"\"}");
        close(out, None);
    }

    /// More of its arguments.
    pub fn function_call_args(&self, out: &mut BytesMut, delta: &str) {
        self.open(out);
        out.put_slice(b"\"function_call\":{\"arguments\":");
        put_string(out, delta);
        out.put_slice(b"}");
        close(out, None);
    }

    /// Log probabilities of what was said so far and not told yet; `object` is JSON text.
    pub fn logprobs(&self, out: &mut BytesMut, object: &str) {
        self.open(out);
        out.put_slice(b"},\"logprobs\":");
        out.put_slice(object.as_bytes());
        out.put_slice(b",\"finish_reason\":null}]}\n\n");
    }

    /// The chunk that says why the answer ended.
    pub fn finish(&self, out: &mut BytesMut, reason: &str) {
        self.open(out);
        close(out, Some(reason));
    }

    /// Usage, after `finish`, if the request asked for it.
    pub fn usage(&self, out: &mut BytesMut, usage: &Usage) {
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[],\"usage\":");
        put_json(out, usage);
        out.put_slice(b"}\n\n");
    }

    /// An error instead of the rest of the answer.
    pub fn error(&self, out: &mut BytesMut, error: &ErrorBody) {
        out.put_slice(b"data: ");
        put_json(out, error);
        out.put_slice(b"\n\n");
    }

    /// The end of the stream.
    pub fn done(&self, out: &mut BytesMut) {
        out.put_slice(DONE);
    }

    fn open(&self, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[{\"index\":0,\"delta\":{");
    }
}

fn close(out: &mut BytesMut, reason: Option<&str>) {
    out.put_slice(b"},\"finish_reason\":");
    match reason {
        Some(reason) => put_string(out, reason),
        None => out.put_slice(b"null"),
    }
    out.put_slice(b"}]}\n\n");
}

/// Appends small structs and numbers of this module's own making; writing those into memory cannot fail.
fn put_json(out: &mut BytesMut, value: &impl Serialize) {
    let written = serde_json::to_writer((&mut *out).writer(), value);
    debug_assert!(written.is_ok(), "serialising into memory failed");
}

fn put_string(out: &mut BytesMut, text: &str) {
    put_json(out, &text);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn events(bytes: &BytesMut) -> Vec<Value> {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.ends_with("\n\n"));
        text.trim_end()
            .split("\n\n")
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn chunks_have_the_documented_bytes() {
        let writer = ChunkWriter::new("chatcmpl_1", "openclaw", 9);
        let mut out = BytesMut::new();
        writer.role(&mut out);
        writer.content(&mut out, "a \"b\"\n");
        writer.finish(&mut out, "stop");
        writer.done(&mut out);
        let head = r#"data: {"id":"chatcmpl_1","object":"chat.completion.chunk","created":9,"model":"openclaw","choices":[{"index":0,"delta":"#;
        let expected = [
            format!(r#"{head}{{"role":"assistant"}},"finish_reason":null}}]}}"#),
            format!(r#"{head}{{"content":"a \"b\"\n"}},"finish_reason":null}}]}}"#),
            format!(r#"{head}{{}},"finish_reason":"stop"}}]}}"#),
            "data: [DONE]".to_owned(),
        ];
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected.join("\n\n") + "\n\n");
    }

    #[test]
    fn tool_calls_usage_and_errors_are_valid_events() {
        let writer = ChunkWriter::new("chatcmpl_1", "open\"claw", 9);
        let mut out = BytesMut::new();
        writer.tool_call_start(&mut out, 1, "c1", "get_weather");
        writer.tool_call_args(&mut out, 1, "{\"ci");
        writer.usage(&mut out, &Usage::new(3, 1, 2, 0));
        writer.error(&mut out, &ErrorBody::new("broken", "api_error"));
        let events = events(&out);
        assert_eq!(events[0]["model"], "open\"claw");
        assert_eq!(
            events[0]["choices"][0]["delta"]["tool_calls"][0],
            json!({"index":1,"id":"c1","type":"function","function":{"name":"get_weather","arguments":""}})
        );
        assert_eq!(
            events[1]["choices"][0]["delta"]["tool_calls"][0],
            json!({"index":1,"function":{"arguments":"{\"ci"}})
        );
        assert_eq!(events[2]["choices"], json!([]));
        assert_eq!(events[2]["usage"]["total_tokens"], 5);
        assert_eq!(events[3]["error"]["message"], "broken");
    }
}
