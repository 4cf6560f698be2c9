//! Input that is meant to hurt: JSON that explodes, frames that do not end, names that lie, sockets that half close.

use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, user_says, with};
use crate::support::model::ModelDouble;
use crate::support::ws::{WsClient, connect_params};

const NO_MODEL: &str = "http://127.0.0.1:9/v1";

/// Most memory that the process ever had, bytes.
pub fn peak_memory(gateway: &TestGateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

async fn raw(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(20), socket.read_to_string(&mut answer))
        .await
        .expect("the connection closes")
        .unwrap();
    answer
}

#[tokio::test]
async fn a_message_of_millions_of_values_is_refused_and_takes_little_memory() {
    let gateway = TestGateway::start(&config(NO_MODEL)).await;
    let mut client = gateway.operator().await;
    let zeros = "0,".repeat(6_000_000);
    for (frame, place) in [
        (
            format!(r#"{{"type":"req","id":"b1","method":"sessions.list","params":{{"x":[{zeros}0]}}}}"#),
            "b1",
        ),
        (format!(r#"{{"type":"req","id":"b2","surplus":[{zeros}0]}}"#), "invalid"),
    ] {
        client.socket.send(Message::text(frame)).await.unwrap();
        let answer = client.response(place).await;
        assert!(
            answer["error"]["message"].to_string().contains("200000 values"),
            "{answer}"
        );
    }
    let body = format!(r#"{{"messages":[{}]}}"#, "{},".repeat(4_000_000) + "{}");
    let answer = reqwest::Client::builder()
        .build()
        .unwrap()
        .post(gateway.url("/v1/chat/completions"))
        .bearer_auth(TOKEN)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("JSON values"));
    let peak = peak_memory(&gateway);
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
    client.ok("health", json!({})).await;
}

#[tokio::test]
async fn deep_and_binary_and_endless_messages_do_no_harm_to_others() {
    let gateway = TestGateway::start(&config(NO_MODEL)).await;
    let mut other = gateway.operator().await;
    let mut client = gateway.operator().await;
    let deep = format!("{}{}", "[".repeat(150_000), "]".repeat(150_000));
    for (id, params) in [("d1", deep.clone()), ("d2", format!(r#"{{"limit":{deep}}}"#))] {
        let frame = format!(r#"{{"type":"req","id":"{id}","method":"sessions.list","params":{params}}}"#);
        client.socket.send(Message::text(frame)).await.unwrap();
        assert_eq!(client.response(id).await["error"]["code"], "INVALID_REQUEST");
    }
    let binary = br#"{"type":"req","id":"bin","method":"health","params":{}}"#.to_vec();
    client.socket.send(Message::binary(binary)).await.unwrap();
    assert_eq!(client.response("bin").await["ok"], true);
    client
        .socket
        .send(Message::binary(vec![0xff, 0xfe, 0x00]))
        .await
        .unwrap();
    assert_eq!(client.wait_closed().await.0, 1007);

    let mut client = gateway.operator().await;
    client.socket.send(Message::text("x".repeat(27_000_000))).await.ok();
    assert_eq!(client.wait_closed().await.0, 1009);

    // A message in pieces that never ends is a message that is too large.
    let mut client = WsClient::open(gateway.port).await;
    client.next().await;
    for n in 0..70 {
        let opcode = OpCode::Data(if n == 0 { Data::Text } else { Data::Continue });
        let piece = Frame::message(vec![b' '; 1_000], opcode, false);
        if client.socket.send(Message::Frame(piece)).await.is_err() {
            break;
        }
    }
    assert_eq!(client.wait_closed().await.0, 1009);
    other.ok("health", json!({})).await;
}

#[tokio::test]
async fn a_stranger_who_is_wrong_in_every_way_is_answered_briefly_and_quickly() {
    let gateway = TestGateway::start(&config(NO_MODEL)).await;
    let mut stranger = WsClient::open(gateway.port).await;
    let mut params = connect_params(&[]);
    params["scopes"] = Value::from(vec![0; 30_000]);
    let begin = std::time::Instant::now();
    let answer = stranger.call("connect", params).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(answer.to_string().len() < 8_000, "{} bytes", answer.to_string().len());
    assert_eq!(stranger.wait_closed().await.0, 1008);
}

#[tokio::test]
async fn a_half_closed_socket_gets_a_quick_answer_and_its_long_run_ends() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let chat = |text: &str| {
        let body = user_says(text).to_string();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let half_closed = async |request: String| {
        let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = half_closed(chat("[[say:to nobody in particular]]")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("in particular"),
        "{answer}"
    );
    assert_eq!(half_closed(chat("[[stall]]")).await, "");
    eventually("the provider request is closed", async || {
        (model.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_page_under_a_name_that_now_points_here_gets_nothing_without_credentials() {
    let model = ModelDouble::start().await;
    let settings = with(config(&model.base_url()), "gateway.auth", json!({"mode": "none"}));
    let gateway = TestGateway::start(&settings).await;
    let body = user_says("hi [[say:ok]]").to_string();
    let chat = |host: &str, extra: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for extra in [
        "",
        "Origin: http://rebound.example:18789\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
    ] {
        let answer = raw(gateway.port, &chat("rebound.example:18789", extra)).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{extra}: {answer}");
        assert!(answer.contains("allowedOrigins"), "{answer}");
    }
    assert_eq!(model.seen().len(), 0);
    for host in ["127.0.0.1:1", "localhost:1", "gateway"] {
        let answer = raw(gateway.port, &chat(host, "")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn forwarding_headers_make_nobody_local_or_trusted() {
    let gateway = TestGateway::start(&config(NO_MODEL)).await;
    let client = reqwest::Client::builder().build().unwrap();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "::1, 127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;proto=https"),
        ("x-forwarded-host", "localhost"),
    ] {
        let answer = client
            .get(gateway.url("/readyz"))
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"ready":true}"#, "{name}: {value}");
        let answer = client
            .get(gateway.url("/v1/models"))
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{name}: {value}");
    }
    // A proxy on this machine that nobody configured: guesses that it passes on are counted.
    let guess = async |token: &str| {
        let request = client
            .get(gateway.url("/v1/models"))
            .header("x-forwarded-for", "203.0.113.9");
        request.bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let mut verdicts = Vec::new();
    for n in 0..12 {
        verdicts.push(guess(&format!("guess-{n}")).await);
    }
    assert_eq!(verdicts.last(), Some(&429), "{verdicts:?}");
    assert_eq!(
        guess(TOKEN).await,
        200,
        "who knows the token is not locked out by others"
    );
}

#[tokio::test]
async fn a_grpc_call_whose_message_never_comes_is_ended() {
    let settings = with(config(NO_MODEL), "gateway.limits.bodyTimeoutMs", json!(300));
    let gateway = TestGateway::start(&settings).await;
    let answer = raw(
        gateway.port,
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\n\
         Connection: close\r\nContent-Length: 5\r\n\r\n",
    )
    .await;
    assert!(answer.to_ascii_lowercase().contains("grpc-status: 4"), "{answer}");
}

#[tokio::test]
async fn sockets_never_take_the_descriptors_that_the_gateway_needs_itself() {
    let gateway = TestGateway::prepare(&config(NO_MODEL));
    let binary = gateway.command();
    let log = std::fs::File::create(gateway.log_path()).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 200; exec \"$0\" gateway --port \"$1\""])
        .arg(binary.get_program())
        .arg(gateway.port.to_string())
        .env_clear()
        .envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(gateway.dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut client = eventually("a client is let in", async || {
        reqwest::get(gateway.url("/readyz")).await.ok()?;
        Some(gateway.operator().await)
    })
    .await;
    let log = gateway.logged("the limit on open files is too low").await;
    assert!(log.contains("LimitNOFILE"), "{log}");
    let mut sockets = Vec::new();
    for _ in 0..300 {
        sockets.extend(TcpStream::connect(("127.0.0.1", gateway.port)).await.ok());
    }
    gateway.logged("connection limit reached").await;
    // Writes to the database, and opens files for it.
    client
        .ok("sessions.patch", json!({"key": "main", "label": "written"}))
        .await;
    drop(sockets);
    let readiness = eventually("there is room again", async || {
        let answer = reqwest::get(gateway.url("/readyz")).await.ok()?;
        answer.json::<Value>().await.ok()
    })
    .await;
    assert_eq!(readiness["failing"], json!([]), "{readiness}");
    let log = gateway.log();
    assert!(!log.contains("Too many open files"), "{log}");
    child.kill().unwrap();
    child.wait().unwrap();
}
