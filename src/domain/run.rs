//! The port to the run loop: start a run, follow it, stop it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::model::{CallErrorClass, FinishReason, ModelRef, Sampling, ToolChoice, ToolSpec, Usage};
use super::{Fault, Message, Part, ToolCall};
use crate::base::{AgentId, ConnId, DeviceId, RunId, SessionKey};
use crate::config::types::agents::Thinking;
use crate::telemetry::trace::TraceContext;

/// Boxed future of a port method.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How many run events may wait for a slow receiver. When full, the run waits: the reader sets the pace.
pub const RUN_EVENT_CAPACITY: usize = 64;

/// Where a run came from; decides its acknowledgement texts and event details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunSource {
    /// `chat.send`.
    Chat,
    /// The `agent` method.
    Agent,
    /// `/v1/chat/completions` and its relatives.
    OpenAi,
}

impl RunSource {
    /// The label in storage, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Agent => "agent",
            Self::OpenAi => "openai",
        }
    }

    /// Inverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Chat, Self::Agent, Self::OpenAi]
            .into_iter()
            .find(|source| source.as_str() == text)
    }
}

/// Whether the conversation is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversation {
    /// Stored under this key; earlier messages come from storage.
    Durable(SessionKey),
    /// Nothing is stored; the caller sent the whole conversation. The key only labels events.
    Ephemeral(SessionKey),
}

impl Conversation {
    /// The session key, stored or not.
    pub fn key(&self) -> &SessionKey {
        match self {
            Self::Durable(key) | Self::Ephemeral(key) => key,
        }
    }
}

/// Who started a run over the WebSocket; owns the right to abort it and receives its tool events.
#[derive(Debug, Clone)]
pub struct RunOwner {
    /// The connection.
    pub conn: ConnId,
    /// Its device.
    pub device: Option<DeviceId>,
}

/// Everything a run needs to start.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The run's id; for WebSocket methods the client's idempotency key.
    pub run_id: RunId,
    /// Where it came from.
    pub source: RunSource,
    /// The agent that answers.
    pub agent: AgentId,
    /// The conversation it belongs to.
    pub conversation: Conversation,
    /// The session key as the client wrote it (`main`), echoed in some events.
    pub key_as_sent: String,
    /// Whether the configured send policy lets the message through (the session's own setting wins); `None`: no policy
    /// applies.
    pub send_allowed: Option<bool>,
    /// The message to answer.
    pub input: Vec<Part>,
    /// Earlier messages that the caller supplied. Replaces stored history; empty for plain durable chat.
    pub supplied_history: Vec<Message>,
    /// Tool results that answer an earlier client tool call, instead of `input`.
    pub tool_results: Vec<Message>,
    /// Text appended to the agent's system prompt.
    pub extra_system: Option<String>,
    /// Model chosen by the caller instead of the agent's.
    pub model: Option<ModelRef>,
    /// How hard the model should think; `None`: as the session or the agent says.
    pub thinking: Option<Thinking>,
    /// Passed to the provider.
    pub sampling: Arc<Sampling>,
    /// Tools that the caller executes; a call of one ends the run.
    pub client_tools: Arc<[ToolSpec]>,
    /// Choice among them.
    pub tool_choice: ToolChoice,
    /// `parallel_tool_calls`, if the caller said so.
    pub parallel_tool_calls: Option<bool>,
    /// Whether the receiver wants deltas.
    pub stream: bool,
    /// Deadline from the start of the model work.
    pub timeout: Option<Duration>,
    /// WebSocket owner, if any.
    pub owner: Option<RunOwner>,
    /// What the run is part of.
    pub trace: Option<TraceContext>,
}

/// Why a run failed.
#[derive(Debug, Clone)]
pub struct RunFailure {
    /// Class of the last provider error.
    pub class: CallErrorClass,
    /// Public text.
    pub message: String,
    /// The provider's HTTP status, if it answered.
    pub status: Option<u16>,
    /// When the provider allows another try.
    pub retry_after: Option<Duration>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum RunEnd {
    /// It answered.
    Completed,
    /// It was stopped; the string is the stop reason (`rpc`, `stop`, `disconnect`, `shutdown`).
    Aborted(&'static str),
    /// Its deadline passed.
    TimedOut,
    /// The provider failed.
    Failed(RunFailure),
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// How it ended.
    pub end: RunEnd,
    /// Text of the answer (partial unless completed).
    pub text: String,
    /// Reasoning text, if the provider gave any.
    pub reasoning: String,
    /// Client tool calls that ended the run.
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// Tokens of all calls.
    pub usage: Usage,
    /// The model that answered.
    pub model: Option<ModelRef>,
    /// Wall-clock start of the model work, ms.
    pub started_at_ms: i64,
    /// Wall-clock end, ms.
    pub ended_at_ms: i64,
}

impl RunOutcome {
    /// The outcome of a run whose model work never began.
    pub fn without_work(end: RunEnd, now_ms: i64) -> Self {
        Self {
            end,
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: Usage::default(),
            model: None,
            started_at_ms: now_ms,
            ended_at_ms: now_ms,
        }
    }
}

/// What a follower of a run receives, in order. `Finished` is last.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// The model call was accepted by the provider.
    Started,
    /// Visible text.
    Text(String),
    /// Reasoning text.
    Reasoning(String),
    /// A client tool call begins.
    ToolCallStart {
        /// Position among the calls.
        index: usize,
        /// Call id.
        id: String,
        /// Tool name.
        name: String,
    },
    /// More of its arguments.
    ToolCallArguments {
        /// Position among the calls.
        index: usize,
        /// JSON text fragment.
        delta: String,
    },
    /// Log probabilities of what was said, if the caller asked for them: the provider's own object, JSON text.
    Logprobs(String),
    /// The end.
    Finished(Box<RunOutcome>),
}

/// The work of a run that its follower drives by polling.
pub type RunWork = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Finishes the work of a run whose follower went away.
pub type FinishWork = Box<dyn FnOnce(RunWork) + Send>;

/// A run in progress, as its starter sees it. Dropping it aborts the run with reason `disconnect`.
///
/// A run that keeps nothing is driven by whoever polls the handle: no task, no wake-up across threads. Its unfinished
/// rest is handed over when the handle is dropped.
pub struct RunHandle {
    /// The run.
    pub run_id: RunId,
    events: mpsc::Receiver<RunEvent>,
    abort: Option<DropGuard>,
    work: Option<(RunWork, FinishWork)>,
}

impl RunHandle {
    /// A run that works in a task of its own. Without `abort` it outlives the handle.
    pub fn spawned(run_id: RunId, events: mpsc::Receiver<RunEvent>, abort: Option<DropGuard>) -> Self {
        Self {
            run_id,
            events,
            abort,
            work: None,
        }
    }

    /// A run that works while it is polled.
    pub fn driven(
        run_id: RunId,
        events: mpsc::Receiver<RunEvent>,
        abort: DropGuard,
        work: RunWork,
        finish: FinishWork,
    ) -> Self {
        Self {
            run_id,
            events,
            abort: Some(abort),
            work: Some((work, finish)),
        }
    }

    /// The next event; `None` after the last one.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        if let Some((work, _)) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        self.events.poll_recv(cx)
    }

    /// The next event; `None` after the last one. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<RunEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        // First the cancellation, so that the rest of the work is only its ending.
        drop(self.abort.take());
        if let Some((work, finish)) = self.work.take() {
            finish(work);
        }
    }
}

impl std::fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunHandle")
            .field("run_id", &self.run_id)
            .finish_non_exhaustive()
    }
}

/// What happened to an accepted request.
#[derive(Debug)]
pub enum Accepted {
    /// A new run was stored and queued.
    New {
        /// When it was accepted, ms.
        accepted_at_ms: i64,
    },
    /// The same key (or the same text while it runs) is already running under this id.
    InFlight {
        /// The running run.
        run_id: RunId,
        /// When it was accepted, ms.
        accepted_at_ms: i64,
    },
    /// The same key has already ended.
    Done {
        /// What was reported then (final `agent` payload, or `{runId,status:"ok"}`).
        record: RunRecord,
    },
}

/// A stored run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The run.
    pub run_id: RunId,
    /// Its session.
    pub session_key: SessionKey,
    /// `accepted`, `running`, `ok`, `error`, `aborted`, `timeout` or `interrupted`.
    pub state: &'static str,
    /// When it was accepted, ms.
    pub accepted_at_ms: i64,
    /// When the model work began, ms.
    pub started_at_ms: Option<i64>,
    /// When it ended, ms.
    pub ended_at_ms: Option<i64>,
    /// Error text, if it failed.
    pub error: Option<String>,
    /// Stop reason, if it was aborted.
    pub stop_reason: Option<String>,
    /// The final payload of the `agent` method.
    pub result: Option<Value>,
}

/// What an abort did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AbortReport {
    /// Runs that were stopped.
    pub run_ids: Vec<RunId>,
}

/// Who asks for an abort.
#[derive(Debug, Clone)]
pub struct AbortRequest {
    /// Stop only this run; otherwise every run of the session.
    pub run_id: Option<RunId>,
    /// The session, canonical.
    pub session_key: SessionKey,
    /// The key as the client wrote it, compared raw against the one the run was started with; `None` skips that check.
    pub key_as_sent: Option<String>,
    /// The caller; must own the run unless `is_admin`.
    pub owner: Option<RunOwner>,
    /// Whether the caller may stop anybody's run.
    pub is_admin: bool,
    /// Reported as `stopReason`.
    pub reason: &'static str,
}

/// The run loop.
pub trait Runs: Send + Sync {
    /// Accepts a run durably (if its conversation is durable) and queues it behind earlier runs of the session.
    ///
    /// Resolves when the request is on disk. The run continues without the caller; its events are published.
    fn submit(&self, request: RunRequest) -> PortFuture<'_, Result<Accepted, Fault>>;

    /// Like `submit`, and follows the run. Used by HTTP: the run is aborted when the handle is dropped.
    fn start(&self, request: RunRequest) -> PortFuture<'_, Result<RunHandle, Fault>>;

    /// Stops runs and waits until their terminal events are published.
    fn abort(&self, request: AbortRequest) -> PortFuture<'_, Result<AbortReport, Fault>>;

    /// Waits until the run ended or `timeout` passed. `None`: still running, or unknown.
    fn wait(&self, run_id: RunId, timeout: Duration) -> PortFuture<'_, Option<RunRecord>>;

    /// Runs that are accepted or running, and the session keys of those that are running.
    fn active(&self) -> ActiveRuns;
}

/// Live counts of the run loop.
#[derive(Debug, Clone, Default)]
pub struct ActiveRuns {
    /// Runs that wait for their turn.
    pub queued: usize,
    /// Runs at work.
    pub running: usize,
    /// Sessions with a run at work.
    pub sessions: Vec<SessionKey>,
}
