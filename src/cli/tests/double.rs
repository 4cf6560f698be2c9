//! A gateway double on its own thread: real sockets, scripted answers.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What the double does with one request (`connect` included).
pub enum Answer {
    /// A successful response.
    Payload(Value),
    /// Two successful responses.
    Twice(Value, Value),
    /// An error response.
    Error(Value),
    /// An error response, then a close frame.
    Refuse(Value, u16, &'static str),
    /// A close frame and no response.
    Close(u16, &'static str),
    /// Nothing, ever.
    Silence,
}

/// Answers the n-th request (from 0, all connections counted) with this method and these params.
type Script = dyn FnMut(usize, &str, &Value) -> Answer + Send;

/// A running double.
pub struct Double {
    pub port: u16,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    _stop: oneshot::Sender<()>,
}

impl Double {
    /// Starts one. Requests that the script is asked for do not include `connect`, which succeeds.
    pub fn answering(mut script: impl FnMut(&str, &Value) -> Answer + Send + 'static) -> Self {
        Self::scripted(move |_, method, params| match method {
            "connect" => Answer::Payload(hello(params)),
            method => script(method, params),
        })
    }

    /// Starts one whose script also answers `connect`.
    pub fn scripted(script: impl FnMut(usize, &str, &Value) -> Answer + Send + 'static) -> Self {
        Self::start(None, Box::new(script))
    }

    /// Starts one that accepts everything over TLS.
    pub fn secure(acceptor: TlsAcceptor) -> Self {
        Self::start(
            Some(acceptor),
            Box::new(|_, method, params| match method {
                "connect" => Answer::Payload(hello(params)),
                _ => Answer::Payload(json!({ "ok": true })),
            }),
        )
    }

    fn start(acceptor: Option<TlsAcceptor>, script: Box<Script>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, acceptor, record, script) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            port,
            seen,
            _stop: stop,
        }
    }

    /// Params of every request with this method, in order.
    pub fn requests(&self, method: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|(name, _)| name == method)
            .map(|(_, params)| params.clone())
            .collect()
    }
}

/// A plain `hello-ok` that grants what was asked for.
pub fn hello(params: &Value) -> Value {
    json!({
        "type": "hello-ok",
        "protocol": 4,
        "server": { "version": "2026.5.7", "connId": "c-1" },
        "auth": { "role": "operator", "scopes": params["scopes"] },
    })
}

async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    mut script: Box<Script>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        match &acceptor {
            None => {
                let _ended = converse(stream, &seen, &mut script).await;
            }
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ended = converse(stream, &seen, &mut script).await;
                }
            }
        }
    }
}

/// One connection; ends when either side closes it.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    seen: &Mutex<Vec<(String, Value)>>,
    script: &mut Box<Script>,
) -> Option<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    let challenge =
        json!({ "type": "event", "event": "connect.challenge", "payload": { "nonce": "nonce-1", "ts": 1 } });
    socket.send(Message::text(challenge.to_string())).await.ok()?;
    loop {
        let Message::Text(text) = socket.next().await?.ok()? else {
            continue;
        };
        let request: Value = serde_json::from_str(text.as_str()).unwrap();
        let (method, params) = (
            request["method"].as_str().unwrap().to_owned(),
            request["params"].clone(),
        );
        let count = seen.lock().unwrap().len();
        let answer = script(count, &method, &params);
        seen.lock().unwrap().push((method, params));
        let ok = |payload: &Value| json!({ "type": "res", "id": request["id"], "ok": true, "payload": payload });
        let failed = |error: &Value| json!({ "type": "res", "id": request["id"], "ok": false, "error": error });
        let noise = json!({ "type": "event", "event": "tick", "payload": { "ts": 2 }, "seq": 1 });
        let (frames, close) = match answer {
            Answer::Payload(payload) => (vec![noise, ok(&payload)], None),
            Answer::Twice(first, second) => (vec![ok(&first), noise, ok(&second)], None),
            Answer::Error(error) => (vec![failed(&error)], None),
            Answer::Refuse(error, code, reason) => (vec![failed(&error)], Some((code, reason))),
            Answer::Close(code, reason) => (vec![], Some((code, reason))),
            Answer::Silence => (vec![], None),
        };
        for frame in frames {
            socket.send(Message::text(frame.to_string())).await.ok()?;
        }
        if let Some((code, reason)) = close {
            let frame = CloseFrame {
                code: code.into(),
                reason: reason.into(),
            };
            socket.close(Some(frame)).await.ok()?;
        }
    }
}
