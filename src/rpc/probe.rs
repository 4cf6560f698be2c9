//! The liveness probe: a real connect over an in-memory connection, from challenge to hello-ok.
//!
//! It goes through framing, the request parser, the registry, the client table and the hello builder. Its caller is given
//! to the connection as a value, not as a credential, so there is nothing that could be sent from outside; and that caller
//! has no scope at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use super::surface::{Surface, UpgradeFacts};
use crate::domain::{AuthMethod, Principal, Role, ScopeSet};

/// Bytes that the in-memory connection holds.
const PIPE: usize = 16 * 1024;

/// Connects to the surface from within. `Err` says at which step it failed or that `deadline` passed.
pub async fn self_handshake(surface: &Surface, deadline: Duration) -> Result<(), String> {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let client = async {
        let peer = WebSocketStream::from_raw_socket(theirs, Side::Client, None).await;
        let reached = visit(peer).await;
        reached.map_err(|step| format!("self-handshake failed: {step}"))
    };
    let both = async {
        let served = Box::pin(surface.serve(ours, facts()));
        let client = std::pin::pin!(client);
        match futures_util::future::select(served, client).await {
            futures_util::future::Either::Left(((), client)) => client.await,
            futures_util::future::Either::Right((reached, _)) => reached,
        }
    };
    tokio::time::timeout(deadline, Box::pin(both))
        .await
        .unwrap_or_else(|_| Err(format!("no hello-ok within {} ms", deadline.as_millis())))
}

fn facts() -> UpgradeFacts {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut facts = UpgradeFacts::new(SocketAddr::new(ip, 0), HeaderMap::new(), Bytes::new(), None);
    facts.internal = Some(Principal {
        role: Role::Operator,
        scopes: ScopeSet::none(),
        method: AuthMethod::None,
        user: None,
        device: None,
        client_ip: ip,
        local_direct: true,
    });
    facts
}

async fn visit(mut peer: WebSocketStream<DuplexStream>) -> Result<(), String> {
    let challenge = next(&mut peer).await?;
    if challenge.get("event").and_then(Value::as_str) != Some("connect.challenge") {
        return Err("the first frame is no challenge".to_owned());
    }
    let connect = json!({
        "type": "req",
        "id": "self",
        "method": "connect",
        "params": {
            "minProtocol": 3,
            "maxProtocol": 4,
            "client": {
                "id": "openclaw-probe",
                "version": env!("CARGO_PKG_VERSION"),
                "platform": std::env::consts::OS,
                "mode": "probe",
            },
        },
    });
    peer.send(Message::text(connect.to_string()))
        .await
        .map_err(|error| error.to_string())?;
    let answer = next(&mut peer).await?;
    match answer.pointer("/payload/type").and_then(Value::as_str) {
        Some("hello-ok") => Ok(()),
        _ => Err(answer
            .pointer("/error/message")
            .and_then(Value::as_str)
            .unwrap_or("the answer is no hello-ok")
            .to_owned()),
    }
}

async fn next(peer: &mut WebSocketStream<DuplexStream>) -> Result<Value, String> {
    match peer.next().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Some(Ok(other)) => Err(format!("unexpected frame: {other:?}")),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the connection was closed".to_owned()),
    }
}
