//! Readers beside the writer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::connection;
use crate::store::writer::thread::LONG_LOG;

#[tokio::test]
async fn reads_do_not_wait_for_a_writer_that_is_busy() {
    let Fixture { store, dir: _dir } = Fixture::new();
    store.append_message(append(KEY, "hi", 1)).await.unwrap();
    let hold = Hold::on(&store).await;
    assert_eq!(texts(&store, KEY).await, ["hi"]);
    hold.release();
}

#[tokio::test]
async fn a_read_sees_every_write_that_was_answered() {
    let Fixture { store, dir: _dir } = Fixture::new();
    for number in 1..=20 {
        store.append_message(append(KEY, "x", number)).await.unwrap();
        let row = store.session(KEY).await.unwrap().unwrap();
        assert_eq!(i64::try_from(row.message_count).unwrap(), number);
    }
}

#[tokio::test]
async fn a_read_that_fails_does_not_spoil_the_next() {
    let fixture = Fixture::new();
    let store = Store::open(&fixture.path(), StoreOptions { readers: 1 }).unwrap();
    let panicked = store.read(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
    assert!(matches!(panicked, Err(StoreError::Failed(_))), "{panicked:?}");
    let failed = store.read(|conn| Ok(conn.execute_batch("DELETE FROM sessions")?)).await;
    assert!(matches!(failed, Err(StoreError::ReadOnly(_))), "{failed:?}");
    assert!(store.session(KEY).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_short_while_somebody_always_reads() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.append_message(append(KEY, "hi", 1)).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (path, stop) = (fixture.path(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let (one, two) = (connection::reader(&path).unwrap(), connection::reader(&path).unwrap());
                let begin = |conn: &Connection| conn.execute_batch("BEGIN; SELECT count(*) FROM sessions").unwrap();
                begin(&one);
                // There is no moment at which nobody reads.
                while !stop.load(Ordering::Relaxed) {
                    begin(&two);
                    one.execute_batch("COMMIT").unwrap();
                    begin(&one);
                    two.execute_batch("COMMIT").unwrap();
                }
            })
        })
        .collect();
    let log = || fs::metadata(fixture.dir.path().join("state.db-wal")).unwrap().len();
    let body = "x".repeat(512 * 1024);
    let mut most = 0;
    for _ in 0..32 {
        store.append_message(append(KEY, &body, 2)).await.unwrap();
        most = most.max(log());
    }
    let mut tries = 0;
    while log() > LONG_LOG && tries < 2_000 {
        store.append_message(append(KEY, "small", 2)).await.unwrap();
        tries += 1;
    }
    let length = log();
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert!(length <= LONG_LOG, "{length} bytes now, {most} at most");
}
