//! Group commit: sharing, isolation, order, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;

use super::*;
use crate::store::writer::QUEUE;

fn put(store: &Store, key: String) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
    let store = store.clone();
    async move { store.put_documents("c", vec![(key, Some(serde_json::json!(1)))]).await }
}

#[tokio::test]
async fn writers_that_wait_together_share_one_commit() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let hold = Hold::on(&store).await;
    let before = store.stats();
    let writes: Vec<_> = (0..200).map(|n| tokio::spawn(put(&store, n.to_string()))).collect();
    queued(&store, 200).await;
    hold.release();
    for write in join_all(writes).await {
        write.unwrap().unwrap();
    }
    let after = store.stats();
    assert_eq!(after.commands - before.commands, 201);
    // The held command's and the group's.
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(after.queue_depth, 0);
    assert!(after.db_bytes > 0);
    assert_eq!(store.documents("c").await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_failing_or_panicking_command_does_not_take_its_group_along() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let hold = Hold::on(&store).await;
    let first = tokio::spawn(put(&store, "first".to_owned()));
    queued(&store, 1).await;
    let half_done = |end: fn() -> StoreError| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |conn| {
                    documents::put(conn, "c", &[("half".to_owned(), Some(serde_json::json!(1)))])?;
                    Err::<(), _>(end())
                })
                .await
        })
    };
    let failing = half_done(|| StoreError::Failed("no".to_owned()));
    queued(&store, 2).await;
    let panicking = half_done(|| panic!("on purpose"));
    queued(&store, 3).await;
    let last = tokio::spawn(put(&store, "last".to_owned()));
    queued(&store, 4).await;
    hold.release();
    first.await.unwrap().unwrap();
    assert_eq!(
        failing.await.unwrap().unwrap_err().to_string(),
        "state database failed: no"
    );
    assert!(panicking.await.unwrap().unwrap_err().to_string().contains("panicked"));
    last.await.unwrap().unwrap();
    let keys: Vec<_> = store
        .documents("c")
        .await
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["first", "last"]);
}

#[tokio::test]
async fn a_queued_write_is_carried_out_when_its_caller_goes_away() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let hold = Hold::on(&store).await;
    let write = tokio::spawn(put(&store, "orphan".to_owned()));
    queued(&store, 1).await;
    write.abort();
    hold.release();
    put(&store, "other".to_owned()).await.unwrap();
    assert_eq!(store.documents("c").await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_answers_overloaded_after_a_short_wait() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let hold = Hold::on(&store).await;
    let writes: Vec<_> = (0..QUEUE).map(|n| tokio::spawn(put(&store, n.to_string()))).collect();
    queued(&store, u64::try_from(QUEUE).unwrap()).await;
    let refused = put(&store, "too many".to_owned()).await;
    assert!(matches!(refused, Err(StoreError::Overloaded)), "{refused:?}");
    hold.release();
    for write in join_all(writes).await {
        write.unwrap().unwrap();
    }
    put(&store, "again".to_owned()).await.unwrap();
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_empties_the_log() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    put(store, "before".to_owned()).await.unwrap();
    store.documents("c").await.unwrap();
    let hold = Hold::on(store).await;
    let writes: Vec<_> = (0..300).map(|n| tokio::spawn(put(store, n.to_string()))).collect();
    queued(store, 300).await;
    let closing = store.clone();
    let closing = tokio::spawn(async move { closing.close().await });
    while !matches!(store.session(KEY).await, Err(StoreError::Closed)) {
        tokio::task::yield_now().await;
    }
    let late = put(store, "late".to_owned()).await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    hold.release();
    for write in join_all(writes).await {
        write.unwrap().unwrap();
    }
    closing.await.unwrap();
    assert!(matches!(store.session(KEY).await, Err(StoreError::Closed)));
    assert!(matches!(store.check_writable().await, Err(StoreError::Closed)));
    assert!(!fixture.dir.path().join("state.db-wal").exists());
    let reopened = Store::open(&fixture.path(), StoreOptions::default()).unwrap();
    assert_eq!(reopened.documents("c").await.unwrap().len(), 301);
}

#[tokio::test]
async fn a_lost_transaction_is_repeated_command_by_command() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let hold = Hold::on(&store).await;
    let good = tokio::spawn(put(&store, "good".to_owned()));
    queued(&store, 1).await;
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let losing = store.clone();
    let losing = tokio::spawn(async move {
        losing
            .write(move |conn| {
                counted.fetch_add(1, Ordering::Relaxed);
                conn.execute_batch("ROLLBACK")?;
                Err::<(), _>(StoreError::Full("no room".to_owned()))
            })
            .await
    });
    queued(&store, 2).await;
    hold.release();
    good.await.unwrap().unwrap();
    assert!(matches!(losing.await.unwrap(), Err(StoreError::Full(_))));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    assert_eq!(store.documents("c").await.unwrap().len(), 1);
}
