//! A dump of what models stream, for debugging (`--raw-stream`): one JSON line per event, with its content.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::line_file::{AppendFile, LineFile};
use crate::domain::model::ModelEvent;
use crate::domain::run::RunRequest;

/// How long the last lines may take to reach the file.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The open dump; cheap to clone.
#[derive(Clone)]
pub struct RawStream(LineFile);

impl RawStream {
    /// Opens the dump for appending; a new file is readable by its owner only.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        LineFile::start(AppendFile::open(path)?).map(Self)
    }

    /// Adds an event of a call.
    pub(super) fn note(&self, request: &RunRequest, provider: &str, model: &str, event: &ModelEvent, now_ms: i64) {
        let mut line = described(event);
        if let Some(fields) = line.as_object_mut() {
            fields.insert("ts".to_owned(), now_ms.into());
            fields.insert("runId".to_owned(), json!(request.run_id));
            fields.insert("sessionKey".to_owned(), json!(request.conversation.key()));
            fields.insert("provider".to_owned(), provider.into());
            fields.insert("model".to_owned(), model.into());
        }
        self.0.push(line.to_string());
    }

    /// Waits a moment for the last lines to reach the file. Blocking; for the end of the process.
    pub fn flush(&self) {
        self.0.flush(LAST_LINES);
    }
}

fn described(event: &ModelEvent) -> Value {
    match event {
        ModelEvent::Text(delta) => json!({"event": "text", "delta": delta}),
        ModelEvent::Reasoning(delta) => json!({"event": "reasoning", "delta": delta}),
        ModelEvent::ToolCallStart { index, id, name } => {
            json!({"event": "tool_call", "index": index, "id": id, "name": name})
        }
        ModelEvent::ToolCallArguments { index, delta } => {
            json!({"event": "tool_call_arguments", "index": index, "delta": delta})
        }
        // Of no meaning to people, and often long.
        ModelEvent::Seal(_) => json!({"event": "seal"}),
        ModelEvent::Logprobs(object) => json!({"event": "logprobs", "object": object}),
        ModelEvent::Finish { reason, usage } => {
            let usage = usage.map(|usage| {
                json!({"input": usage.input, "output": usage.output, "cacheRead": usage.cache_read,
                    "cacheWrite": usage.cache_write, "reasoning": usage.reasoning})
            });
            json!({"event": "finish", "reason": reason.as_str(), "usage": usage})
        }
    }
}
