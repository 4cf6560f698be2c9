//! Creating, migrating, refusing; file systems without shared memory; two at once.

use super::*;
use crate::store::connection::{self, Journal, Location};
use crate::store::migrations;
use crate::store::writer::Writer;

fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> T {
    conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_new_file_is_durable_shrinkable_and_small_in_memory() {
    let dir = TempDir::new().unwrap();
    let (conn, location) = connection::open(&dir.path().join("state.db")).unwrap();
    assert_eq!(location.journal, Journal::Wal);
    assert_eq!(pragma::<String>(&conn, "journal_mode"), "wal");
    assert_eq!(pragma::<i64>(&conn, "synchronous"), 2);
    assert_eq!(pragma::<i64>(&conn, "auto_vacuum"), 2);
    assert_eq!(pragma::<i64>(&conn, "cache_size"), -2_000);
    assert_eq!(pragma::<i64>(&conn, "foreign_keys"), 1);
    let newest = u32::try_from(migrations::SCRIPTS.len()).unwrap();
    assert_eq!(pragma::<u32>(&conn, "user_version"), newest);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_created_belongs_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("deep/state");
    let store = Store::open(&state.join("state.db"), StoreOptions::default()).unwrap();
    store.append_message(append(KEY, "hi", 1)).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_file_of_an_older_version_is_migrated_with_its_data() {
    let dir = TempDir::new().unwrap();
    let mut conn = Connection::open(dir.path().join("x.db")).unwrap();
    let first = "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('kept')";
    migrations::apply(&mut conn, &[first]).unwrap();
    migrations::apply(&mut conn, &[first, "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7"]).unwrap();
    let row: (String, i64) = conn
        .query_row("SELECT a, b FROM t", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(row, ("kept".to_owned(), 7));
    assert_eq!(pragma::<u32>(&conn, "user_version"), 2);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let mut conn = Connection::open(dir.path().join("x.db")).unwrap();
    let error = migrations::apply(&mut conn, &["CREATE TABLE t (a TEXT); CREATE TABLE t (a TEXT)"]);
    assert!(matches!(error, Err(StoreError::Failed(_))));
    assert_eq!(pragma::<u32>(&conn, "user_version"), 0);
    migrations::apply(&mut conn, &["CREATE TABLE t (a TEXT)"]).unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    fixture.store.close().await;
    Connection::open(fixture.path())
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = Store::open(&fixture.path(), StoreOptions::default()).unwrap_err();
    let newest = u32::try_from(migrations::SCRIPTS.len()).unwrap();
    assert!(
        matches!(error, StoreError::Newer { found: 99, known } if known == newest),
        "{error}"
    );
    let conn = Connection::open(fixture.path()).unwrap();
    assert_eq!(pragma::<u32>(&conn, "user_version"), 99);
}

#[test]
fn what_is_no_database_or_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state.db");
    std::fs::write(
        &path,
        "this is not a database, but long enough to look like one ".repeat(100),
    )
    .unwrap();
    let error = Store::open(&path, StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let error = Store::open(&path.join("state.db"), StoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("create the state directory"), "{error}");
}

#[tokio::test]
async fn without_shared_memory_a_log_left_by_a_crash_is_read_and_work_goes_on() {
    let fixture = Fixture::new();
    fixture.store.append_message(append(KEY, "before", 1)).await.unwrap();
    let copy = TempDir::new().unwrap();
    let path = copy.path().join("state.db");
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(fixture.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let journal = Journal::Alone(Some("unix-none"));
    let location = Location { path, journal };
    let conn = connection::writer(&location).unwrap();
    assert_eq!(pragma::<String>(&conn, "journal_mode"), "truncate");
    let store = Store::around(Writer::with(conn, location).unwrap(), StoreOptions::default());
    store.append_message(append(KEY, "after", 2)).await.unwrap();
    assert_eq!(texts(&store, KEY).await, ["before", "after"]);
    store.check_writable().await.unwrap();
    let damage = store
        .write(|_| Err::<(), _>(StoreError::Corrupt("on purpose".to_owned())))
        .await;
    damage.unwrap_err();
    store.append_message(append(KEY, "reopened", 3)).await.unwrap();
    store.close().await;
    let store = Store::open(&copy.path().join("state.db"), StoreOptions::default()).unwrap();
    assert_eq!(texts(&store, KEY).await, ["before", "after", "reopened"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_do_not_damage_it() {
    let fixture = Fixture::new();
    let second = Store::open(&fixture.path(), StoreOptions::default()).unwrap();
    let work = |store: &Store| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..40 {
                store.append_message(append(KEY, "x", 1)).await.unwrap();
            }
        })
    };
    let (one, two) = (work(&fixture.store), work(&second));
    one.await.unwrap();
    two.await.unwrap();
    assert_eq!(texts(&second, KEY).await.len(), 80);
    assert_eq!(integrity(&second).await, "ok");
}
