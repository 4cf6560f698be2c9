//! A control-plane client that keeps every frame it saw.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::PATIENCE;
use super::gateway::TOKEN;

pub struct WsClient {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Every frame received so far, in order.
    pub frames: Vec<Value>,
    /// Close code and reason, once the gateway closed.
    pub closed: Option<(u16, String)>,
    next_id: u32,
}

/// Parameters of a `connect` that a local backend sends.
pub fn connect_params(scopes: &[&str]) -> Value {
    json!({
        "minProtocol": 3, "maxProtocol": 3,
        "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux", "mode": "backend"},
        "role": "operator", "scopes": scopes, "caps": [], "auth": {"token": TOKEN},
    })
}

impl WsClient {
    /// Opens a socket; nothing is sent.
    pub async fn open(port: u16) -> Self {
        Self::open_with(port, &[]).await
    }

    /// Opens a socket with extra request headers.
    pub async fn open_with(port: u16, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://127.0.0.1:{port}/").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        Self {
            socket,
            frames: Vec::new(),
            closed: None,
            next_id: 0,
        }
    }

    /// An operator with all default scopes.
    pub async fn operator(port: u16) -> Self {
        let scopes = [
            "operator.admin",
            "operator.read",
            "operator.write",
            "operator.approvals",
            "operator.pairing",
        ];
        Self::connected(port, connect_params(&scopes)).await
    }

    /// Connects with `params`; panics unless accepted.
    pub async fn connected(port: u16, params: Value) -> Self {
        let mut client = Self::open(port).await;
        let answer = client.call("connect", params).await;
        assert_eq!(answer["payload"]["type"], "hello-ok", "connect refused: {answer}");
        client
    }

    pub async fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame, or `None` when the gateway closed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .expect("a frame in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    self.frames.push(frame.clone());
                    return Some(frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    self.closed = Some(frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    }));
                    return None;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.closed.get_or_insert((1006, String::new()));
                    return None;
                }
            }
        }
    }

    /// Sends a request and returns its id.
    pub async fn request(&mut self, method: &str, params: Value) -> String {
        self.next_id += 1;
        let id = format!("r{}", self.next_id);
        self.send(&json!({"type": "req", "id": id, "method": method, "params": params}))
            .await;
        id
    }

    /// The next response to `id`; other frames that arrive before it are kept. Responses to several requests come in
    /// any order, and one request may have more than one.
    pub async fn response(&mut self, id: &str) -> Value {
        let frame = self
            .find("response", |frame| frame["type"] == "res" && frame["id"] == id)
            .await;
        if let Some(taken) = self.frames.iter().position(|kept| *kept == frame) {
            self.frames.remove(taken);
        }
        frame
    }

    /// Request and response.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.response(&id).await
    }

    /// The payload of a call that must succeed.
    pub async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["payload"].clone()
    }

    /// The error of a call that must fail.
    pub async fn err(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert_eq!(answer["ok"], false, "{method}: {answer}");
        answer["error"].clone()
    }

    /// The first frame that satisfies `wanted`, among those seen and those to come.
    pub async fn find(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        if let Some(frame) = self.frames.iter().find(|frame| wanted(frame)) {
            return frame.clone();
        }
        while let Some(frame) = self.next().await {
            if wanted(&frame) {
                return frame;
            }
        }
        panic!("closed with {:?} before: {what}", self.closed)
    }

    /// Waits for the `chat` event that ends `run_id`.
    pub async fn chat_end(&mut self, run_id: &str) -> Value {
        self.find("terminal chat event", |frame| {
            frame["event"] == "chat"
                && frame["payload"]["runId"] == run_id
                && matches!(frame["payload"]["state"].as_str(), Some("final" | "error" | "aborted"))
        })
        .await["payload"]
            .clone()
    }

    /// Reads until the gateway closes; returns code and reason.
    pub async fn wait_closed(&mut self) -> (u16, String) {
        while self.closed.is_none() {
            self.next().await;
        }
        self.closed.clone().unwrap()
    }

    /// Reads whatever arrives within `time`.
    pub async fn drain(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(until, self.socket.next()).await {
            if let Message::Text(text) = message {
                self.frames.push(serde_json::from_str(&text).unwrap());
            }
        }
    }
}
