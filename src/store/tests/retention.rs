//! Retention.

use super::*;

async fn fill(store: &Store, sessions: i64, messages: usize, text: &str) {
    for number in 0..sessions {
        let key = format!("agent:main:s{number}");
        let appends = (0..messages).map(|_| store.append_message(append(&key, text, number * 100)));
        for appended in futures_util::future::join_all(appends).await {
            appended.unwrap();
        }
    }
}

async fn keys(store: &Store) -> Vec<String> {
    let page = store.sessions(SessionQuery::default()).await.unwrap();
    page.rows.into_iter().map(|row| row.key).collect()
}

async fn pages(store: &Store, pragma: &'static str) -> u32 {
    store
        .write(move |conn| Ok(conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?))
        .await
        .unwrap()
}

#[tokio::test]
async fn only_the_most_active_entries_stay_and_open_runs_protect_theirs() {
    let Fixture { store, dir: _dir } = Fixture::new();
    fill(&store, 5, 2, "x").await;
    store.accept_run(new_run("r1", "agent:main:s0"), None).await.unwrap();
    let limits = Retention {
        max_entries: Some(3),
        ..Default::default()
    };
    let report = store.enforce_retention(limits, 1_000).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 2,
            messages: 4
        }
    );
    assert_eq!(keys(&store).await, ["agent:main:s4", "agent:main:s3", "agent:main:s0"]);
    let report = store.enforce_retention(limits, 1_000).await.unwrap();
    assert_eq!(report, RetentionReport::default());
}

#[tokio::test]
async fn idle_sessions_and_old_archives_go_by_age() {
    let Fixture { store, dir: _dir } = Fixture::new();
    fill(&store, 4, 1, "x").await;
    store.reset_session("agent:main:s3", "main", 305).await.unwrap();
    store.append_message(append("agent:main:s3", "new", 306)).await.unwrap();
    let limits = Retention {
        max_age_ms: Some(100),
        ..Default::default()
    };
    let report = store.enforce_retention(limits, 400).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 3,
            messages: 3
        }
    );
    assert_eq!(keys(&store).await, ["agent:main:s3"]);
    let report = store.enforce_retention(limits, 406).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 0,
            messages: 1
        }
    );
    assert_eq!(texts(&store, "agent:main:s3").await, ["new"]);
}

#[tokio::test]
async fn without_limits_nothing_goes() {
    let Fixture { store, dir: _dir } = Fixture::new();
    fill(&store, 2, 1, "x").await;
    store.reset_session("agent:main:s0", "main", 5).await.unwrap();
    let report = store.enforce_retention(Retention::default(), i64::MAX).await.unwrap();
    assert_eq!(report, RetentionReport::default());
    assert_eq!(keys(&store).await.len(), 2);
}

#[tokio::test]
async fn bytes_are_kept_by_removing_archives_first_and_the_file_shrinks() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let text = "x".repeat(20_000);
    fill(store, 4, 10, &text).await;
    store.reset_session("agent:main:s3", "main", 301).await.unwrap();
    store.append_message(append("agent:main:s3", "new", 302)).await.unwrap();
    let before = pages(store, "page_count").await;

    let limits = Retention {
        max_bytes: Some(u64::from(before - 10) * 4_096),
        ..Default::default()
    };
    let report = store.enforce_retention(limits, 400).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 0,
            messages: 10
        }
    );
    let limits = Retention {
        max_bytes: Some(u64::from(before * 2 / 3) * 4_096),
        ..Default::default()
    };
    let report = store.enforce_retention(limits, 400).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 1,
            messages: 10
        }
    );
    assert_eq!(keys(store).await, ["agent:main:s3", "agent:main:s2", "agent:main:s1"]);
    assert_eq!(pages(store, "freelist_count").await, 0);
    assert!(pages(store, "page_count").await <= before * 2 / 3);
    assert_eq!(integrity(store).await, "ok");
}

#[tokio::test]
async fn a_limit_that_cannot_be_kept_ends_with_an_empty_store() {
    let Fixture { store, dir: _dir } = Fixture::new();
    fill(&store, 3, 1, "x").await;
    let limits = Retention {
        max_bytes: Some(1),
        ..Default::default()
    };
    let report = store.enforce_retention(limits, 400).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 3,
            messages: 3
        }
    );
}

#[tokio::test]
async fn a_long_transcript_is_removed_in_several_transactions() {
    let Fixture { store, dir: _dir } = Fixture::new();
    store.append_message(append(KEY, "x", 1)).await.unwrap();
    store
        .write(|conn| {
            conn.execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)
                 INSERT INTO messages (place, id, role, created_at, body)
                 SELECT (SELECT transcript << 32 FROM sessions) + i, i, 'user', 1, 'x' FROM n;
                 UPDATE sessions SET message_count = 1600",
            )?;
            Ok(())
        })
        .await
        .unwrap();
    let before = store.stats().commits;
    assert!(store.delete_session(KEY, true).await.unwrap());
    // The mark, four groups of at most 500, and the look that finds nothing more.
    assert_eq!(store.stats().commits - before, 6);
    assert_eq!(integrity(&store).await, "ok");
}

#[tokio::test]
async fn what_a_crash_left_marked_is_removed_by_the_next_pass() {
    let Fixture { store, dir: _dir } = Fixture::new();
    store.append_message(append(KEY, "x", 1)).await.unwrap();
    store
        .write(|conn| crate::store::sessions::delete(conn, KEY, true))
        .await
        .unwrap();
    let report = store.enforce_retention(Retention::default(), 2).await.unwrap();
    assert_eq!(
        report,
        RetentionReport {
            sessions: 0,
            messages: 1
        }
    );
}
