//! Commands about this machine's own gateway: its token, its probes.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::{Instance, free_port};

#[test]
fn the_token_is_the_one_that_the_gateway_uses() {
    let here = Instance::with_config(r#"{ gateway: { mode: "local" } }"#);
    let ran = here.run(&["gateway", "token"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("start the gateway once"), "{}", ran.err);

    std::fs::write(here.state_dir().join("gateway-token"), "generated-one\n").unwrap();
    let ran = here.run(&["gateway", "token"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(0), "generated-one\n"));

    let file = here.state_dir().join("mounted");
    std::fs::write(&file, "mounted-one\n").unwrap();
    let here = here.with_env("OPENCLAW_GATEWAY_TOKEN_FILE", file.to_str().unwrap());
    assert_eq!(
        here.run(&["gateway", "token", "--json"]).json(),
        json!({ "token": "mounted-one" })
    );

    let configured = Instance::on_port(1).with_env("OPENCLAW_GATEWAY_TOKEN", "of-env");
    assert_eq!(configured.run(&["gateway", "token"]).out, "test-token-value\n");
}

#[test]
fn a_gateway_without_a_shared_token_says_so() {
    let here = Instance::with_config(r#"{ gateway: { mode: "local", auth: { mode: "password", password: "p" } } }"#);
    let ran = here.run(&["gateway", "token"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("gateway.auth.mode is password"), "{}", ran.err);
}

/// Answers one request with `response` and returns its first line.
fn answer_once(response: &'static str) -> (u16, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut bytes = [0; 1024];
        let count = socket.read(&mut bytes).unwrap();
        socket.write_all(response.as_bytes()).unwrap();
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    });
    (port, served)
}

#[test]
fn ready_asks_the_management_listener_without_credentials() {
    let (port, served) = answer_once("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"ready\":true}");
    let here = Instance::on_port(free_port()).with_env("OPENCLAW_MANAGEMENT_PORT", &port.to_string());
    let ran = here.run(&["gateway", "ready"]);
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (Some(0), "ready\n", ""));
    assert_eq!(served.join().unwrap(), "GET /readyz HTTP/1.1");
}

#[test]
fn ready_fails_with_what_the_gateway_names() {
    let (port, served) = answer_once(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n{\"ready\":false,\"failing\":[\"storage\",\"draining\"]}",
    );
    let ran = Instance::on_port(port).run(&["gateway", "ready"]);
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Some(1), "not ready (503): storage, draining\n")
    );
    assert_eq!(served.join().unwrap(), "GET /readyz HTTP/1.1");

    let (port, served) = answer_once("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n{\"ok\":false}");
    let ran = Instance::on_port(port).run(&["gateway", "ready", "--probe", "liveness", "--json"]);
    assert_eq!((ran.exit, ran.json()), (Some(1), json!({ "ok": false })));
    assert_eq!(served.join().unwrap(), "GET /healthz HTTP/1.1");
}

#[test]
fn ready_fails_when_nobody_answers_or_no_http() {
    let port = free_port();
    let ran = Instance::on_port(port).run(&["gateway", "ready"]);
    assert_eq!(ran.exit, Some(1));
    let expected = format!("no answer from 127.0.0.1:{port}/readyz: connect ECONNREFUSED");
    assert!(ran.err.starts_with(&expected), "{}", ran.err);

    let (port, served) = answer_once("SSH-2.0-x\r\n");
    let ran = Instance::on_port(port).run(&["gateway", "ready"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.err.contains("/readyz: invalid HTTP"), "{}", ran.err);
    served.join().unwrap();
}
