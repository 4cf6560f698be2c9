use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;
use tokio_util::sync::CancellationToken;

use super::{Admission, Entry, Gate, MESSAGE_LIMIT, Origin, Verdict, shake};
use crate::auth::{ConnectGrant, ConnectRefusal};
use crate::bus::Outbox;
use crate::domain::event::Event;
use crate::domain::{AuthMethod, Principal, Role, ScopeSet};
use crate::lifecycle::Phase;
use crate::rpc::ws::Driver;
use crate::wire::connect::ConnectParams;
use crate::wire::error::{ErrorCode, ErrorShape};

#[derive(Clone)]
struct Door {
    phase: Phase,
    refuse: bool,
    outdated: bool,
    stop: CancellationToken,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            phase: Phase::Running,
            refuse: false,
            outdated: false,
            stop: CancellationToken::new(),
        }
    }
}

impl Gate for Door {
    fn phase(&self) -> Phase {
        self.phase
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn now_ms(&self) -> i64 {
        1_795_358_335_160
    }

    fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    fn judge(&self, _: &Origin, _: &ConnectParams, _: &str, _: u8) -> impl Future<Output = Verdict> + Send {
        let verdict = if self.outdated {
            Verdict::Outdated
        } else if self.refuse {
            Verdict::Refused(ConnectRefusal {
                error: Box::new(ErrorShape {
                    code: ErrorCode::NotPaired,
                    message: "device identity required".to_owned(),
                    details: Some(json!({ "code": "DEVICE_IDENTITY_REQUIRED" })),
                    retryable: None,
                    retry_after_ms: None,
                }),
                close_code: 1008,
                close_reason: "device identity required".to_owned(),
                events: Vec::new(),
            })
        } else {
            Verdict::Granted(Box::new(Entry {
                grant: ConnectGrant {
                    principal: Principal {
                        role: Role::Operator,
                        scopes: ScopeSet::none(),
                        method: AuthMethod::Token,
                        user: None,
                        device: None,
                        client_ip: IpAddr::from([127, 0, 0, 1]),
                        local_direct: true,
                    },
                    hello_scopes: Vec::new(),
                    device_token: None,
                    by_settings: true,
                    pairing: None,
                    events: Vec::new(),
                },
                shared_generation: None,
            }))
        };
        std::future::ready(verdict)
    }

    fn publish(&self, _events: Vec<Event>) {}
}

struct Visit {
    peer: WebSocketStream<DuplexStream>,
    task: tokio::task::JoinHandle<Option<Admission>>,
}

impl Visit {
    async fn begin(door: &Door) -> Self {
        let (ours, theirs) = tokio::io::duplex(4_096);
        let door = door.clone();
        let task = tokio::spawn(async move {
            let mut driver = Driver::new(ours, &[], Arc::new(Outbox::new()), MESSAGE_LIMIT);
            let origin = Origin {
                peer: "127.0.0.1:4".parse().unwrap(),
                headers: HeaderMap::new(),
            };
            shake(&mut driver, &origin, &door).await
        });
        let mut visit = Self {
            peer: WebSocketStream::from_raw_socket(theirs, Side::Client, None).await,
            task,
        };
        let challenge = visit.frame().await;
        assert_eq!(challenge["event"], "connect.challenge");
        assert_eq!(challenge["payload"]["ts"], 1_795_358_335_160_i64);
        assert!(uuid::Uuid::parse_str(challenge["payload"]["nonce"].as_str().unwrap()).is_ok());
        assert_eq!(challenge.as_object().unwrap().len(), 3);
        visit
    }

    async fn frame(&mut self) -> Value {
        match self.peer.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, text: impl Into<String>) {
        self.peer.send(Message::text(text.into())).await.unwrap();
    }

    async fn close(mut self) -> (u16, String) {
        let closed = match self.peer.next().await {
            Some(Ok(Message::Close(Some(frame)))) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("{other:?}"),
        };
        while self.peer.next().await.is_some() {}
        assert!(self.task.await.unwrap().is_none());
        closed
    }
}

fn params() -> Value {
    json!({
        "minProtocol": 3,
        "maxProtocol": 3,
        "client": { "id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend" },
        "role": "operator",
        "scopes": ["operator.read"],
        "caps": [],
        "auth": { "token": "t" },
    })
}

fn connect(params: &Value) -> String {
    json!({ "type": "req", "id": "c1", "method": "connect", "params": params }).to_string()
}

async fn admitted(params: &Value) -> Admission {
    let mut visit = Visit::begin(&Door::default()).await;
    visit.say(connect(params)).await;
    visit.task.await.unwrap().unwrap()
}

async fn refused(door: &Door, params: &Value) -> (Value, (u16, String)) {
    let mut visit = Visit::begin(door).await;
    visit.say(connect(params)).await;
    let answer = visit.frame().await;
    assert_eq!((&answer["id"], &answer["ok"]), (&"c1".into(), &false.into()));
    (answer["error"].clone(), visit.close().await)
}

#[tokio::test]
async fn a_valid_connect_is_admitted() {
    let admission = admitted(&params()).await;
    assert_eq!((admission.request_id.as_str(), admission.protocol), ("c1", 3));
}

#[tokio::test]
async fn what_is_no_request_closes_without_an_answer() {
    for (text, code, reason) in [
        ("hello there", 1000, ""),
        ("42", 1008, "invalid request frame"),
        ("null", 1008, "invalid request frame"),
        ("{}", 1008, "invalid request frame"),
        (r#"{"type":"event","event":"x"}"#, 1008, "invalid request frame"),
        (
            r#"{"type":"req","id":"1","method":"connect","params":{},"x":1}"#,
            1008,
            "invalid request frame",
        ),
    ] {
        let mut visit = Visit::begin(&Door::default()).await;
        visit.say(text).await;
        assert_eq!(visit.close().await, (code, reason.to_owned()), "{text}");
    }
}

#[tokio::test]
async fn another_method_first_is_answered_and_closed() {
    let message = "invalid handshake: first request must be connect";
    let mut visit = Visit::begin(&Door::default()).await;
    visit.say(r#"{"type":"req","id":"1","method":"health"}"#).await;
    assert_eq!(
        visit.frame().await,
        json!({ "type": "res", "id": "1", "ok": false, "error": { "code": "INVALID_REQUEST", "message": message } })
    );
    assert_eq!(visit.close().await, (1008, message.to_owned()));
}

#[tokio::test]
async fn bad_params_are_worded_as_captured_and_the_reason_is_cut() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 12] = [
        (
            |p| *p = json!({}),
            "must have required property 'minProtocol'; must have required property 'maxProtocol'; \
             must have required property 'client'",
        ),
        (
            |p| p["client"]["id"] = "evil".into(),
            "at /client/id: must be equal to one of the allowed values",
        ),
        (
            |p| {
                p["client"]["version"] = "".into();
                p["client"]["mode"] = "weird".into();
            },
            "at /client/version: must NOT have fewer than 1 characters; \
             at /client/mode: must be equal to one of the allowed values",
        ),
        (
            |p| p["extraField"] = 1.into(),
            "at root: unexpected property 'extraField'",
        ),
        (
            |p| p["role"] = "".into(),
            "at /role: must NOT have fewer than 1 characters",
        ),
        (
            |p| p["scopes"] = json!([""]),
            "at /scopes/0: must NOT have fewer than 1 characters",
        ),
        (|p| p["minProtocol"] = 0.into(), "at /minProtocol: must be >= 1"),
        (|p| p["minProtocol"] = "3".into(), "at /minProtocol: must be integer"),
        (|p| p["auth"]["foo"] = 1.into(), "at /auth: unexpected property 'foo'"),
        (
            |p| p["device"] = json!({ "id": "x" }),
            "at /device: must have required property 'publicKey'; at /device: must have required property 'signature'; \
             at /device: must have required property 'signedAt'; at /device: must have required property 'nonce'",
        ),
        (
            |p| p["permissions"] = json!({ "a": 1 }),
            "at /permissions/a: must be boolean",
        ),
        (
            |p| p["client"]["displayName"] = "".into(),
            "at /client/displayName: must NOT have fewer than 1 characters",
        ),
    ];
    for (change, message) in cases {
        let mut changed = params();
        change(&mut changed);
        let full = format!("invalid connect params: {message}");
        let (error, close) = refused(&Door::default(), &changed).await;
        assert_eq!(error, json!({ "code": "INVALID_REQUEST", "message": full }));
        assert_eq!(close, (1008, full.chars().take(120).collect()));
    }
}

#[tokio::test]
async fn an_unknown_role_is_refused() {
    let mut changed = params();
    changed["role"] = "boss".into();
    let (error, close) = refused(&Door::default(), &changed).await;
    assert_eq!(error, json!({ "code": "INVALID_REQUEST", "message": "invalid role" }));
    assert_eq!(close, (1008, "invalid role".to_owned()));
}

#[tokio::test]
async fn the_highest_common_protocol_is_spoken() {
    for (min, max, want) in [(3, 3, 3), (3, 4, 4), (4, 4, 4), (4, 5, 4), (1, 9, 4), (2, 3, 3)] {
        let mut changed = params();
        changed["minProtocol"] = min.into();
        changed["maxProtocol"] = max.into();
        assert_eq!(admitted(&changed).await.protocol, want, "{min}-{max}");
    }
    for (min, max) in [(1, 2), (5, 9)] {
        let mut changed = params();
        changed["minProtocol"] = min.into();
        changed["maxProtocol"] = max.into();
        let (error, close) = refused(&Door::default(), &changed).await;
        assert_eq!(
            error,
            json!({
                "code": "INVALID_REQUEST",
                "message": "protocol mismatch",
                "details": {
                    "code": "PROTOCOL_MISMATCH",
                    "clientMinProtocol": min,
                    "clientMaxProtocol": max,
                    "expectedProtocol": 4,
                    "minimumProbeProtocol": 3,
                },
            })
        );
        assert_eq!(close, (1002, "protocol mismatch".to_owned()));
    }
}

#[tokio::test]
async fn keys_of_protocol_4_are_accepted() {
    let mut changed = params();
    changed["client"]["buildId"] = "b".into();
    changed["client"]["timeZone"] = "UTC".into();
    changed["modelCatalog"] = json!({ "sessionKey": "main" });
    changed["computerUse"] = json!([1]);
    changed["workerRuns"] = json!({ "bundleHash": "x" });
    changed["auth"]["approvalRuntimeToken"] = "x".into();
    admitted(&changed).await;
}

#[tokio::test]
async fn while_the_process_starts_the_client_is_told_to_retry() {
    let door = Door {
        phase: Phase::Starting,
        ..Door::default()
    };
    let (error, close) = refused(&door, &params()).await;
    assert_eq!(
        error,
        json!({
            "code": "UNAVAILABLE",
            "message": "gateway starting; retry shortly",
            "details": { "reason": "startup-sidecars" },
            "retryable": true,
            "retryAfterMs": 500,
        })
    );
    assert_eq!(close, (1013, "gateway starting".to_owned()));
}

#[tokio::test]
async fn a_refusal_of_the_authenticator_is_passed_on() {
    let door = Door {
        refuse: true,
        ..Door::default()
    };
    let (error, close) = refused(&door, &params()).await;
    assert_eq!(
        (&error["code"], &error["details"]["code"]),
        (&"NOT_PAIRED".into(), &"DEVICE_IDENTITY_REQUIRED".into())
    );
    assert_eq!(close, (1008, "device identity required".to_owned()));
}

#[tokio::test]
async fn a_secret_that_changed_meanwhile_closes_4001_without_an_answer() {
    let door = Door {
        outdated: true,
        ..Door::default()
    };
    let mut visit = Visit::begin(&door).await;
    visit.say(connect(&params())).await;
    assert_eq!(visit.close().await, (4001, "gateway auth changed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn silence_is_closed_1000_after_the_timeout_without_a_frame() {
    let visit = Visit::begin(&Door::default()).await;
    assert_eq!(visit.close().await, (1000, String::new()));
}

#[tokio::test]
async fn a_stopping_process_closes_waiting_connections() {
    let door = Door::default();
    let visit = Visit::begin(&door).await;
    door.stop.cancel();
    assert_eq!(visit.close().await, (1012, "service restart".to_owned()));
}

#[tokio::test]
async fn a_first_message_of_exactly_the_limit_passes_and_one_byte_more_closes_1009() {
    let limit = usize::try_from(MESSAGE_LIMIT).unwrap();
    let padded = |size: usize| {
        let mut changed = params();
        changed["userAgent"] = "".into();
        let pad = size - connect(&changed).len();
        changed["userAgent"] = "u".repeat(pad).into();
        let text = connect(&changed);
        assert_eq!(text.len(), size);
        text
    };
    let mut visit = Visit::begin(&Door::default()).await;
    visit.say(padded(limit)).await;
    assert!(visit.task.await.unwrap().is_some());
    let mut visit = Visit::begin(&Door::default()).await;
    visit.say(padded(limit + 1)).await;
    assert_eq!(visit.close().await, (1009, String::new()));
}
