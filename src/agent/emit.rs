//! What the control plane hears of a run: `agent` and `chat` events, in upstream's order and shapes.
//!
//! `agent` events carry a counter per run; `chat` deltas reuse the number of the event that caused them, carry the whole
//! text so far and come at most every 150 ms. Trailing white space waits for the next delta, so that deltas always add
//! up to the text shown.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::base::{Clock, RunId, SessionKey};
use crate::domain::event::{Audience, Event, EventName, Publisher};

/// Shortest time between two `chat` deltas of a run.
const CHAT_DELTA_INTERVAL: Duration = Duration::from_millis(150);

/// Publishes the events of one run.
pub(super) struct Emitter {
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    run_id: RunId,
    key: SessionKey,
    key_as_sent: String,
    seq: u64,
    /// Texts of earlier model answers of this run, joined without separator.
    earlier: String,
    /// Text of the present answer as received.
    text: String,
    /// Bytes of `text` that `agent` events have shown.
    shown: usize,
    /// Bytes of `earlier + text` that `chat` events have shown.
    chat_shown: usize,
    last_chat: Option<Instant>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentPayload<'a, D: Serialize> {
    run_id: &'a RunId,
    stream: &'static str,
    data: D,
    session_key: &'a str,
    seq: u64,
    ts: i64,
}

#[derive(Serialize)]
struct AssistantData<'a> {
    text: &'a str,
    delta: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChatPayload<'a> {
    run_id: &'a RunId,
    session_key: &'a str,
    seq: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<ChatMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<&'a str>,
}

#[derive(Serialize)]
struct ChatMessage<'a> {
    role: &'static str,
    content: [ChatText<'a>; 1],
    timestamp: i64,
}

#[derive(Serialize)]
struct ChatText<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl Emitter {
    pub(super) fn new(
        publisher: Arc<dyn Publisher>,
        clock: Arc<dyn Clock>,
        run_id: RunId,
        key: SessionKey,
        key_as_sent: String,
    ) -> Self {
        Self {
            publisher,
            clock,
            run_id,
            key,
            key_as_sent,
            seq: 0,
            earlier: String::new(),
            text: String::new(),
            shown: 0,
            chat_shown: 0,
            last_chat: None,
        }
    }

    /// Whether anybody listens to what a run does.
    pub(super) fn has_audience(&self) -> bool {
        self.publisher.has_audience(EventName::Agent)
    }

    /// The work begins.
    pub(super) fn started(&mut self, started_at_ms: i64) {
        self.agent("lifecycle", json!({"phase": "start", "startedAt": started_at_ms}));
    }

    /// More text of the present answer.
    pub(super) fn text(&mut self, delta: &str) {
        self.text.push_str(delta);
        let visible = self.text.trim_end().len();
        if visible <= self.shown {
            return;
        }
        let from = std::mem::replace(&mut self.shown, visible);
        self.seq += 1;
        if !self.has_audience() {
            return;
        }
        let data = AssistantData {
            text: self.text.get(..visible).unwrap_or_default(),
            delta: self.text.get(from..visible).unwrap_or_default(),
        };
        self.publish_agent("assistant", &data);
        if self.last_chat.is_none_or(|last| last.elapsed() >= CHAT_DELTA_INTERVAL) {
            self.chat_delta();
        }
    }

    /// The present answer is over and another model call follows (after server tools).
    pub(super) fn next_answer(&mut self) {
        self.earlier.push_str(self.text.trim_end());
        self.text.clear();
        self.shown = 0;
    }

    /// The run answered.
    pub(super) fn completed(&mut self, ended_at_ms: i64) {
        self.flush_chat();
        self.agent(
            "lifecycle",
            json!({"phase": "end", "livenessState": "working", "endedAt": ended_at_ms}),
        );
        let text = self.whole_text();
        self.chat("final", None, None, Some(&text), None, false);
    }

    /// The run was stopped.
    pub(super) fn aborted(&mut self, reason: &str, started_at_ms: i64, ended_at_ms: i64) {
        self.seq += 1;
        let text = self.whole_text();
        self.chat("aborted", None, Some(reason), Some(&text), None, true);
        self.publish_agent(
            "lifecycle",
            &json!({"phase": "end", "status": "cancelled", "aborted": true, "stopReason": reason,
                "startedAt": started_at_ms, "endedAt": ended_at_ms}),
        );
    }

    /// The run failed.
    pub(super) fn failed(&mut self, error: &str, kind: Option<&str>, ended_at_ms: i64) {
        self.flush_chat();
        self.agent(
            "lifecycle",
            json!({"phase": "error", "error": error, "livenessState": "blocked", "endedAt": ended_at_ms}),
        );
        self.chat("error", None, None, None, Some((error, kind)), false);
    }

    /// A message was stored: for subscribers of the session.
    pub(super) fn stored_message(&self, message: &RawValue, id: &str, seq: u64, row: Option<&Value>) {
        let mut payload = json!({"sessionKey": self.key, "message": message, "messageId": id, "messageSeq": seq});
        with_row(&mut payload, row);
        self.publish(
            EventName::SessionMessage,
            &payload,
            Audience::SessionMessages(self.key.clone()),
            false,
        );
        let mut changed = json!({"sessionKey": self.key, "phase": "message", "ts": self.clock.now_ms(),
            "messageId": id, "messageSeq": seq});
        with_row(&mut changed, row);
        self.publish(EventName::SessionsChanged, &changed, Audience::SessionSubscribers, true);
    }

    /// The session's run began, ended or failed (`start`, `end`, `error`).
    pub(super) fn session_phase(&self, phase: &str, row: Option<&Value>) {
        let mut payload =
            json!({"sessionKey": self.key, "phase": phase, "runId": self.run_id, "ts": self.clock.now_ms()});
        with_row(&mut payload, row);
        self.publish(EventName::SessionsChanged, &payload, Audience::SessionSubscribers, true);
    }

    /// Whether anybody follows stored messages.
    pub(super) fn has_session_audience(&self) -> bool {
        self.publisher.has_audience(EventName::SessionMessage)
            || self.publisher.has_audience(EventName::SessionsChanged)
    }

    fn whole_text(&self) -> String {
        format!("{}{}", self.earlier, self.text.trim_end())
    }

    fn flush_chat(&mut self) {
        if self.chat_shown < self.earlier.len() + self.shown {
            self.chat_delta();
        }
    }

    fn chat_delta(&mut self) {
        let whole = self.whole_text();
        let delta = whole.get(self.chat_shown..).unwrap_or_default().to_owned();
        self.chat_shown = whole.len();
        self.last_chat = Some(Instant::now());
        self.chat("delta", Some(&delta), None, Some(&whole), None, false);
    }

    fn chat(
        &self,
        state: &'static str,
        delta: Option<&str>,
        stop_reason: Option<&str>,
        text: Option<&str>,
        error: Option<(&str, Option<&str>)>,
        echo_key: bool,
    ) {
        if !self.publisher.has_audience(EventName::Chat) {
            return;
        }
        let payload = ChatPayload {
            run_id: &self.run_id,
            session_key: if echo_key { &self.key_as_sent } else { self.key.as_str() },
            seq: self.seq,
            state,
            delta_text: delta,
            stop_reason,
            message: text.filter(|text| !text.is_empty()).map(|text| ChatMessage {
                role: "assistant",
                content: [ChatText { r#type: "text", text }],
                timestamp: self.clock.now_ms(),
            }),
            error_message: error.map(|(message, _)| message),
            error_kind: error.and_then(|(_, kind)| kind),
        };
        self.publish(EventName::Chat, &payload, Audience::Broadcast, state == "delta");
    }

    fn agent(&mut self, stream: &'static str, data: Value) {
        self.seq += 1;
        self.publish_agent(stream, &data);
    }

    fn publish_agent(&self, stream: &'static str, data: &impl Serialize) {
        if !self.has_audience() {
            return;
        }
        let payload = AgentPayload {
            run_id: &self.run_id,
            stream,
            data,
            session_key: self.key.as_str(),
            seq: self.seq,
            ts: self.clock.now_ms(),
        };
        self.publish(EventName::Agent, &payload, Audience::Broadcast, false);
    }

    fn publish(&self, name: EventName, payload: &impl Serialize, audience: Audience, droppable: bool) {
        match to_raw_value(payload) {
            Ok(payload) => self.publisher.publish(Event {
                name,
                payload: payload.into(),
                audience,
                droppable,
            }),
            Err(error) => tracing::error!(target: "agent", %error, "event payload could not be serialised"),
        }
    }
}

/// Upstream repeats the row's fields beside `session`.
fn with_row(payload: &mut Value, row: Option<&Value>) {
    if let (Some(payload), Some(row)) = (payload.as_object_mut(), row) {
        payload.insert("session".to_owned(), row.clone());
        if let Some(row) = row.as_object() {
            for (key, value) in row {
                if key != "key" && !payload.contains_key(key) {
                    payload.insert(key.clone(), value.clone());
                }
            }
        }
    }
}
