//! State of other versions: an older one is opened with everything in it, a newer one is refused and left as it is.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, named_params};
use serde_json::json;

use crate::support::gateway::{TestGateway, config, user_says_as};
use crate::support::model::ModelDouble;

/// The schema of the first version. A script that was released never changes, so this is what that version left behind.
const FIRST_SCHEMA: &str = include_str!("../../src/store/migrations/0001_initial.sql");

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// State of the first version with one conversation: a message and its answer.
fn first_version(gateway: &TestGateway, key: &str, said: &str) {
    fs::create_dir_all(&gateway.state_dir).unwrap();
    let database = Connection::open(gateway.state_dir.join("state.db")).unwrap();
    database.execute_batch(FIRST_SCHEMA).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    let now = now_ms();
    database
        .execute(
            "INSERT INTO transcripts (number, session_id, session_key) VALUES (1, 'first', :key)",
            named_params! {":key": key},
        )
        .unwrap();
    database
        .execute(
            "INSERT INTO sessions (key, agent_id, transcript, session_id, created_at, session_started_at, updated_at,
                                   status, message_count)
             VALUES (:key, 'main', 1, 'first', :now, :now, :now, 'done', 2)",
            named_params! {":key": key, ":now": now},
        )
        .unwrap();
    for (seq, role, text) in [(1_i64, "user", said), (2, "assistant", "noted")] {
        let content = json!([{"type": "text", "text": text}]);
        database
            .execute(
                "INSERT INTO messages (place, id, role, created_at, body) VALUES (:place, :id, :role, :now, :body)",
                named_params! {
                    ":place": (1_i64 << 32) + seq,
                    ":id": format!("m{seq}"),
                    ":role": role,
                    ":now": now,
                    ":body": json!({"role": role, "content": content, "timestamp": now}).to_string(),
                },
            )
            .unwrap();
    }
}

#[tokio::test]
async fn state_of_the_first_version_is_opened_and_the_conversation_goes_on() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::prepare(&config(&model.base_url()));
    first_version(&gateway, "agent:main:openai-user:ann", "remember the heron");
    gateway.spawn();
    gateway.wait_ready().await;

    let request = user_says_as("ann", "what do you remember? [[say:a heron]]");
    let (status, body) = gateway.chat(&request).await;
    assert_eq!(status, 200, "{body}");
    let asked = model.seen_with("what do you remember?");
    assert_eq!(asked.len(), 1);
    let asked = asked[0].body.to_string();
    assert!(
        asked.contains("remember the heron") && asked.contains("noted"),
        "the model was sent {asked}"
    );
    let mut client = gateway.operator().await;
    let history = client
        .ok("chat.history", json!({"sessionKey": "agent:main:openai-user:ann"}))
        .await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 4, "{history}");
}

/// The schema version, and the bodies of all messages.
fn content(path: &Path) -> (i64, Vec<String>) {
    let database = Connection::open(path).unwrap();
    let version = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let mut bodies = database.prepare("SELECT body FROM messages ORDER BY place").unwrap();
    let bodies = bodies.query_map([], |row| row.get(0)).unwrap();
    (version, bodies.collect::<Result<_, _>>().unwrap())
}

#[tokio::test]
async fn state_of_a_newer_version_is_refused_by_name_and_left_alone() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::start(&config(&model.base_url())).await;
    let request = user_says_as("ann", "from the future [[say:noted]]");
    assert_eq!(gateway.chat(&request).await.0, 200);
    gateway.signal("TERM");
    assert!(gateway.wait_exit().await.success());
    let path = gateway.state_dir.join("state.db");
    let database = Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    let before = content(&path);
    assert_eq!((before.0, before.1.len()), (999, 2));

    let ended = tokio::task::spawn_blocking(move || (gateway.run_to_end(), gateway));
    // The files of the gateway go with it.
    let ((code, output), _gateway) = ended.await.unwrap();
    assert_eq!(code, Some(1), "{output}");
    for words in ["schema 999", "start the newer version", "restore a backup"] {
        assert!(output.contains(words), "{words:?} is not in {output}");
    }
    assert!(!output.contains("panicked"), "{output}");
    assert_eq!(content(&path), before);
}
