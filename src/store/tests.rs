//! Tests of the store on real files.

mod durability;
mod full;
mod groups;
mod history;
mod opening;
mod properties;
mod reads;
mod responses;
mod retention;
mod sessions;
mod turns;

use std::path::PathBuf;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;

/// A session key used where one is enough.
const KEY: &str = "agent:main:one";

/// A store in a directory of its own.
struct Fixture {
    store: Store,
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(&dir.path().join("state.db"), StoreOptions::default()).unwrap();
        Self { store, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }
}

fn new_run(run_id: &str, key: &str) -> NewRun {
    NewRun {
        run_id: run_id.to_owned(),
        session_key: key.to_owned(),
        agent_id: "main".to_owned(),
        source: "chat",
        send_allowed: None,
        request: format!("request of {run_id}"),
        now_ms: 1_000,
    }
}

fn message(role: &'static str, text: &str) -> NewMessage {
    NewMessage {
        role,
        body: serde_json::json!({ "role": role, "content": text }).to_string(),
    }
}

fn begin_run(run_id: &str, key: &str, text: &str) -> BeginRun {
    BeginRun {
        run_id: run_id.to_owned(),
        session_key: key.to_owned(),
        agent_id: "main".to_owned(),
        messages: vec![message("user", text)],
        now_ms: 2_000,
    }
}

fn finish_run(run_id: &str, key: &str, state: RunState, text: &str) -> FinishRun {
    FinishRun {
        run_id: run_id.to_owned(),
        session_key: key.to_owned(),
        state,
        messages: vec![message("assistant", text)],
        usage: [10, 20, 3, 4],
        prompt_tokens: 12,
        model: Some(("demo".to_owned(), "echo".to_owned())),
        error: None,
        stop_reason: None,
        result: Some(r#"{"status":"ok"}"#.to_owned()),
        now_ms: 3_000,
    }
}

fn append(key: &str, text: &str, now_ms: i64) -> AppendMessage {
    AppendMessage {
        session_key: key.to_owned(),
        agent_id: "main".to_owned(),
        message: message("assistant", text),
        now_ms,
    }
}

/// The texts of a session's messages, oldest first; checks that numbers have no gaps.
async fn texts(store: &Store, key: &str) -> Vec<String> {
    let messages = store.messages(key, None, 1_000_000).await.unwrap();
    for (message, seq) in messages.iter().zip(1..) {
        assert_eq!(message.seq, seq);
    }
    messages.iter().map(|message| text_of(&message.body)).collect()
}

fn text_of(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["content"].as_str().unwrap().to_owned()
}

/// What SQLite thinks of the file.
async fn integrity(store: &Store) -> String {
    let check = |conn: &Connection| Ok(conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?);
    store.write(check).await.unwrap()
}

/// Holds the writer until dropped or told to go on, so that commands gather behind it.
struct Hold {
    release: mpsc::Sender<()>,
}

impl Hold {
    async fn on(store: &Store) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (started, mut running) = tokio::sync::mpsc::channel(1);
        let held = store.clone();
        tokio::spawn(async move {
            held.write(move |_| {
                // The receiver ends with the hold.
                started.try_send(()).ok();
                released.recv().ok();
                Ok(())
            })
            .await
        });
        running.recv().await.unwrap();
        Self { release }
    }

    fn release(self) {
        self.release.send(()).unwrap();
    }
}

/// Lets other tasks run until `count` commands wait.
async fn queued(store: &Store, count: u64) {
    while store.stats().queue_depth < count {
        tokio::task::yield_now().await;
    }
}
