//! What one event costs when many are listening: from the publisher to the bytes of every connection.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should stop")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openclaw::base::ConnId;
use openclaw::bus::{Hub, Outbox, Registered, Registration};
use openclaw::domain::event::{Audience, Event, EventName, Publisher};
use openclaw::domain::{AuthMethod, Principal, Role, Scope, ScopeSet};
use openclaw::rpc::ws::encoder::Batch;
use serde_json::value::RawValue;

/// A connection without its socket.
struct Listener {
    outbox: Arc<Outbox>,
    batch: Batch,
    queue: VecDeque<openclaw::bus::Outgoing>,
    _place: Registered,
}

impl Listener {
    fn join(hub: &Hub) -> Self {
        let outbox = Arc::new(Outbox::new());
        let registration = Registration {
            id: ConnId::random(),
            protocol: 3,
            principal: Arc::new(Principal {
                role: Role::Operator,
                scopes: ScopeSet::of(&[Scope::Read]),
                method: AuthMethod::Token,
                user: None,
                device: None,
                client_ip: IpAddr::from([127, 0, 0, 1]),
                local_direct: true,
            }),
            shared_generation: None,
            presence: None,
        };
        Self {
            _place: hub.register(registration, Arc::clone(&outbox)),
            outbox,
            batch: Batch::default(),
            queue: VecDeque::new(),
        }
    }

    /// Takes what is queued and turns it into bytes, as the connection's task does.
    fn write(&mut self) -> usize {
        let mut written = 0;
        self.outbox.sync(Waker::noop(), &mut self.queue, true);
        loop {
            self.batch.fill(&mut self.queue);
            let Some(chunk) = self.batch.chunk() else { break };
            let count = chunk.len();
            black_box(chunk);
            written += count;
            self.batch.advance(count);
            let weight = self.batch.take_weight();
            self.outbox.written(weight);
        }
        self.batch.release();
        written
    }
}

fn event(bytes: usize) -> Event {
    let payload = RawValue::from_string(format!(
        r#"{{"runId":"r","seq":1,"state":"delta","text":"{}"}}"#,
        "x".repeat(bytes)
    ))
    .expect("JSON");
    Event {
        name: EventName::Chat,
        payload: Arc::from(payload),
        audience: Audience::Broadcast,
        droppable: true,
    }
}

fn fanout(c: &mut Criterion) {
    let mut group = c.benchmark_group("fanout");
    for listeners in [1, 50, 500] {
        let hub = Hub::default();
        let mut all: Vec<Listener> = (0..listeners).map(|_| Listener::join(&hub)).collect();
        group.throughput(Throughput::Elements(listeners));
        for bytes in [100, 20_000] {
            let event = event(bytes);
            let name = format!("{bytes}_bytes");
            group.bench_function(BenchmarkId::new(name, listeners), |b| {
                b.iter(|| {
                    hub.publish(event.clone());
                    all.iter_mut().map(Listener::write).sum::<usize>()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
