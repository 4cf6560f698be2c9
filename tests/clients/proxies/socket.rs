//! A control-plane connection through a proxy.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use super::proxy::{Proxy, person};

pub struct Socket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
}

impl Socket {
    /// Opens the socket as `name` and says who the client is; returns with the answer to that.
    pub async fn connect(proxy: &Proxy, name: &str) -> (Self, Value) {
        Self::connect_at(proxy, "/", name).await
    }

    /// The same at another path.
    pub async fn connect_at(proxy: &Proxy, path: &str, name: &str) -> (Self, Value) {
        let tls = proxy.connect(b"http/1.1").await;
        let url = format!("wss://localhost:{}{path}", proxy.port);
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("authorization", person(name).parse().unwrap());
        let (stream, _) = tokio_tungstenite::client_async(request, tls).await.unwrap();
        let mut socket = Self { stream };
        let connect = json!({"type": "req", "id": "1", "method": "connect", "params": {
            "minProtocol": 3, "maxProtocol": 3, "role": "operator", "scopes": [], "caps": [],
            "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux", "mode": "backend"},
        }});
        socket.stream.send(Message::text(connect.to_string())).await.unwrap();
        let answer = socket.find(|frame| frame["type"] == "res").await;
        (socket, answer)
    }

    /// The next frame that is `wanted`; others are dropped. Panics when the socket closes.
    pub async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.stream.next().await.expect("an open socket").unwrap();
            if let Message::Text(text) = message {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if wanted(&frame) {
                    return frame;
                }
            }
        }
    }
}
