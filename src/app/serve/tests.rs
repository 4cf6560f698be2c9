//! The listener over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::config::{AuthMode, TlsFiles};
use crate::grpc;
use crate::http::fixtures::{Rig, Step, all_on, completed, end, say};

const LONG: Duration = Duration::from_secs(20);

struct Served {
    rig: Rig,
    server: Server,
    addr: SocketAddr,
}

impl Served {
    async fn new(rig: Rig, limits: Limits) -> Self {
        Self::with(rig, ServeSettings { limits, tls: None }).await
    }

    async fn with(rig: Rig, settings: ServeSettings) -> Self {
        let listeners = bind(&[ListenAddress::required(([127, 0, 0, 1], 0).into())])
            .await
            .unwrap();
        let addr = listeners.addresses()[0];
        let server = Server::start(listeners, rig.surface.clone(), settings, &rig.lifecycle);
        Self { rig, server, addr }
    }

    async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends `request` and reads until the server closes.
    async fn exchange(&self, request: &str) -> String {
        read_all(&mut self.open(request).await).await
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn read_until(stream: &mut TcpStream, needle: &str) -> String {
    let mut text = String::new();
    let mut buf = [0; 4096];
    while !text.contains(needle) {
        let count = timeout(LONG, stream.read(&mut buf)).await.unwrap().unwrap();
        assert!(count > 0, "closed before {needle:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&buf[..count]));
    }
    text
}

fn chat(body: &serde_json::Value, extra: &str) -> String {
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn hello(stream: bool) -> serde_json::Value {
    json!({"stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

fn small_bodies() -> serde_json::Value {
    json!({"gateway": {
        "http": {"endpoints": {"chatCompletions": {"enabled": true, "maxBodyBytes": 1000}}},
        "limits": {"bodyTimeoutMs": 100}
    }})
}

#[tokio::test]
async fn connections_are_kept_and_old_clients_are_answered_and_closed() {
    let served = Served::new(Rig::on(Vec::new()), Limits::default()).await;
    let mut stream = served.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut stream, "live").await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "live").await;
    assert!(
        served
            .exchange("GET /healthz HTTP/1.0\r\n\r\n")
            .await
            .contains(" 200 OK")
    );
    let close = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(served.exchange(close).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_sends_too_much_still_receives_the_413() {
    let served = Served::new(Rig::new(small_bodies(), AuthMode::Token, Vec::new()), Limits::default()).await;
    let mut stream = served
        .open("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nContent-Length: 8000000\r\n\r\n")
        .await;
    // The client insists on sending everything before it reads.
    for _ in 0..80 {
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
    }
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"));
    assert!(answer.contains("Payload too large"));

    let mut stream = served
        .open("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "y".repeat(100_000));
    for _ in 0..20 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn expect_continue_is_honoured_and_refused_before_the_body() {
    let rig = Rig::new(small_bodies(), AuthMode::Token, vec![end(completed("ok"))]);
    let served = Served::new(rig, Limits::default()).await;
    let request = chat(&hello(false), "Expect: 100-continue\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut stream = served.open(&format!("{head}\r\n\r\n")).await;
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(body.as_bytes()).await.unwrap();
    read_until(&mut stream, "chatcmpl_").await;

    let big = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n";
    let mut stream = served.open(big).await;
    assert!(read_until(&mut stream, "too large").await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_body_that_stops_gets_a_408() {
    let served = Served::new(Rig::new(small_bodies(), AuthMode::Token, Vec::new()), Limits::default()).await;
    let answer = served
        .exchange("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nContent-Length: 500\r\n\r\n{")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("Request body timeout"));
}

#[tokio::test]
async fn an_unauthorised_body_is_not_waited_for() {
    let served = Served::new(Rig::on(Vec::new()), Limits::default()).await;
    let mut stream = served
        .open("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        .await;
    assert!(
        read_until(&mut stream, "Unauthorized")
            .await
            .starts_with("HTTP/1.1 401")
    );
}

#[tokio::test]
async fn slow_heads_idle_connections_and_silent_ones_are_closed() {
    let limits = Limits {
        header_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let served = Served::new(Rig::on(Vec::new()), limits).await;
    assert_eq!(served.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ").await, "");
    assert_eq!(served.exchange("").await, "");
    assert!(
        served
            .exchange("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .contains("live")
    );
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_a_431() {
    let limits = Limits {
        max_header_bytes: 8 * 1024,
        ..Limits::default()
    };
    let served = Served::new(Rig::on(Vec::new()), limits).await;
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(20_000));
    assert!(served.exchange(&request).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let served = Served::new(Rig::on(Vec::new()), Limits::default()).await;
    for framing in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 44\r\n\r\n{}",
        "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length : 2\r\n\r\n{}",
    ] {
        let smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n{framing}{smuggled}"
        );
        let answer = served.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answer}");
    }
    // No handler was asked: this route answers 200 to anybody.
    let head = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n";
    let answer = served.exchange(&format!("{head}{both}{head}\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && !answer.contains("200 OK"),
        "{answer}"
    );
    // Behind another request the head is not seen; then it is the last one.
    let answer = served.exchange(&format!("{head}\r\n{head}{both}{head}\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_body_in_chunks_keeps_its_connection() {
    let served = Served::new(Rig::on(Vec::new()), Limits::default()).await;
    let chunked = "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let mut stream = served.open(chunked).await;
    read_until(&mut stream, "ok").await;
    let last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(last.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_leaves_aborts_its_run_streamed_or_not() {
    for stream in [true, false] {
        let steps = if stream {
            vec![say("partial"), Step::Hang]
        } else {
            vec![Step::Hang]
        };
        let served = Served::new(Rig::on(steps), Limits::default()).await;
        let mut socket = served.open(&chat(&hello(stream), "")).await;
        if stream {
            read_until(&mut socket, "partial").await;
        }
        // The end of the client's side alone counts as leaving, so that half-closed sockets do not pile up.
        socket.shutdown().await.unwrap();
        timeout(LONG, served.rig.script.aborted.cancelled()).await.unwrap();
        read_all(&mut socket).await;
        drop(socket);
        timeout(LONG, async {
            while served.server.connections() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_request_and_the_end_of_its_side_that_arrive_together_are_answered() {
    let rig = Rig::on(vec![Step::Wait(Duration::from_millis(50)), end(completed("late"))]);
    let listeners = bind(&[ListenAddress::required(([127, 0, 0, 1], 0).into())])
        .await
        .unwrap();
    let addr = listeners.addresses()[0];
    // Nobody accepts yet, so the server finds the request and the end behind it in one look.
    let mut early = Vec::new();
    for request in [
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        chat(&hello(false), ""),
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        early.push(stream);
    }
    let settings = ServeSettings {
        limits: Limits::default(),
        tls: None,
    };
    let _server = Server::start(listeners, rig.surface.clone(), settings, &rig.lifecycle);
    for mut stream in early {
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_at_once() {
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let served = Served::new(Rig::on(Vec::new()), limits).await;
    let mut first = served.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut first, "live").await;
    let mut second = TcpStream::connect(served.addr).await.unwrap();
    let mut buf = [0; 1];
    assert!(matches!(
        timeout(LONG, second.read(&mut buf)).await.unwrap(),
        Ok(0) | Err(_)
    ));
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut first, "live").await;
}

#[tokio::test]
async fn stopping_lets_a_stream_finish_and_accepts_nothing_new() {
    let steps = vec![
        say("one "),
        Step::Wait(Duration::from_millis(200)),
        end(completed("one ")),
    ];
    let served = Served::new(Rig::on(steps), Limits::default()).await;
    let mut idle = served.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut idle, "live").await;
    let mut stream = served.open(&chat(&hello(true), "")).await;
    read_until(&mut stream, "one ").await;
    let server = served.server.clone();
    let stopping = tokio::spawn(async move { server.stop(LONG).await });
    let rest = read_all(&mut stream).await;
    assert!(
        rest.contains("data: [DONE]\n\n") && rest.ends_with("0\r\n\r\n"),
        "{rest}"
    );
    drop((stream, idle));
    timeout(LONG, stopping).await.unwrap().unwrap();
    assert!(TcpStream::connect(served.addr).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let served = Served::new(Rig::on(vec![say("one "), Step::Hang]), Limits::default()).await;
    let mut stream = served.open(&chat(&hello(true), "")).await;
    read_until(&mut stream, "one ").await;
    timeout(LONG, served.server.stop(Duration::from_millis(50)))
        .await
        .unwrap();
    assert!(served.rig.script.aborted.is_cancelled());
    assert!(!read_all(&mut stream).await.contains("[DONE]"));
}

#[tokio::test]
async fn addresses_can_be_swapped_while_connections_live_on() {
    let served = Served::new(Rig::on(Vec::new()), Limits::default()).await;
    let mut old = served.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut old, "live").await;
    // The wildcard of the same port cannot be opened beside the old address.
    let wildcard: SocketAddr = ([0, 0, 0, 0], served.addr.port()).into();
    served
        .server
        .rebind(&[ListenAddress::required(wildcard)])
        .await
        .unwrap();
    assert_eq!(served.server.addresses(), [wildcard]);
    old.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut old, "live").await;
    let mut new = served.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut new, "live").await;

    let absent = ListenAddress::required(([192, 0, 2, 1], 1).into());
    assert!(served.server.rebind(&[absent]).await.is_err());
    assert_eq!(served.server.addresses(), [wildcard]);
}

#[tokio::test]
async fn an_upgrade_on_any_path_becomes_a_socket() {
    let served = Served::new(Rig::new(all_on(), AuthMode::Token, Vec::new()), Limits::default()).await;
    let upgrade = |path: &str, key: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
    };
    let mut stream = served.open(&upgrade("/any/path?x", "dGhlIHNhbXBsZSBub25jZQ==")).await;
    let head = read_until(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    stream.write_all(b"marco").await.unwrap();
    read_until(&mut stream, "marco").await;

    let late = upgrade("/", "dGhlIHNhbXBsZSBub25jZQ==\r\nx-late: 1");
    let mut full = served.open(&late).await;
    assert!(read_until(&mut full, "Too many").await.starts_with("HTTP/1.1 503"));
    let mut bad = served.open(&upgrade("/", "short")).await;
    assert!(
        read_until(&mut bad, "Sec-WebSocket-Key")
            .await
            .starts_with("HTTP/1.1 400")
    );
}

#[tokio::test]
async fn http2_works_without_tls_and_with_it() {
    let plain = Served::new(Rig::on(Vec::new()), Limits::default()).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .timeout(LONG)
        .build()
        .unwrap();
    let response = client
        .get(format!("http://{}/healthz", plain.addr))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.version(), response.status().as_u16()),
        (http::Version::HTTP_2, 200)
    );

    let dir = tempfile::tempdir().unwrap();
    let files = TlsFiles::in_state_dir(dir.path(), true);
    let tls = Arc::new(Tls::open(files.clone()).unwrap());
    let settings = ServeSettings {
        limits: Limits::default(),
        tls: Some(tls),
    };
    let secure = Served::with(Rig::on(Vec::new()), settings).await;
    let root = reqwest::Certificate::from_pem(&std::fs::read(&files.cert).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .timeout(LONG)
        .build()
        .unwrap();
    let response = client
        .get(format!("https://localhost:{}/healthz", secure.addr.port()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.version(), response.status().as_u16()),
        (http::Version::HTTP_2, 200)
    );
}

struct Admission;

impl grpc::GrpcGate for Admission {
    fn admit(
        &self,
        auth: &crate::config::ResolvedAuth,
        peer: SocketAddr,
        metadata: &http::HeaderMap,
    ) -> Result<crate::domain::Principal, crate::auth::AuthFailure> {
        crate::http::Gatekeeper::admit(&crate::http::fixtures::Gate, auth, peer, metadata)
    }
}

#[tokio::test]
async fn grpc_shares_the_port_and_health_watches_end_with_the_process() {
    use tonic_health::ServingStatus;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let mut rig = Rig::on(Vec::new());
    let health = grpc::HealthService::new(rig.probes(), rig.lifecycle.clone());
    let ports = grpc::ControlPorts {
        live: rig.live.clone(),
        gate: Arc::new(Admission),
        runs: Arc::<crate::http::fixtures::Script>::clone(&rig.script),
        probes: rig.probes(),
        lifecycle: rig.lifecycle.clone(),
    };
    rig.serve_grpc(grpc::routes(ports, &health));
    let following = tokio::spawn(health.run(rig.lifecycle.stop.clone()));
    let served = Served::new(rig, Limits::default()).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", served.addr))
        .unwrap()
        .timeout(LONG)
        .connect()
        .await
        .unwrap();

    let mut control = grpc::pb::control_client::ControlClient::new(channel.clone());
    let refused = control.get_status(grpc::pb::GetStatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let mut request = tonic::Request::new(grpc::pb::GetStatusRequest {});
    request
        .metadata_mut()
        .insert("authorization", "Bearer reader".parse().unwrap());
    let status = control.get_status(request).await.unwrap().into_inner();
    assert!(
        status.ready && status.live && status.config_generation == 1,
        "{status:?}"
    );

    let mut client = HealthClient::new(channel);
    let request = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut watch = client.watch(request("readiness")).await.unwrap().into_inner();
    let mut next = async || {
        timeout(LONG, watch.message())
            .await
            .unwrap()
            .unwrap()
            .map(|answer| answer.status)
    };
    let as_number = |status: ServingStatus| match status {
        ServingStatus::Serving => Some(1),
        ServingStatus::NotServing => Some(2),
        ServingStatus::Unknown => Some(0),
    };
    assert_eq!(next().await, as_number(ServingStatus::Serving));
    served.rig.lifecycle.advance(crate::lifecycle::Phase::Draining);
    assert_eq!(next().await, as_number(ServingStatus::NotServing));
    let live = client.check(request("liveness")).await.unwrap().into_inner();
    assert_eq!(Some(live.status), as_number(ServingStatus::Serving));
    served.rig.lifecycle.advance(crate::lifecycle::Phase::Stopping);
    assert_eq!(next().await, None);
    following.await.unwrap();
    timeout(LONG, served.server.stop(LONG)).await.unwrap();
}
