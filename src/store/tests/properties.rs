//! Random commands against a model: numbers without gaps, right totals, nothing twice.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::store::{messages, migrations, runs, sessions};

#[derive(Debug, Clone)]
enum Op {
    Accept(u8, u8),
    AcceptAndBegin(u8, u8),
    Begin(u8),
    Finish(u8, bool),
    Append(u8),
    Reset(u8),
    Delete(u8, bool),
    Recover,
}

fn op() -> impl Strategy<Value = Op> {
    let (run, key) = (|| 0..12_u8, || 0..3_u8);
    prop_oneof![
        (run(), key()).prop_map(|(run, key)| Op::Accept(run, key)),
        (run(), key()).prop_map(|(run, key)| Op::AcceptAndBegin(run, key)),
        run().prop_map(Op::Begin),
        (run(), any::<bool>()).prop_map(|(run, ok)| Op::Finish(run, ok)),
        key().prop_map(Op::Append),
        key().prop_map(Op::Reset),
        (key(), any::<bool>()).prop_map(|(key, all)| Op::Delete(key, all)),
        Just(Op::Recover),
    ]
}

#[derive(Default)]
struct Model {
    /// By key: incarnation and texts.
    sessions: HashMap<String, (u32, Vec<String>, u64)>,
    /// By run: key, state, incarnation in which it began; and the order of acceptance.
    runs: HashMap<String, (String, RunState, Option<u32>)>,
    order: Vec<String>,
    incarnations: u32,
}

impl Model {
    fn session(&mut self, key: &str) -> &mut (u32, Vec<String>, u64) {
        let next = self.incarnations + 1;
        let session = self.sessions.entry(key.to_owned()).or_insert((next, Vec::new(), 0));
        self.incarnations = self.incarnations.max(session.0);
        session
    }

    fn begin(&mut self, run: &str, key: &str) {
        let session = self.session(key);
        session.1.push(format!("q{run}"));
        let incarnation = session.0;
        self.runs
            .insert(run.to_owned(), (key.to_owned(), RunState::Running, Some(incarnation)));
    }
}

fn apply(conn: &Connection, model: &mut Model, op: &Op) {
    let run_name = |run: &u8| format!("r{run}");
    let key_name = |key: &u8| format!("agent:main:{key}");
    let known = |model: &Model, run: &str| model.runs.get(run).cloned();
    match op {
        Op::Accept(run, key) | Op::AcceptAndBegin(run, key) => {
            let (run, key) = (run_name(run), key_name(key));
            let begin = matches!(op, Op::AcceptAndBegin(..)).then(|| begin_run(&run, &key, &format!("q{run}")));
            let outcome = runs::accept(conn, &new_run(&run, &key), begin.as_ref()).unwrap();
            match known(model, &run) {
                Some((_, state, _)) => assert!(matches!(outcome, AcceptOutcome::Known(run) if run.state == state)),
                None => {
                    model.order.push(run.clone());
                    if begin.is_some() {
                        model.begin(&run, &key);
                    } else {
                        model.runs.insert(run, (key, RunState::Accepted, None));
                    }
                }
            }
        }
        Op::Begin(run) => {
            let run = run_name(run);
            let Some((key, state, _)) = known(model, &run) else {
                return;
            };
            let began = runs::begin(conn, &begin_run(&run, &key, &format!("q{run}")));
            match state {
                RunState::Accepted => model.begin(&run, &key),
                RunState::Running => assert!(began.is_err() || began.unwrap().messages.is_empty()),
                _ => assert!(began.is_err()),
            }
        }
        Op::Finish(run, ok) => {
            let run = run_name(run);
            let Some((key, state, incarnation)) = known(model, &run) else {
                return;
            };
            let end = if *ok { RunState::Ok } else { RunState::Error };
            runs::finish(conn, &finish_run(&run, &key, end, &format!("a{run}"))).unwrap();
            if state.is_terminal() {
                return;
            }
            let never_began = incarnation.is_none();
            if never_began || model.sessions.get(&key).map(|session| session.0) == incarnation {
                let session = model.session(&key);
                session.1.push(format!("a{run}"));
                session.2 += 10;
            }
            model.runs.insert(run, (key, end, incarnation));
        }
        Op::Append(key) => {
            let key = key_name(key);
            sessions::append(conn, &append(&key, "x", 1)).unwrap();
            model.session(&key).1.push("x".to_owned());
        }
        Op::Reset(key) => {
            let key = key_name(key);
            sessions::reset(conn, &key, "main", 1).unwrap();
            model.incarnations += 1;
            model.sessions.insert(key, (model.incarnations, Vec::new(), 0));
        }
        Op::Delete(key, all) => {
            let key = key_name(key);
            let existed = sessions::delete(conn, &key, *all).unwrap();
            assert_eq!(existed, model.sessions.remove(&key).is_some());
        }
        Op::Recover => {
            let found = runs::recover(conn, 5_000).unwrap();
            let pending: Vec<_> = found.pending.into_iter().map(|run| run.run_id).collect();
            let waits = |run: &&String| model.runs[*run].1 == RunState::Accepted;
            assert_eq!(pending, model.order.iter().filter(waits).cloned().collect::<Vec<_>>());
            for (_, state, _) in model.runs.values_mut() {
                if *state == RunState::Running {
                    *state = RunState::Interrupted;
                }
            }
            let rows = sessions::list(conn, &SessionQuery::default()).unwrap().rows;
            assert!(rows.iter().all(|row| row.status.as_deref() != Some("running")));
        }
    }
}

fn compare(conn: &Connection, model: &Model) {
    let rows = sessions::list(conn, &SessionQuery::default()).unwrap().rows;
    assert_eq!(rows.len(), model.sessions.len());
    for row in rows {
        let (_, texts, input) = &model.sessions[&row.key];
        let page = messages::page(conn, &row.key, None, 1_000).unwrap();
        assert_eq!(
            page.iter().map(|message| text_of(&message.body)).collect::<Vec<_>>(),
            *texts
        );
        assert!(page.iter().zip(1..).all(|(message, seq)| message.seq == seq));
        assert_eq!(
            (row.message_count, row.usage[0]),
            (sessions::count(texts.len()), *input)
        );
    }
    for (id, (_, state, _)) in &model.runs {
        assert_eq!(runs::get(conn, id).unwrap().unwrap().state, *state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_commands_keeps_numbers_totals_and_states_right(ops in prop::collection::vec(op(), 1..60)) {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::apply(&mut conn, migrations::SCRIPTS).unwrap();
        let mut model = Model::default();
        for op in &ops {
            apply(&conn, &mut model, op);
        }
        compare(&conn, &model);
    }
}
