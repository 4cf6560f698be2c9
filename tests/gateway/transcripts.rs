//! Recorded conversations with a control client, replayed over a real socket.
//!
//! Each fixture is one connection, a JSON value a line: `{"in": frame}` is sent, `{"out": pattern}` must arrive (frames in
//! between that no pattern names, such as `health`, are skipped), `{"close": [code, reason]}` ends it. A pattern is
//! contained in its frame; `"<any>"` stands for any present value, `"<token>"` for the gateway's token.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::gateway::{TOKEN, TestGateway, config};
use crate::support::model::ModelDouble;
use crate::support::ws::WsClient;

fn contains(frame: &Value, pattern: &Value) -> bool {
    match pattern {
        Value::String(text) if text == "<any>" => !frame.is_null(),
        Value::Object(wanted) => wanted.iter().all(|(key, value)| contains(&frame[key], value)),
        Value::Array(wanted) => frame.as_array().is_some_and(|all| {
            all.len() == wanted.len() && all.iter().zip(wanted).all(|(item, pattern)| contains(item, pattern))
        }),
        other => frame == other,
    }
}

async fn replay(name: &str, steps: &[Value]) {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut client = WsClient::open(gateway.port).await;
    let mut looked_at = 0;
    for (number, step) in steps.iter().enumerate() {
        let line = format!("{name}, line {}", number + 1);
        if let Some(frame) = step.get("in") {
            client.send(frame).await;
        } else if let Some(pattern) = step.get("out") {
            loop {
                if let Some(at) = client.frames[looked_at..]
                    .iter()
                    .position(|frame| contains(frame, pattern))
                {
                    looked_at += at + 1;
                    break;
                }
                let seen = client.frames[looked_at..].to_vec();
                let frame = client.next().await;
                assert!(
                    frame.is_some(),
                    "{line}: closed with {:?} while waiting for {pattern}; saw {seen:#?}",
                    client.closed
                );
            }
        } else {
            let (code, reason) = client.wait_closed().await;
            assert_eq!(code, step["close"][0].as_u64().unwrap() as u16, "{line}");
            if step["close"][1] != "<any>" {
                assert_eq!(reason, step["close"][1].as_str().unwrap(), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn recorded_handshakes_and_chats_replay_clean() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts");
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 10, "fixtures are missing");
    for path in names {
        let text = fs::read_to_string(&path).unwrap().replace("<token>", TOKEN);
        let steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        replay(&path.file_stem().unwrap().to_string_lossy(), &steps).await;
    }
}
