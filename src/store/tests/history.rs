//! What a page of history and a turn cost, and that it does not depend on how much there is.

use rusqlite::StatementStatus;

use super::*;
use crate::store::{connection, documents, messages, runs, sessions};

fn filled(dir: &TempDir) -> Connection {
    let (conn, _) = connection::open(&dir.path().join("state.db")).unwrap();
    for (key, length) in [("small", 60_u32), ("big", 100_000)] {
        let (head, _) = sessions::ensure(&conn, key, "main", 1).unwrap();
        conn.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
             INSERT INTO messages (place, id, role, created_at, body) SELECT ?1 + i, i, 'user', 1, 'hello' FROM n",
            (messages::place(head.transcript, 0).unwrap(), length),
        )
        .unwrap();
        conn.execute("UPDATE sessions SET message_count = ?2 WHERE key = ?1", (key, length))
            .unwrap();
    }
    conn
}

#[test]
fn a_page_costs_the_same_in_a_short_and_in_a_long_session() {
    let dir = TempDir::new().unwrap();
    let conn = filled(&dir);
    let mut statement = conn.prepare_cached(messages::PAGE).unwrap();
    let mut steps = |key, before, expected: std::ops::RangeInclusive<u64>| {
        statement.reset_status(StatementStatus::VmStep);
        let page = messages::run_page(&mut statement, key, before, 20).unwrap();
        assert_eq!(
            page.iter().map(|message| message.seq).collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
        assert_eq!(statement.get_status(StatementStatus::FullscanStep), 0);
        statement.get_status(StatementStatus::VmStep)
    };
    let small = steps("small", None, 41..=60);
    assert_eq!(steps("big", None, 99_981..=100_000), small);
    assert_eq!(steps("big", Some(50_001), 49_981..=50_000), small);
    assert!(steps("big", Some(3), 1..=2) < small);
    assert_eq!(messages::page(&conn, "big", Some(1), 20).unwrap().len(), 0);
    assert_eq!(messages::page(&conn, "nobody", None, 20).unwrap().len(), 0);
}

#[test]
fn a_turn_costs_the_same_in_a_short_and_in_a_long_session() {
    let dir = TempDir::new().unwrap();
    let conn = filled(&dir);
    // Pages that went to the log.
    let turn = |run_id: &str, key: &str| {
        let log = |mode: &str| {
            let sql = format!("PRAGMA wal_checkpoint({mode})");
            conn.query_row(&sql, [], |row| row.get::<_, u32>(1)).unwrap()
        };
        log("TRUNCATE");
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        runs::accept(&conn, &new_run(run_id, key), Some(&begin_run(run_id, key, "hi"))).unwrap();
        runs::finish(&conn, &finish_run(run_id, key, RunState::Ok, "hello")).unwrap();
        conn.execute_batch("COMMIT").unwrap();
        log("PASSIVE")
    };
    // The first ones split leaves that the filling left full to the brim.
    turn("r1", "small");
    turn("r2", "big");
    assert_eq!(turn("r3", "small"), turn("r4", "big"));
}

#[test]
fn no_statement_of_a_turn_scans_a_table_or_sorts() {
    let dir = TempDir::new().unwrap();
    let (conn, _) = connection::open(&dir.path().join("state.db")).unwrap();
    let hot = [
        messages::PAGE,
        messages::LAST,
        sessions::GET,
        sessions::HEAD,
        sessions::STARTED,
        sessions::ENDED,
        sessions::APPENDED,
        sessions::DIED,
        runs::GET,
        runs::HEAD,
        runs::BEGUN,
        runs::ENDED,
        runs::DIED,
        runs::TRANSCRIPT,
        documents::GET,
        documents::ALL,
        crate::store::retention::NEXT_ARCHIVE,
    ];
    for sql in hot {
        let plan = plan(&conn, sql);
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
    let open = plan(&conn, runs::OPEN);
    assert!(open.contains("runs_open"), "{open}");
    let condemn = plan(&conn, crate::store::retention::CONDEMN);
    assert!(
        condemn.contains("sessions_activity") && condemn.contains("runs_open"),
        "{condemn}"
    );
}

fn plan(conn: &Connection, sql: &str) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut plan = String::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push_str(&row.get::<_, String>(3).unwrap());
        plan.push('\n');
    }
    plan
}
