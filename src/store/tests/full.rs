//! Storage that fails: full, unwritable, lost connection.

use std::fs;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::*;

/// Lets the file grow by `pages` pages at most; `None`: as far as it wants.
async fn limit(store: &Store, pages: Option<u32>) {
    store
        .write(move |conn| {
            let now: u32 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let most = pages.map_or(1_000_000, |pages| now + pages);
            conn.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_with_its_own_error_and_loses_nothing_acknowledged() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.append_message(append(KEY, "early", 1)).await.unwrap();
    limit(store, Some(12)).await;
    let text = |number: usize| format!("{number} {}", "x".repeat(5_000));
    let mut kept = Vec::new();
    let mut refused = 0;
    for round in 0..3 {
        let writes = (0..8).map(|number| store.append_message(append(KEY, &text(round * 8 + number), 2)));
        for (number, outcome) in join_all(writes).await.into_iter().enumerate() {
            match outcome {
                Ok(appended) => kept.push((appended.seq, text(round * 8 + number))),
                Err(StoreError::Full(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(
        !kept.is_empty() && refused > 0,
        "{} kept, {refused} refused",
        kept.len()
    );
    // What fits still goes.
    store
        .put_documents("c", vec![("small".to_owned(), Some(serde_json::json!(1)))])
        .await
        .unwrap();

    limit(store, None).await;
    store.append_message(append(KEY, "late", 3)).await.unwrap();
    kept.sort();
    let mut expected: Vec<_> = kept.into_iter().map(|(_, text)| text).collect();
    expected.insert(0, "early".to_owned());
    expected.push("late".to_owned());
    assert_eq!(texts(store, KEY).await, expected);
    assert_eq!(integrity(store).await, "ok");
    store.close().await;
    let store = Store::open(&fixture.path(), StoreOptions::default()).unwrap();
    assert_eq!(texts(&store, KEY).await, expected);
}

#[tokio::test]
async fn a_connection_that_met_damage_is_replaced() {
    let Fixture { store, dir: _dir } = Fixture::new();
    limit(&store, Some(0)).await;
    let damage = store
        .write(|_| Err::<(), _>(StoreError::Corrupt("on purpose".to_owned())))
        .await;
    assert!(matches!(damage, Err(StoreError::Corrupt(_))));
    // The limit was the old connection's.
    let writes = (0..20).map(|_| store.append_message(append(KEY, &"x".repeat(5_000), 2)));
    for write in join_all(writes).await {
        write.unwrap();
    }
}

#[tokio::test]
async fn the_write_probe_notices_the_volume_and_remembers_for_a_second() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.check_writable().await.unwrap();
    let probe = fixture.dir.path().join("state.db-probe");
    assert!(!probe.exists());

    let pretend = async |at: Instant| {
        if let Some((last, _)) = &mut *store.0.probe.last.lock().await {
            *last = at;
        }
    };
    let long_ago = Instant::now() - Duration::from_secs(2);
    fs::create_dir(&probe).unwrap();
    pretend(long_ago).await;
    let error = store.check_writable().await.unwrap_err();
    assert!(error.to_string().contains("state.db-probe"), "{error}");
    fs::remove_dir(&probe).unwrap();
    pretend(Instant::now() + Duration::from_secs(3_600)).await;
    let commits = store.stats().commits;
    store.check_writable().await.unwrap_err();
    assert_eq!(store.stats().commits, commits);
    pretend(long_ago).await;
    store.check_writable().await.unwrap();
    assert_eq!(store.stats().commits, commits + 1);
}

#[tokio::test]
async fn the_write_probe_notices_a_database_that_cannot_commit() {
    let fixture = Fixture::new();
    let other = rusqlite::Connection::open(fixture.path()).unwrap();
    other
        .execute_batch("CREATE TRIGGER stop BEFORE INSERT ON probe BEGIN SELECT RAISE(ABORT, 'stopped'); END")
        .unwrap();
    let error = fixture.store.check_writable().await.unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
}
