use std::io::{self, Write};

use serde_json::json;

use super::double::{Answer, Double};
use super::{Captured, Instance};

/// A reader that goes away once it has seen a word.
struct UntilWord(Captured, &'static str);

impl Write for UntilWord {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.text().contains(self.1) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.text().contains(self.1) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

fn tail(cursor: u64, lines: &[&str], reset: bool) -> Answer {
    Answer::Payload(json!({
        "file": "/l/gateway.log", "cursor": cursor, "size": cursor, "lines": lines, "truncated": false, "reset": reset,
    }))
}

#[test]
fn logs_are_shown_with_their_file() {
    let double = Double::answering(|_, _| {
        Answer::Payload(json!({
            "file": "/l/gateway.log", "cursor": 9, "size": 9, "truncated": true,
            "lines": [r#"{"time":"2026-11-22T14:38:25.745+00:00","level":"info","subsystem":"gateway","message":"listening"}"#],
        }))
    });
    let here = Instance::on_port(double.port);
    let ran = here.run(&["logs", "--limit", "5"]);
    assert_eq!(ran.exit, Some(0));
    assert_eq!(
        ran.out,
        "Log file: /l/gateway.log\n2026-11-22T14:38:25.745Z info gateway listening\n"
    );
    assert_eq!(ran.err, "Log tail truncated (increase --max-bytes).\n");
    assert_eq!(
        double.requests("logs.tail"),
        vec![json!({ "limit": 5, "maxBytes": 250_000 })]
    );
    let ran = here.run(&["logs", "--json"]);
    let kinds: Vec<String> = ran
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, ["meta", "log", "notice"]);
}

#[test]
fn following_survives_a_restart_and_a_rotation_and_ends_with_its_reader() {
    let mut polls = 0;
    let double = Double::answering(move |_, _| {
        polls += 1;
        match polls {
            1 => tail(10, &["first"], false),
            2 => Answer::Close(1012, "service restart"),
            3 => tail(20, &["second"], false),
            4 => tail(5, &["third"], true),
            _ => tail(6, &["last"], false),
        }
    });
    let here = Instance::on_port(double.port);
    let out = Captured::default();
    let ran = here.run_into(
        &["logs", "--follow", "--interval", "50"],
        Box::new(UntilWord(out.clone(), "last\n")),
        &out,
    );
    assert_eq!(ran.exit, Some(0));
    assert_eq!(ran.out, "Log file: /l/gateway.log\nfirst\nsecond\nthird\nlast\n");
    assert_eq!(
        ran.err,
        "Gateway not reachable (gateway closed (1012): service restart); waiting for it.\nGateway is back.\n\
         The log file was rotated; showing the end of the new one.\n"
    );
    let cursors: Vec<_> = double
        .requests("logs.tail")
        .iter()
        .map(|params| params.get("cursor").cloned())
        .collect();
    assert_eq!(
        cursors[..5],
        [None, Some(json!(10)), Some(json!(10)), Some(json!(20)), Some(json!(5))]
    );
}

#[test]
fn following_stops_when_the_gateway_refuses_us() {
    let double = Double::scripted(|_, _, _| {
        Answer::Refuse(
            json!({ "code": "INVALID_REQUEST", "message": "unauthorized" }),
            1008,
            "unauthorized",
        )
    });
    let ran = Instance::on_port(double.port).run(&["logs", "--follow"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.err.contains("gateway closed (1008): unauthorized"), "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let double = Double::answering(|_, _| Answer::Payload(json!({ "ok": true })));
    let out = Captured::default();
    out.clone().write_all(b"gone").unwrap();
    let ran = Instance::on_port(double.port).run_into(
        &["gateway", "call", "health"],
        Box::new(UntilWord(out.clone(), "gone")),
        &out,
    );
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
}
