//! What durable state costs: opening, a turn alone and among many, a page of a long history.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should stop")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openclaw::store::{AppendMessage, BeginRun, FinishRun, NewMessage, NewRun, RunState, Store, StoreOptions};

/// Turns that share disk syncs in the crowded case.
const CROWD: u64 = 64;

fn message(role: &'static str) -> NewMessage {
    NewMessage {
        role,
        body: format!(
            r#"{{"role":"{role}","content":[{{"type":"text","text":"{}"}}]}}"#,
            "x".repeat(400)
        ),
    }
}

async fn turn(store: &Store, number: u64, key: &str) {
    let run_id = format!("00000000-0000-4000-8000-{number:012}");
    let (session_key, agent_id) = (key.to_owned(), "main".to_owned());
    let run = NewRun {
        run_id: run_id.clone(),
        session_key: session_key.clone(),
        agent_id: agent_id.clone(),
        source: "openai",
        send_allowed: None,
        request: "x".repeat(500),
        now_ms: 1,
    };
    let begin = BeginRun {
        run_id: run_id.clone(),
        session_key: session_key.clone(),
        agent_id,
        messages: vec![message("user")],
        now_ms: 1,
    };
    store.accept_run(run, Some(begin)).await.expect("accepted");
    let finish = FinishRun {
        run_id,
        session_key,
        state: RunState::Ok,
        messages: vec![message("assistant")],
        usage: [1, 2, 3, 4],
        prompt_tokens: 8,
        model: None,
        error: None,
        stop_reason: None,
        result: None,
        now_ms: 2,
    };
    store.finish_run(finish).await.expect("finished");
}

fn store(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("state.db");
    let store = Store::open(&path, StoreOptions::default()).expect("store");
    let next = AtomicU64::new(0);
    let number = || next.fetch_add(1, Ordering::Relaxed);

    let mut group = c.benchmark_group("store");
    group.bench_function("open", |b| {
        b.iter(|| black_box(Store::open(&path, StoreOptions::default()).expect("store")));
    });
    group.bench_function("turn", |b| {
        b.iter(|| runtime.block_on(turn(&store, number(), "agent:main:alone")));
    });
    group.throughput(Throughput::Elements(CROWD));
    group.bench_function("turns_of_a_crowd", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let turns = (0..CROWD).map(|user| {
                    let (store, number) = (store.clone(), number());
                    tokio::spawn(async move { turn(&store, number, &format!("agent:main:{user}")).await })
                });
                futures_util::future::join_all(turns.collect::<Vec<_>>()).await
            })
        });
    });
    runtime.block_on(async {
        let appends = (0..50_000).map(|_| {
            store.append_message(AppendMessage {
                session_key: "agent:main:long".to_owned(),
                agent_id: "main".to_owned(),
                message: message("assistant"),
                now_ms: 1,
            })
        });
        let appends = futures_util::stream::iter(appends);
        let mut appended = futures_util::StreamExt::buffer_unordered(appends, 256);
        while let Some(outcome) = futures_util::StreamExt::next(&mut appended).await {
            outcome.expect("appended");
        }
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("page_of_50_from_50000", |b| {
        b.iter(|| {
            runtime
                .block_on(store.messages("agent:main:long", Some(25_000), 50))
                .expect("page")
        });
    });
    group.finish();
    runtime.block_on(store.close());
}

criterion_group!(benches, store);
criterion_main!(benches);
