//! The life of runs.

use super::*;

async fn accept(store: &Store, run_id: &str) {
    let outcome = store.accept_run(new_run(run_id, KEY), None).await.unwrap();
    assert!(matches!(outcome, AcceptOutcome::New { began: None }));
}

#[tokio::test]
async fn a_turn_stores_question_and_answer_and_counts_usage() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let outcome = store
        .accept_run(new_run("r1", KEY), Some(begin_run("r1", KEY, "hi")))
        .await
        .unwrap();
    let AcceptOutcome::New { began: Some(began) } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(began.session_created);
    assert_eq!(began.messages[0].seq, 1);
    let row = store.session(KEY).await.unwrap().unwrap();
    assert_eq!(row.status.as_deref(), Some("running"));
    assert_eq!(row.started_at_ms, Some(2_000));

    let finished = store
        .finish_run(finish_run("r1", KEY, RunState::Ok, "hello"))
        .await
        .unwrap();
    assert_eq!(finished.messages[0].seq, 2);
    assert_eq!(texts(&store, KEY).await, ["hi", "hello"]);
    let row = store.session(KEY).await.unwrap().unwrap();
    assert_eq!(row.status.as_deref(), Some("done"));
    assert_eq!(
        (row.message_count, row.usage, row.last_prompt_tokens),
        (2, [10, 20, 3, 4], 12)
    );
    assert_eq!(row.model, Some(("demo".to_owned(), "echo".to_owned())));
    assert_eq!((row.updated_at_ms, row.ended_at_ms), (3_000, Some(3_000)));
    let run = store.run("r1").await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Ok);
    assert_eq!(run.result.as_deref(), Some(r#"{"status":"ok"}"#));
    assert_eq!((run.started_at_ms, run.ended_at_ms), (Some(2_000), Some(3_000)));
    assert_eq!(run.request, "");
}

#[tokio::test]
async fn a_known_run_id_is_answered_with_the_stored_run_even_after_a_restart() {
    let fixture = Fixture::new();
    let begin = || Some(begin_run("r1", KEY, "hi"));
    fixture.store.accept_run(new_run("r1", KEY), begin()).await.unwrap();
    fixture.store.close().await;
    let store = Store::open(&fixture.path(), StoreOptions::default()).unwrap();
    let outcome = store.accept_run(new_run("r1", KEY), begin()).await.unwrap();
    let AcceptOutcome::Known(run) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((run.state, run.request.as_str()), (RunState::Running, "request of r1"));
    assert_eq!(texts(&store, KEY).await, ["hi"]);
}

#[tokio::test]
async fn beginning_and_ending_twice_appends_once() {
    let Fixture { store, dir: _dir } = Fixture::new();
    accept(&store, "r1").await;
    let first = store.begin_run(begin_run("r1", KEY, "hi")).await.unwrap();
    let second = store.begin_run(begin_run("r1", KEY, "hi")).await.unwrap();
    assert_eq!(first.session_id, second.session_id);
    assert!(second.messages.is_empty());
    store
        .finish_run(finish_run("r1", KEY, RunState::Ok, "hello"))
        .await
        .unwrap();
    let again = store
        .finish_run(finish_run("r1", KEY, RunState::Error, "oops"))
        .await
        .unwrap();
    assert!(again.messages.is_empty());
    assert_eq!(texts(&store, KEY).await, ["hi", "hello"]);
    assert_eq!(store.run("r1").await.unwrap().unwrap().state, RunState::Ok);
    assert_eq!(store.session(KEY).await.unwrap().unwrap().usage, [10, 20, 3, 4]);
}

#[tokio::test]
async fn a_run_that_is_over_or_unknown_cannot_begin() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let unknown = store.begin_run(begin_run("r1", KEY, "hi")).await.unwrap_err();
    assert!(unknown.to_string().contains("run r1 is unknown"), "{unknown}");
    accept(&store, "r1").await;
    let mut aborted = finish_run("r1", KEY, RunState::Aborted, "");
    aborted.messages.clear();
    store.finish_run(aborted).await.unwrap();
    let over = store.begin_run(begin_run("r1", KEY, "hi")).await.unwrap_err();
    assert!(over.to_string().contains("has ended (aborted)"), "{over}");
    assert!(store.session(KEY).await.unwrap().is_none());
}

#[tokio::test]
async fn the_end_of_a_run_decides_the_status_of_its_session() {
    let Fixture { store, dir: _dir } = Fixture::new();
    let ends = [
        (RunState::Ok, "done", false),
        (RunState::Error, "failed", false),
        (RunState::Aborted, "killed", true),
        (RunState::TimedOut, "timeout", false),
        (RunState::Interrupted, "failed", true),
    ];
    for (state, status, aborted) in ends {
        let id = state.as_str();
        store
            .accept_run(new_run(id, KEY), Some(begin_run(id, KEY, "hi")))
            .await
            .unwrap();
        store.finish_run(finish_run(id, KEY, state, "x")).await.unwrap();
        let row = store.session(KEY).await.unwrap().unwrap();
        assert_eq!((row.status.as_deref(), row.aborted_last_run), (Some(status), aborted));
    }
    let not_an_end = store.finish_run(finish_run("ok", KEY, RunState::Running, "x")).await;
    assert!(not_an_end.is_err());
}

#[tokio::test]
async fn recovery_interrupts_what_ran_and_lists_what_waits_in_the_order_of_acceptance() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store
        .accept_run(new_run("ran", KEY), Some(begin_run("ran", KEY, "hi")))
        .await
        .unwrap();
    // The clock goes backwards between acceptances.
    for (id, now_ms) in [("w1", 900), ("w2", 800), ("w3", 700)] {
        let run = NewRun {
            now_ms,
            ..new_run(id, KEY)
        };
        store.accept_run(run, None).await.unwrap();
    }
    fixture.store.close().await;

    let store = Store::open(&fixture.path(), StoreOptions::default()).unwrap();
    let found = store.recover(9_000).await.unwrap();
    let ids = |runs: &[StoredRun]| runs.iter().map(|run| run.run_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&found.interrupted), ["ran"]);
    assert_eq!(found.interrupted[0].request, "request of ran");
    assert_eq!(ids(&found.pending), ["w1", "w2", "w3"]);
    let row = store.session(KEY).await.unwrap().unwrap();
    assert_eq!((row.status.as_deref(), row.aborted_last_run), (Some("failed"), true));
    let run = store.run("ran").await.unwrap().unwrap();
    assert_eq!((run.state, run.ended_at_ms), (RunState::Interrupted, Some(9_000)));

    let again = store.recover(9_100).await.unwrap();
    assert!(again.interrupted.is_empty());
    assert_eq!(ids(&again.pending), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn an_answer_that_comes_after_a_reset_goes_to_the_old_transcript() {
    let Fixture { store, dir: _dir } = Fixture::new();
    store
        .accept_run(new_run("r1", KEY), Some(begin_run("r1", KEY, "hi")))
        .await
        .unwrap();
    store.reset_session(KEY, "main", 2_500).await.unwrap();
    let late = store
        .finish_run(finish_run("r1", KEY, RunState::Ok, "late"))
        .await
        .unwrap();
    assert_eq!(late.messages[0].seq, 2);
    assert!(texts(&store, KEY).await.is_empty());
    let row = store.session(KEY).await.unwrap().unwrap();
    assert_eq!((row.status, row.usage, row.message_count), (None, [0; 4], 0));
}

#[tokio::test]
async fn an_answer_to_a_deleted_session_is_dropped() {
    let Fixture { store, dir: _dir } = Fixture::new();
    store
        .accept_run(new_run("r1", KEY), Some(begin_run("r1", KEY, "hi")))
        .await
        .unwrap();
    store.delete_session(KEY, true).await.unwrap();
    store.append_message(append(KEY, "new life", 2_600)).await.unwrap();
    let late = store
        .finish_run(finish_run("r1", KEY, RunState::Ok, "late"))
        .await
        .unwrap();
    assert!(late.messages.is_empty());
    assert_eq!(texts(&store, KEY).await, ["new life"]);
    assert_eq!(store.run("r1").await.unwrap().unwrap().state, RunState::Ok);
}

#[tokio::test]
async fn old_run_ids_are_forgotten_in_groups_and_open_runs_never() {
    let Fixture { store, dir: _dir } = Fixture::new();
    accept(&store, "open").await;
    store
        .write(|conn| {
            conn.execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
                 INSERT INTO runs (run_id, session_key, agent_id, source, state, accepted_at, ended_at, request)
                 SELECT 'old' || i, 'agent:main:x', 'main', 'chat', 'ok', i, i, '' FROM n",
            )?;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(store.prune_runs(1_101).await.unwrap(), 1_100);
    assert!(store.run("old1100").await.unwrap().is_none());
    assert!(store.run("old1101").await.unwrap().is_some());
    assert!(store.run("open").await.unwrap().is_some());
}
