//! What a streamed piece of an answer costs: reading it from the provider, writing it to the client.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should stop")]

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openclaw::models::draft::Draft;
use openclaw::models::openai_completions::chunk::Assembler;
use openclaw::models::sse::Splitter;
use openclaw::wire::openai::ChunkWriter;

/// Pieces of one answer.
const PIECES: usize = 200;
/// What a read from the socket brings.
const READ: usize = 4_096;

fn provider_stream() -> Vec<u8> {
    let piece = concat!(
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":"#,
        r#"[{"index":0,"delta":{"content":"some words "},"finish_reason":null}]}"#,
        "\n\n"
    );
    piece.repeat(PIECES).into_bytes()
}

fn sse(c: &mut Criterion) {
    let stream = provider_stream();
    let mut group = c.benchmark_group("sse");
    group.throughput(Throughput::Elements(PIECES as u64));
    group.bench_function("split", |b| {
        b.iter(|| {
            let mut splitter = Splitter::new(1 << 20);
            let mut bytes = 0;
            for read in stream.chunks(READ) {
                splitter.push(read, |event| bytes += event.data.len()).expect("small");
            }
            bytes
        });
    });
    group.bench_function("split_and_understand", |b| {
        b.iter(|| {
            let mut splitter = Splitter::new(1 << 20);
            let mut assembler = Assembler::new(Draft::new("p".into(), [].into(), false));
            let mut events = VecDeque::new();
            for read in stream.chunks(READ) {
                splitter
                    .push(read, |event| {
                        assembler.take_chunk(event.data, &mut events).expect("a chunk");
                    })
                    .expect("small");
                black_box(&events);
                events.clear();
            }
        });
    });
    group.bench_function("write", |b| {
        let writer = ChunkWriter::new("chatcmpl_1", "openclaw", 1);
        let mut out = BytesMut::with_capacity(256 * PIECES);
        b.iter(|| {
            out.clear();
            for _ in 0..PIECES {
                writer.content(&mut out, "some words ");
            }
            writer.done(&mut out);
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, sse);
criterion_main!(benches);
