//! A scripted model provider. It speaks chat completions here and every other dialect in `dialects`.
//!
//! The newest user message picks the behaviour: `[[say:TEXT]]`, `[[slow:MS]]` (six pieces with pauses), `[[stall]]`
//! (one piece, then silence), `[[silent]]`, `[[cut]]`, `[[garbage]]`, `[[status:CODE]]`, `[[tool:NAME]]` (or several, with
//! commas), `[[length]]`, `[[only:KEY:CODE]]` (any other credential is refused with that status), `[[raw]]` followed by SSE
//! text, `[[steps:N]]` (pieces `t0 `, `t1 `, ... each sent once it is confirmed), `[[together:N:ID]]` (five pieces `ID.0 `,
//! ... each sent when N such answers are ready to send theirs). Without a directive it answers `Hello from the double.`.
//!
//! Embeddings are `[0.5, 0.25, -1.0]` for every text.
//!
//! Client programs reach it at `/control/open` (answers being written), `/control/last` (newest request body) and
//! `POST /control/confirm`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Semaphore, mpsc};

use super::dialects;

/// One request as the provider saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub body: Value,
    /// The `authorization` header.
    pub authorization: Option<String>,
    /// The `traceparent` header.
    pub traceparent: Option<String>,
    /// The credential, from whichever header it came in.
    pub key: String,
}

impl Seen {
    /// Text of the newest user message.
    pub fn prompt(&self) -> String {
        newest_user_text(&self.body)
    }

    /// The conversation as `(role, text)`.
    pub fn conversation(&self) -> Vec<(String, String)> {
        self.body["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|message| {
                (
                    message["role"].as_str().unwrap_or_default().to_owned(),
                    text_of(&message["content"]),
                )
            })
            .collect()
    }
}

pub(super) struct Shared {
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    confirmed: Semaphore,
    /// One per number of answers that go together.
    rounds: Mutex<HashMap<usize, Arc<Barrier>>>,
}

impl Shared {
    fn round(&self, size: usize) -> Arc<Barrier> {
        let mut rounds = self.rounds.lock().unwrap();
        Arc::clone(rounds.entry(size).or_insert_with(|| Arc::new(Barrier::new(size))))
    }
}

/// A running provider double.
pub struct ModelDouble {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl ModelDouble {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
            confirmed: Semaphore::new(0),
            rounds: Mutex::default(),
        });
        let app = Router::new()
            .route(
                "/v1/chat/completions",
                post(complete).layer(DefaultBodyLimit::disable()),
            )
            .route("/v1/embeddings", post(embed))
            .route("/control/open", get(open_answers))
            .route("/control/last", get(last_body))
            .route("/control/confirm", post(confirm))
            .merge(dialects::routes())
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            shared,
            server,
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Requests whose newest user message contains `text`.
    pub fn seen_with(&self, text: &str) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.prompt().contains(text))
            .collect()
    }

    /// Lets the next piece of a `[[steps:N]]` answer go.
    pub fn confirm(&self) {
        self.shared.confirmed.add_permits(1);
    }

    /// Answers that are being written now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for ModelDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// In every dialect: results of tools are turns of the user too, but say nothing.
fn newest_user_text(body: &Value) -> String {
    ["messages", "input", "contents"]
        .iter()
        .filter_map(|key| body[key].as_array())
        .flatten()
        .rev()
        .filter(|turn| turn["role"] == "user")
        .map(|turn| text_of(&turn["content"]) + &text_of(&turn["parts"]))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn directive(text: &str) -> Option<(String, String)> {
    let start = text.rfind("[[")?;
    let end = text[start..].find("]]")? + start;
    let inner = &text[start + 2..end];
    let (name, argument) = inner.split_once(':').unwrap_or((inner, ""));
    Some((name.to_owned(), argument.to_owned()))
}

async fn open_answers(State(shared): State<Arc<Shared>>) -> String {
    shared.open.load(Ordering::SeqCst).to_string()
}

async fn last_body(State(shared): State<Arc<Shared>>) -> Response {
    let newest = shared.seen.lock().unwrap().last().map(|seen| seen.body.clone());
    axum::Json(newest).into_response()
}

async fn confirm(State(shared): State<Arc<Shared>>) {
    shared.confirmed.add_permits(1);
}

async fn complete(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (text, mut name, argument) = script(&shared, &headers, &body);
    let after_tool = body["messages"]
        .as_array()
        .and_then(|all| all.last())
        .is_some_and(|last| last["role"] == "tool");
    if name == "tool" && after_tool {
        name.clear();
    }
    match name.as_str() {
        "status" => {
            let code: u16 = argument.parse().unwrap();
            let body = json!({"error": {"message": format!("double says {code}"), "type": "test"}}).to_string();
            (
                StatusCode::from_u16(code).unwrap(),
                [("content-type", "application/json"), ("retry-after", "1")],
                body,
            )
                .into_response()
        }
        "garbage" => ([("content-type", "application/json")], "<html>not json").into_response(),
        _ => {
            let pieces = match name.as_str() {
                "tool" => tool_pieces(&argument),
                _ => pieces(&shared, &name, &argument, &text),
            };
            if body["stream"] == true {
                stream(&shared, pieces)
            } else {
                whole(&shared, pieces).await
            }
        }
    }
}

/// The same vector for every text, at four tokens each.
async fn embed(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    script(&shared, &headers, &body);
    let count = body["input"].as_array().map_or(1, Vec::len);
    let vector = match body["encoding_format"].as_str() {
        // 0.5, 0.25 and -1.0 as little-endian floats.
        Some("base64") => json!("AAAAPwAAgD4AAIC/"),
        _ => json!([0.5, 0.25, -1.0]),
    };
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let usage = json!({"prompt_tokens": 4 * count, "total_tokens": 4 * count});
    axum::Json(json!({"object": "list", "data": data, "model": "m1", "usage": usage})).into_response()
}

/// Notes a request and returns its text and what it asks for.
pub(super) fn script(shared: &Shared, headers: &HeaderMap, body: &Value) -> (String, String, String) {
    let key = ["authorization", "x-api-key", "x-goog-api-key"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .unwrap_or_default()
        .trim_start_matches("Bearer ")
        .to_owned();
    let text = newest_user_text(body);
    let (mut name, mut argument) = directive(&text).unwrap_or_default();
    if name == "only" {
        let (wanted, code) = argument.split_once(':').unwrap();
        (name, argument) = if wanted == key {
            (String::new(), String::new())
        } else {
            ("status".to_owned(), code.to_owned())
        };
    }
    let authorization = headers.get("authorization");
    let seen = Seen {
        body: body.clone(),
        authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
        traceparent: headers
            .get("traceparent")
            .map(|value| value.to_str().unwrap().to_owned()),
        key,
    };
    shared.seen.lock().unwrap().push(seen);
    (text, name, argument)
}

/// What a stream does next.
pub(super) enum Piece {
    Text(String),
    Raw(String),
    /// A call: its place among the calls, and the tool.
    Tool(usize, String),
    Pause(Duration),
    Confirmed,
    Together(Arc<Barrier>),
    Finish(&'static str),
    Cut,
}

pub(super) fn pieces(shared: &Shared, name: &str, argument: &str, text: &str) -> Vec<Piece> {
    let forever = Duration::from_secs(600);
    match name {
        "say" => vec![Piece::Text(argument.to_owned()), Piece::Finish("stop")],
        "slow" => {
            let pause = Duration::from_millis(argument.parse().unwrap());
            let mut all: Vec<Piece> = (0..6)
                .flat_map(|n| [Piece::Text(format!("piece{n} ")), Piece::Pause(pause)])
                .collect();
            all.push(Piece::Finish("stop"));
            all
        }
        "stall" => vec![Piece::Text("partial ".to_owned()), Piece::Pause(forever)],
        "silent" => vec![Piece::Pause(forever)],
        "cut" => vec![
            Piece::Text("half of the ".to_owned()),
            Piece::Text("answer".to_owned()),
            Piece::Cut,
        ],
        "steps" => {
            let mut all: Vec<Piece> = (0..argument.parse().unwrap())
                .flat_map(|n: usize| [Piece::Confirmed, Piece::Text(format!("t{n} "))])
                .collect();
            all.push(Piece::Finish("stop"));
            all
        }
        "together" => {
            let (size, id) = argument.split_once(':').unwrap();
            let round = shared.round(size.parse().unwrap());
            let mut all: Vec<Piece> = (0..5)
                .flat_map(|n| [Piece::Together(Arc::clone(&round)), Piece::Text(format!("{id}.{n} "))])
                .collect();
            all.push(Piece::Finish("stop"));
            all
        }
        "length" => vec![Piece::Text("truncated".to_owned()), Piece::Finish("length")],
        "raw" => vec![Piece::Raw(text.split("[[raw]]").nth(1).unwrap_or_default().to_owned())],
        _ => vec![
            Piece::Text("Hello".to_owned()),
            Piece::Text(" from".to_owned()),
            Piece::Text(" the double.".to_owned()),
            Piece::Finish("stop"),
        ],
    }
}

pub(super) fn tool_pieces(names: &str) -> Vec<Piece> {
    let calls = names.split(',').enumerate();
    let mut pieces: Vec<Piece> = calls.map(|(index, name)| Piece::Tool(index, name.to_owned())).collect();
    pieces.push(Piece::Finish("tool_calls"));
    pieces
}

fn tool_call(index: usize, name: &str) -> Value {
    json!({"index": index, "id": format!("call_{}", index + 1), "type": "function",
        "function": {"name": name, "arguments": "{\"a\":1}"}})
}

/// Counts an answer as open while it lives.
struct OpenGuard(Arc<Shared>);

impl OpenGuard {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn stream(shared: &Arc<Shared>, pieces: Vec<Piece>) -> Response {
    stream_as(shared, pieces, "text/event-stream", encode)
}

fn encode(piece: &Piece) -> String {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m1",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    match piece {
        Piece::Text(text) => chunk(json!({"content": text}), Value::Null),
        Piece::Tool(index, name) => chunk(json!({"tool_calls": [tool_call(*index, name)]}), Value::Null),
        Piece::Finish(reason) => {
            let usage = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m1",
                "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}});
            format!("{}data: {usage}\n\ndata: [DONE]\n\n", chunk(json!({}), json!(reason)))
        }
        _ => String::new(),
    }
}

/// Plays the pieces, each written by `encode`.
pub(super) fn stream_as(
    shared: &Arc<Shared>,
    pieces: Vec<Piece>,
    content_type: &'static str,
    encode: fn(&Piece) -> String,
) -> Response {
    let guard = OpenGuard::new(shared);
    let shared = Arc::clone(shared);
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    tokio::spawn(async move {
        let _guard = guard;
        for piece in pieces {
            let sent = match &piece {
                Piece::Raw(text) => sender.send(Ok(Bytes::from(text.clone()))).await,
                Piece::Confirmed => {
                    tokio::select! {
                        permit = shared.confirmed.acquire() => { permit.unwrap().forget(); Ok(()) }
                        () = sender.closed() => return,
                    }
                }
                Piece::Together(round) => {
                    tokio::select! {
                        _ = round.wait() => Ok(()),
                        () = sender.closed() => return,
                    }
                }
                Piece::Pause(pause) => {
                    tokio::select! {
                        () = tokio::time::sleep(*pause) => Ok(()),
                        () = sender.closed() => return,
                    }
                }
                Piece::Cut => sender.send(Err(std::io::Error::other("cut"))).await,
                said => sender.send(Ok(Bytes::from(encode(said)))).await,
            };
            if sent.is_err() {
                return;
            }
        }
    });
    let body = tokio_stream(receiver);
    ([("content-type", content_type)], Body::from_stream(body)).into_response()
}

fn tokio_stream<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> + Send {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    })
    .fuse()
}

async fn whole(shared: &Arc<Shared>, pieces: Vec<Piece>) -> Response {
    let _guard = OpenGuard::new(shared);
    let mut content = String::new();
    let mut finish = "stop";
    let mut calls = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => content.push_str(&text),
            Piece::Raw(text) => return text.into_response(),
            Piece::Pause(pause) => tokio::time::sleep(pause).await,
            Piece::Finish(reason) => finish = reason,
            Piece::Tool(index, name) => calls.push(tool_call(index, &name)),
            Piece::Confirmed => shared.confirmed.acquire().await.unwrap().forget(),
            Piece::Together(round) => {
                round.wait().await;
            }
            Piece::Cut => {
                let body = futures_util::stream::iter([
                    Ok::<_, std::io::Error>(Bytes::from_static(b"{\"id\":")),
                    Err(std::io::Error::other("cut")),
                ]);
                return Body::from_stream(body).into_response();
            }
        }
    }
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    axum::Json(
        json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}),
    )
    .into_response()
}
