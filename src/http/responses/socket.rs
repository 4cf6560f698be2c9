//! The WebSocket form of `/v1/responses`: one turn after the other on one connection.
//!
//! The client sends `response.create` messages and receives the events of the HTTP stream, one per message. The last
//! response of the connection can be continued even if it was not to be stored. A turn that fails forgets the response that
//! it continued, so that a client never builds on something half-done. What was said is checked anew on every turn: a
//! changed configuration counts from the next one.

mod message;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use self::message::{error_message, read};
use self::waiting::Waiting;
use super::keep::{self, Record, now_s};
use super::owner;
use super::prepare::{self, Prepared, Prior};
use crate::domain::model::Usage;
use crate::domain::run::{RunEvent, RunHandle};
use crate::domain::{Fault, FaultKind, Principal, Scope};
use crate::http::agent_call::{self, outcome_fault, vanished};
use crate::http::surface::{Exchange, Inner};
use crate::http::upgrade::{self, SocketFacts, SocketTask};
use crate::http::{Body, Peer, fault};
use crate::models::client::responses::{Ask, End, IdMaker, Narration, output_of};
use crate::wire::openai::responses::Framing;

/// Longest life of a connection.
const MAX_LIFE: Duration = Duration::from_secs(60 * 60);
/// A connection without any sign of the client for this long is over; pings in between ask for one.
const MAX_SILENCE: Duration = Duration::from_secs(90);
const PING_EVERY: Duration = Duration::from_secs(30);
/// Longest wait for the client to take what is sent.
const SEND_WAIT: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Accepts a WebSocket on `/v1/responses`. Credentials are checked before the upgrade.
pub(in crate::http) fn accept<B>(surface: &Arc<Inner>, exchange: &Exchange<'_>, request: Request<B>) -> Response<Body> {
    if let Err(refusal) = exchange.authorize(request.headers(), Scope::Write) {
        return *refusal;
    }
    if let Some(refusal) = agent_call::not_now(exchange) {
        return fault::shape_a(&refusal);
    }
    let surface = Arc::clone(surface);
    let max_message = usize::try_from(exchange.settings.responses_body_bytes).unwrap_or(usize::MAX);
    let open = move |facts: SocketFacts| -> Result<SocketTask, Fault> {
        Ok(Box::new(move |io| {
            Box::pin(async move {
                let config = WebSocketConfig::default()
                    .max_message_size(Some(max_message))
                    .max_frame_size(Some(max_message));
                let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
                let connection = Connection {
                    surface,
                    peer: facts.peer,
                    headers: facts.headers,
                    socket,
                    waiting: Waiting::new(max_message),
                    last: None,
                };
                connection.serve().await;
            })
        }))
    };
    upgrade::accept_with(&exchange.surface.ports.lifecycle, exchange.peer, request, open)
}

/// One connection.
struct Connection {
    surface: Arc<Inner>,
    peer: Peer,
    headers: HeaderMap,
    socket: Socket,
    waiting: Waiting,
    /// The last response of the connection and the conversation that it ends.
    last: Option<(String, Prior)>,
}

/// The connection is over; the close frame to send, if the client is still there.
struct Over(Option<(u16, &'static str)>);

/// Why a turn brought no response.
enum Trouble {
    Refused(Fault),
    Over(Over),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<Over> for Trouble {
    fn from(over: Over) -> Self {
        Self::Over(over)
    }
}

impl Connection {
    async fn serve(mut self) {
        let end = Instant::now() + MAX_LIFE;
        let Over(close) = loop {
            if let Err(over) = self.next_turn(end).await {
                break over;
            }
        };
        if let Some((code, reason)) = close {
            let frame = CloseFrame {
                code: CloseCode::from(code),
                reason: reason.into(),
            };
            // The client may be gone; the connection ends either way.
            drop(timeout(SEND_WAIT, self.socket.close(Some(frame))).await);
        }
    }

    async fn next_turn(&mut self, end: Instant) -> Result<(), Over> {
        let message = match self.waiting.pop() {
            Some(message) => message,
            None => self.receive(end).await?,
        };
        if Instant::now() >= end {
            return Err(self.expire().await);
        }
        match self.turn(message).await {
            Ok(()) => Ok(()),
            Err(Trouble::Over(over)) => Err(over),
            Err(Trouble::Refused(fault)) => {
                let is_stranger = fault.kind == FaultKind::Unauthenticated;
                self.send(vec![error_message(&fault)]).await?;
                if is_stranger {
                    return Err(Over(Some((1008, "credentials are no longer valid"))));
                }
                Ok(())
            }
        }
    }

    async fn expire(&mut self) -> Over {
        let fault = Fault::invalid("Responses WebSocket connections last 60 minutes; open a new one to continue.")
            .with_code("websocket_connection_limit_reached");
        match self.send(vec![error_message(&fault)]).await {
            Ok(()) => Over(Some((1000, "connection limit reached"))),
            Err(over) => over,
        }
    }

    /// The next message while no turn is at work.
    async fn receive(&mut self, end: Instant) -> Result<Utf8Bytes, Over> {
        let stop = self.surface.ports.lifecycle.stop.clone();
        let mut phases = self.surface.ports.lifecycle.watch();
        let mut heard = Instant::now();
        loop {
            let due = (Instant::now() + PING_EVERY).min(end);
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Over(Some((1012, "service restart")))),
                _ = phases.wait_for(|phase| *phase >= crate::lifecycle::Phase::Draining) => {
                    return Err(Over(Some((1012, "service restart"))));
                }
                next = timeout_at(due, self.socket.next()) => next,
            };
            match next {
                Ok(message) => {
                    heard = Instant::now();
                    if let Some(text) = taken(message)? {
                        return Ok(text);
                    }
                }
                Err(_) if Instant::now() >= end => return Err(self.expire().await),
                Err(_) if heard.elapsed() >= MAX_SILENCE => return Err(Over(Some((1001, "the client is silent")))),
                Err(_) => {
                    let ping = timeout(SEND_WAIT, self.socket.send(Message::Ping(bytes::Bytes::new()))).await;
                    if !matches!(ping, Ok(Ok(()))) {
                        return Err(Over(None));
                    }
                }
            }
        }
    }

    /// One `response.create`.
    async fn turn(&mut self, message: Utf8Bytes) -> Result<(), Trouble> {
        let surface = Arc::clone(&self.surface);
        let exchange = surface.exchange(self.peer, "/v1/responses", &self.headers);
        let principal = self.principal(&exchange)?;
        let ids = IdMaker::random();
        let ask = {
            let ids = ids.clone();
            agent_call::parse(message.into(), move |body| read(body, &ids)).await?
        };
        let continued = ask.echo.previous_response_id.clone();
        let answered = self.answer(&exchange, &principal, ids, ask).await;
        let failed = !matches!(answered, Ok(true));
        if failed && self.last.as_ref().is_some_and(|(id, _)| Some(id) == continued.as_ref()) {
            self.last = None;
        }
        answered.map(|_| ())
    }

    fn principal(&self, exchange: &Exchange<'_>) -> Result<Principal, Fault> {
        exchange.authorize(&self.headers, Scope::Write).map_err(|_| {
            Fault::new(
                FaultKind::Unauthenticated,
                "The credentials of this connection are no longer valid.",
            )
            .with_code("unauthorized")
        })
    }

    /// `true`: the response completed, or was cut at a limit.
    async fn answer(
        &mut self,
        exchange: &Exchange<'_>,
        principal: &Principal,
        ids: IdMaker,
        ask: Ask,
    ) -> Result<bool, Trouble> {
        let slot = agent_call::place(exchange, principal)?;
        let generate = ask.generate;
        let prior = match &ask.echo.previous_response_id {
            None => Prior::default(),
            Some(id) => match &self.last {
                Some((last, prior)) if last == id => prior.clone(),
                _ => prepare::prior(exchange, &owner(principal), id).await?,
            },
        };
        let prepared = prepare::prepare(exchange, &self.headers, principal, ids, ask, prior).await?;
        let Prepared {
            run,
            answer,
            record,
            prior,
        } = prepared;
        let narration = Narration::new(answer, Framing::Lines);
        let completed = if generate {
            let started = Instant::now();
            let mut handle = exchange.surface.ports.runs.start(run).await?;
            let first = self.first_words(&mut handle, started).await?;
            self.follow(handle, first, narration, record, prior).await?
        } else {
            self.prime(narration, record, prior).await?
        };
        drop(slot);
        Ok(completed)
    }

    /// Waits for the first words of a run, and notices a client that leaves meanwhile.
    async fn first_words(&mut self, handle: &mut RunHandle, started: Instant) -> Result<Option<RunEvent>, Trouble> {
        let mut words = std::pin::pin!(agent_call::first_words(handle, started));
        loop {
            tokio::select! {
                biased;
                words = &mut words => return words.map_err(|refusal| refusal.into_fault().into()),
                message = self.socket.next() => {
                    if let Some(text) = taken(message)? {
                        self.queue(text).await?;
                    }
                }
            }
        }
    }

    /// Tells a run until its end.
    async fn follow(
        &mut self,
        mut handle: RunHandle,
        first: Option<RunEvent>,
        mut narration: Narration,
        record: Option<Record>,
        prior: Prior,
    ) -> Result<bool, Trouble> {
        let mut out = BytesMut::new();
        narration.begin(&mut out);
        let mut next = first;
        let outcome = loop {
            match next.take() {
                Some(RunEvent::Finished(outcome)) => break Some(outcome),
                Some(event) => narration.tell(&mut out, &event),
                None => {}
            }
            self.send_lines(&mut out).await?;
            tokio::select! {
                biased;
                event = handle.next_event() => match event {
                    Some(event) => next = Some(event),
                    None => break None,
                },
                message = self.socket.next() => {
                    if let Some(text) = taken(message)? {
                        self.queue(text).await?;
                    }
                }
            }
        };
        let now = now_s(&*self.surface.ports.clock);
        let failed = match &outcome {
            None => Some(vanished()),
            Some(outcome) => outcome_fault(outcome),
        };
        let (end, usage) = match (&failed, &outcome) {
            (None, Some(outcome)) => (End::of(outcome.finish), outcome.usage),
            (Some(fault), Some(outcome)) => (End::failed(fault), outcome.usage),
            (_, None) => (End::failed(&vanished()), Usage::default()),
        };
        let whole = outcome.as_deref().filter(|_| failed.is_none());
        let snapshot = narration.end(&mut out, &end, whole, &usage, now);
        self.conclude(narration, out, end, snapshot, record, prior).await
    }

    /// Keeps the input of a request that wants no answer yet.
    async fn prime(&mut self, mut narration: Narration, record: Option<Record>, prior: Prior) -> Result<bool, Trouble> {
        let mut out = BytesMut::new();
        narration.begin(&mut out);
        let now = now_s(&*self.surface.ports.clock);
        let snapshot = narration.end(&mut out, &End::Completed, None, &Usage::default(), now);
        self.conclude(narration, out, End::Completed, snapshot, record, prior)
            .await
    }

    /// Stores the response, tells its end, and remembers it for the next turn.
    async fn conclude(
        &mut self,
        mut narration: Narration,
        mut out: BytesMut,
        end: End,
        snapshot: Vec<u8>,
        record: Option<Record>,
        mut prior: Prior,
    ) -> Result<bool, Trouble> {
        if let Some(record) = record {
            let ports = &self.surface.ports;
            let stored = record
                .store(ports.store.clone(), snapshot.clone(), ports.clock.now_ms())
                .await;
            stored.map_err(|error| keep::fault(&error))?;
        }
        narration.conclude(&mut out, &end, &snapshot);
        let completed = matches!(end, End::Completed | End::Incomplete(_));
        if completed {
            let output = std::str::from_utf8(&snapshot).ok().and_then(output_of);
            prior.lists.extend(output.map(Arc::from));
            self.last = Some((narration.answer().ids.response().to_owned(), prior));
        }
        self.send_lines(&mut out).await?;
        Ok(completed)
    }

    /// A message that came while a turn is at work.
    async fn queue(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        if self.waiting.push(text).is_ok() {
            return Ok(());
        }
        let fault = Fault::new(
            FaultKind::RateLimited,
            "Too many turns wait on this connection; send the next one later.",
        )
        .with_code("too_many_turns");
        self.send(vec![error_message(&fault)]).await
    }

    /// Sends every line as a message of its own.
    async fn send_lines(&mut self, out: &mut BytesMut) -> Result<(), Over> {
        if out.is_empty() {
            return Ok(());
        }
        let mut messages = Vec::new();
        let mut rest = out.split().freeze();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = rest.split_to(at + 1);
            line.truncate(at);
            // Events are JSON text.
            let text = Utf8Bytes::try_from(line).map_err(|_| Over(Some((1011, "an event is not text"))))?;
            messages.push(Message::Text(text));
        }
        self.send(messages).await
    }

    async fn send(&mut self, messages: Vec<Message>) -> Result<(), Over> {
        let socket = &mut self.socket;
        let sending = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        match timeout(SEND_WAIT, sending).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over(None)),
        }
    }
}

/// The text of a received message; `None`: nothing to answer.
fn taken(message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> Result<Option<Utf8Bytes>, Over> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Binary(_))) => Err(Over(Some((1003, "send text messages")))),
        Some(Ok(Message::Close(_))) | None => Err(Over(None)),
        Some(Ok(_)) => Ok(None),
        Some(Err(tokio_tungstenite::tungstenite::Error::Capacity(_))) => Err(Over(Some((1009, "message too large")))),
        Some(Err(error)) => {
            tracing::debug!(target: "ws", %error, "a responses socket broke");
            Err(Over(None))
        }
    }
}
