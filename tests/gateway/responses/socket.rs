//! The WebSocket form.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest as _};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::shapes::{Event, Response};
use super::{World, final_response, start, weather_tool};
use crate::support::gateway::TOKEN;
use crate::support::{PATIENCE, eventually};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl World {
    async fn socket(&self, token: &str) -> Result<Socket, Error> {
        let url = format!("ws://127.0.0.1:{}/v1/responses", self.gateway.port);
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Socket(socket))
    }
}

impl Socket {
    async fn send(&mut self, mut body: Value) {
        body["type"] = json!("response.create");
        body["model"] = json!("openclaw");
        self.0.send(Message::text(body.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap();
            match message.unwrap().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The events of the turn at work.
    async fn turn(&mut self) -> Response {
        let mut events = Vec::new();
        loop {
            let event = Event::read(&self.next().await);
            assert_eq!(event.sequence_number(), events.len() as u64);
            let is_last = event.end().is_some();
            events.push(event);
            if is_last {
                return final_response(&events).clone();
            }
        }
    }

    async fn error(&mut self) -> Value {
        let message: Value = serde_json::from_str(&self.next().await).unwrap();
        assert_eq!(message["type"], "error", "{message}");
        assert!(message["error"]["code"].is_string() && message["error"]["message"].is_string());
        message
    }
}

#[tokio::test]
async fn turns_follow_one_another_in_order() {
    let world = start().await;
    let mut socket = world.socket(TOKEN).await.unwrap();
    socket.send(json!({"input": "one [[say:first]]"})).await;
    socket.send(json!({"input": "two [[say:second]]"})).await;
    assert_eq!(socket.turn().await.text(), "first");
    let second = socket.turn().await;
    assert_eq!(second.text(), "second");
    let (status, _) = world.get(&format!("/v1/responses/{}", second.id)).await;
    assert_eq!(status, 200, "kept like any other");
}

#[tokio::test]
async fn what_is_not_stored_is_continued_on_its_connection_only() {
    let world = start().await;
    let mut socket = world.socket(TOKEN).await.unwrap();
    socket
        .send(json!({"store": false, "input": "w [[tool:get_weather]]", "tools": weather_tool()}))
        .await;
    let first = socket.turn().await;
    socket
        .send(
            json!({"store": false, "previous_response_id": first.id, "tools": weather_tool(),
            "input": [{"type": "function_call_output", "call_id": "call_1", "output": "sunny"}]}),
        )
        .await;
    let second = socket.turn().await;
    assert_eq!(second.text(), "Hello from the double.");
    let messages = world.model.seen()[1].body["messages"].clone();
    assert!(messages.to_string().contains("sunny"));

    let mut other = world.socket(TOKEN).await.unwrap();
    other
        .send(json!({"store": false, "previous_response_id": second.id, "input": "again"}))
        .await;
    let refused = other.error().await;
    assert_eq!(
        (&refused["status"], &refused["error"]["code"]),
        (&json!(400), &json!("previous_response_not_found"))
    );
    other.send(json!({"store": false, "input": "fresh"})).await;
    assert_eq!(other.turn().await.status, "completed");
}

#[tokio::test]
async fn a_turn_that_fails_forgets_what_it_continued() {
    let world = start().await;
    let mut socket = world.socket(TOKEN).await.unwrap();
    socket.send(json!({"store": false, "input": "hi"})).await;
    let first = socket.turn().await;
    socket
        .send(json!({"store": false, "previous_response_id": first.id, "input": "[[status:400]]"}))
        .await;
    assert_eq!(socket.error().await["status"], 400);
    socket
        .send(json!({"store": false, "previous_response_id": first.id, "input": "again"}))
        .await;
    assert_eq!(socket.error().await["error"]["code"], "previous_response_not_found");
}

#[tokio::test]
async fn input_can_be_sent_ahead() {
    let world = start().await;
    let mut socket = world.socket(TOKEN).await.unwrap();
    socket
        .send(json!({"store": false, "generate": false, "input": "ahead"}))
        .await;
    let primed = socket.turn().await;
    assert_eq!((primed.status.as_str(), primed.output.len()), ("completed", 0));
    assert!(world.model.seen().is_empty());
    socket
        .send(json!({"store": false, "previous_response_id": primed.id, "input": "now"}))
        .await;
    socket.turn().await;
    let texts: Vec<String> = world.model.seen()[0]
        .conversation()
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts[texts.len() - 2..], ["ahead", "now"]);
}

#[tokio::test]
async fn what_is_no_turn_is_an_error_and_the_connection_goes_on() {
    let world = start().await;
    assert!(matches!(world.socket("wrong").await, Err(Error::Http(refused)) if refused.status() == 401));
    let mut socket = world.socket(TOKEN).await.unwrap();
    for (message, param) in [
        (json!({"type": "response.cancel"}), json!("type")),
        (
            json!({"type": "response.create", "model": "openclaw", "input": "x", "background": true}),
            json!("background"),
        ),
        (json!({"type": "response.create", "model": "openclaw"}), json!("input")),
        (json!("x"), Value::Null),
    ] {
        socket.0.send(Message::text(message.to_string())).await.unwrap();
        let refused = socket.error().await;
        assert_eq!(
            (&refused["status"], &refused["error"]["param"]),
            (&json!(400), &param),
            "{message}"
        );
    }
    socket.send(json!({"input": "still there"})).await;
    assert_eq!(socket.turn().await.status, "completed");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call_of_the_provider() {
    let world = start().await;
    let mut socket = world.socket(TOKEN).await.unwrap();
    socket.send(json!({"input": "[[stall]]"})).await;
    eventually("the provider is asked", async || {
        (world.model.open() == 1).then_some(())
    })
    .await;
    drop(socket);
    eventually("the provider's stream is given up", async || {
        (world.model.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_turn_that_would_unfold_without_measure_is_refused() {
    let world = start().await;
    let mut socket = world.socket(TOKEN).await.unwrap();
    let zeros = vec![0; 300_000];
    socket.send(json!({"input": "x", "text": {"surplus": zeros}})).await;
    let error = socket.error().await;
    assert_eq!(error["status"], 400, "{error}");
    assert!(
        error["error"]["message"].as_str().unwrap().contains("JSON values"),
        "{error}"
    );
    socket.send(json!({"input": "still there?"})).await;
    assert_eq!(socket.turn().await.status, "completed");
}
