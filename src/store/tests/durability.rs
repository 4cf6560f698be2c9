//! Crashes: what was answered is there afterwards, once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Tells the child process where to write.
const DIR: &str = "OPENCLAW_TEST_CRASH_DIR";

/// Not a test of its own: the process that gets killed. Prints each run id that was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn writes_until_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = Store::open(&std::path::Path::new(&dir).join("state.db"), StoreOptions::default()).unwrap();
    let turns = (0..8).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = format!("agent:main:w{worker}");
            for turn in 0_u32.. {
                let id = format!("{worker}-{turn}");
                let begin = (turn % 2 == 0).then(|| begin_run(&id, &key, &id));
                store.accept_run(new_run(&id, &key), begin).await.unwrap();
                println!("\nacked {id}");
                if turn % 4 == 0 {
                    store
                        .finish_run(finish_run(&id, &key, RunState::Ok, "done"))
                        .await
                        .unwrap();
                    println!("\nended {id}");
                }
            }
        })
    });
    futures_util::future::join_all(turns).await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_had_acknowledged() {
    let dir = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::tests::durability::writes_until_killed",
            "--nocapture",
        ])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut acked: Vec<String> = lines.by_ref().filter(|line| !line.is_empty()).take(300).collect();
    child.kill().unwrap();
    // What it had printed before the signal counts too.
    acked.extend(lines);
    child.wait().unwrap();

    let store = Store::open(&dir.path().join("state.db"), StoreOptions::default()).unwrap();
    let recovery = store.recover(9_000).await.unwrap();
    let pending: Vec<_> = recovery.pending.iter().map(|run| run.run_id.as_str()).collect();
    let (mut runs, mut ended) = (0, 0);
    for line in &acked {
        if let Some(id) = line.strip_prefix("acked ") {
            runs += 1;
            let run = store.run(id).await.unwrap().unwrap_or_else(|| panic!("{id} is lost"));
            let odd = id.ends_with(['1', '3', '5', '7', '9']);
            assert_eq!(pending.contains(&id), odd, "{id}");
            if !odd {
                let all = texts(&store, &run.session_key).await;
                assert_eq!(all.iter().filter(|text| *text == id).count(), 1);
            }
        } else if let Some(id) = line.strip_prefix("ended ") {
            ended += 1;
            assert_eq!(store.run(id).await.unwrap().unwrap().state, RunState::Ok);
        }
    }
    assert!(runs > 100 && ended > 30, "{runs} runs, {ended} ended");
    let page = store.sessions(SessionQuery::default()).await.unwrap();
    assert!(page.rows.iter().all(|row| row.status.as_deref() != Some("running")));
    assert_eq!(integrity(&store).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_files_taken_amid_writes_opens_with_everything_acknowledged_before() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for number in 0..20 {
        store.append_message(append(KEY, &number.to_string(), 1)).await.unwrap();
    }
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            // Few enough that the log is not copied back while it is read.
            for number in 20..60 {
                store.append_message(append(KEY, &number.to_string(), 1)).await.unwrap();
            }
        })
    };
    let copy = TempDir::new().unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(fixture.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    writing.await.unwrap();
    let store = Store::open(&copy.path().join("state.db"), StoreOptions::default()).unwrap();
    let texts = texts(&store, KEY).await;
    assert!(texts.len() >= 20);
    assert_eq!(
        texts,
        (0..texts.len()).map(|number| number.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(integrity(&store).await, "ok");
}

#[tokio::test]
async fn a_store_that_is_dropped_without_closing_leaves_everything() {
    let fixture = Fixture::new();
    fixture.store.append_message(append(KEY, "hi", 1)).await.unwrap();
    let path = fixture.path();
    let Fixture { store, dir: _dir } = fixture;
    drop(store);
    let store = Store::open(&path, StoreOptions::default()).unwrap();
    assert_eq!(texts(&store, KEY).await, ["hi"]);
}
