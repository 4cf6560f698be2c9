//! Rows, lists, patches, resets, deletes, documents.

use serde_json::{Map, Value, json};

use super::*;

fn patch(key: &str, patch: &Value, now_ms: i64) -> PatchSession {
    PatchSession {
        key: key.to_owned(),
        agent_id: "main".to_owned(),
        patch: patch.as_object().unwrap().clone(),
        now_ms,
    }
}

#[tokio::test]
async fn a_patch_merges_settings_and_null_removes_one() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let row = store
        .patch_session(patch(
            KEY,
            &json!({ "label": "Übung", "thinkingLevel": "high", "gone": null }),
            5,
        ))
        .await
        .unwrap();
    assert_eq!(
        Value::Object(row.settings),
        json!({ "label": "Übung", "thinkingLevel": "high" })
    );
    let row = store
        .patch_session(patch(KEY, &json!({ "thinkingLevel": null, "fastMode": true }), 6))
        .await
        .unwrap();
    assert_eq!(
        Value::Object(row.settings.clone()),
        json!({ "label": "Übung", "fastMode": true })
    );
    let stored = store.session(KEY).await.unwrap().unwrap();
    assert_eq!(stored.settings, row.settings);
    assert_eq!((stored.created_at_ms, stored.updated_at_ms), (5, 6));
    let found = store
        .sessions(SessionQuery {
            search: Some("ÜBUNG".to_owned()),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(found.total, 1);
    store
        .patch_session(patch(KEY, &json!({ "label": null }), 7))
        .await
        .unwrap();
    let found = store
        .sessions(SessionQuery {
            label: Some("Übung".to_owned()),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(found.total, 0);
}

#[tokio::test]
async fn lists_are_newest_first_paged_and_filtered() {
    let Fixture { store, dir: _dir } = Fixture::new();
    for (number, now_ms) in (0..5).zip([50, 10, 40, 20, 30]) {
        store
            .append_message(append(&format!("agent:main:s{number}"), "x", now_ms))
            .await
            .unwrap();
    }
    let other = AppendMessage {
        agent_id: "other".to_owned(),
        ..append("agent:other:s", "x", 60)
    };
    store.append_message(other).await.unwrap();
    let keys = |page: &SessionPage| page.rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();

    let query = SessionQuery {
        agent_id: Some("main".to_owned()),
        limit: 2,
        offset: 1,
        ..Default::default()
    };
    let page = store.sessions(query).await.unwrap();
    assert_eq!(keys(&page), ["agent:main:s2", "agent:main:s4"]);
    assert_eq!(page.total, 5);
    let page = store
        .sessions(SessionQuery {
            active_since_ms: Some(40),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(keys(&page), ["agent:other:s", "agent:main:s0", "agent:main:s2"]);
    let page = store
        .sessions(SessionQuery {
            search: Some("S3".to_owned()),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(keys(&page), ["agent:main:s3"]);
    let page = store
        .sessions(SessionQuery {
            offset: 99,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.total), (0, 6));
}

#[tokio::test]
async fn a_reset_starts_an_empty_incarnation_and_keeps_settings() {
    let Fixture { store, dir: _dir } = Fixture::new();
    store
        .accept_run(new_run("r1", KEY), Some(begin_run("r1", KEY, "hi")))
        .await
        .unwrap();
    store
        .finish_run(finish_run("r1", KEY, RunState::Ok, "hello"))
        .await
        .unwrap();
    let before = store
        .patch_session(patch(KEY, &json!({ "label": "mine" }), 3_500))
        .await
        .unwrap();
    let after = store.reset_session(KEY, "main", 4_000).await.unwrap();
    assert_ne!(after.session_id, before.session_id);
    assert_eq!(
        (after.created_at_ms, after.session_started_at_ms, after.updated_at_ms),
        (2_000, 4_000, 4_000)
    );
    assert_eq!(
        (after.message_count, after.usage, after.last_prompt_tokens),
        (0, [0; 4], 0)
    );
    assert_eq!(
        (after.status, after.started_at_ms, after.ended_at_ms),
        (None, None, None)
    );
    assert_eq!(after.settings, before.settings);
    assert!(texts(&store, KEY).await.is_empty());
    assert_eq!(store.append_message(append(KEY, "again", 5_000)).await.unwrap().seq, 1);
    let archived: u64 = count(&store, "SELECT count(*) FROM messages").await - 1;
    assert_eq!(archived, 2);
}

#[tokio::test]
async fn a_reset_makes_a_missing_session() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let row = store.reset_session(KEY, "main", 7).await.unwrap();
    assert_eq!((row.created_at_ms, row.message_count, row.settings), (7, 0, Map::new()));
    assert_eq!(count(&store, "SELECT count(*) FROM transcripts").await, 1);
}

#[tokio::test]
async fn a_delete_keeps_messages_as_archive_or_removes_all_of_the_key() {
    let Fixture { store, dir: _dir } = Fixture::new();
    assert!(!store.delete_session(KEY, true).await.unwrap());
    store.append_message(append(KEY, "one", 1)).await.unwrap();
    store
        .append_message(append("agent:main:other", "kept", 1))
        .await
        .unwrap();
    assert!(store.delete_session(KEY, false).await.unwrap());
    assert!(store.session(KEY).await.unwrap().is_none());
    assert!(texts(&store, KEY).await.is_empty());
    assert_eq!(count(&store, "SELECT count(*) FROM messages").await, 2);

    store.append_message(append(KEY, "two", 2)).await.unwrap();
    assert_eq!(texts(&store, KEY).await, ["two"]);
    assert!(store.delete_session(KEY, true).await.unwrap());
    assert_eq!(count(&store, "SELECT count(*) FROM messages").await, 1);
    assert_eq!(count(&store, "SELECT count(*) FROM transcripts").await, 1);
    assert_eq!(texts(&store, "agent:main:other").await, ["kept"]);
}

#[tokio::test]
async fn documents_are_replaced_listed_and_removed() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let changes = vec![
        ("b".to_owned(), Some(json!({ "n": 1 }))),
        ("a".to_owned(), Some(json!([1, "ü"]))),
    ];
    store.put_documents("devices", changes).await.unwrap();
    store
        .put_documents("other", vec![("a".to_owned(), Some(json!(null)))])
        .await
        .unwrap();
    let changes = vec![("b".to_owned(), Some(json!(2))), ("nothing".to_owned(), None)];
    store.put_documents("devices", changes).await.unwrap();
    let all = store.documents("devices").await.unwrap();
    assert_eq!(all, [("a".to_owned(), json!([1, "ü"])), ("b".to_owned(), json!(2))]);
    store
        .put_documents("devices", vec![("a".to_owned(), None)])
        .await
        .unwrap();
    assert_eq!(store.document("devices", "a").await.unwrap(), None);
    assert_eq!(store.document("other", "a").await.unwrap(), Some(Value::Null));
}

async fn count(store: &Store, sql: &'static str) -> u64 {
    let number: u32 = store
        .read(move |conn| Ok(conn.query_row(sql, [], |row| row.get(0))?))
        .await
        .unwrap();
    u64::from(number)
}
