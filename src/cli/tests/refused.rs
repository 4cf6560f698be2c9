use serde_json::{Value, json};

use super::Instance;
use super::double::{Answer, Double, hello};

const MISMATCH: &str = "unauthorized: gateway token mismatch (set gateway.remote.token to match gateway.auth.token)";

fn mismatch(can_retry: bool) -> Value {
    json!({
        "code": "INVALID_REQUEST",
        "message": MISMATCH,
        "details": { "code": "AUTH_TOKEN_MISMATCH", "canRetryWithDeviceToken": can_retry },
    })
}

#[test]
fn a_wrong_token_gives_the_refusal_and_the_close_code() {
    let double = Double::scripted(|_, _, _| Answer::Refuse(mismatch(false), 1008, MISMATCH));
    let here = Instance::on_port(double.port);
    let ran = here.run(&["gateway", "call", "status"]).masked_port(double.port);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
    assert_eq!(
        ran.err,
        format!(
            "gateway connect failed: GatewayClientRequestError: {MISMATCH}\n\
             Gateway call failed: GatewayTransportError: gateway closed (1008): {MISMATCH}\n\
             Gateway target: ws://127.0.0.1:<port>\nSource: local loopback\nConfig: <config>\nBind: loopback\n"
        )
    );
    let ran = here.run(&["gateway", "call", "status", "--json"]);
    assert_eq!(
        ran.json(),
        json!({ "ok": false, "error": { "code": "AUTH_TOKEN_MISMATCH", "message": MISMATCH } })
    );
    let ran = here.run(&["gateway", "status"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.err.contains(&format!(
        "Connectivity probe: failed\nProbe target: ws://127.0.0.1:{}\n  {MISMATCH}\n",
        double.port
    )));
}

#[test]
fn an_unknown_method_is_the_methods_error() {
    let double = Double::answering(|method, _| {
        Answer::Error(json!({ "code": "INVALID_REQUEST", "message": format!("unknown method: {method}") }))
    });
    let ran = Instance::on_port(double.port).run(&["gateway", "call", "no.such.method"]);
    assert_eq!(ran.exit, Some(1));
    assert_eq!(
        ran.err,
        "Gateway call failed: GatewayClientRequestError: unknown method: no.such.method\n"
    );
}

#[test]
fn params_that_are_not_json_are_refused_before_anything_is_sent() {
    let ran = Instance::on_port(1).run(&["gateway", "call", "health", "--params", "{bad"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.err.starts_with("Gateway call failed: SyntaxError: "), "{}", ran.err);
}

#[test]
fn a_gateway_that_never_answers_is_left_after_the_timeout() {
    let double = Double::answering(|_, _| Answer::Silence);
    let ran = Instance::on_port(double.port).run(&["gateway", "health", "--timeout", "80"]);
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err
            .starts_with("GatewayTransportError: gateway timeout after 80ms\nGateway target: "),
        "{}",
        ran.err
    );
}

#[test]
fn a_close_in_the_middle_names_code_and_reason() {
    let double = Double::answering(|_, _| Answer::Close(4001, "gateway auth changed"));
    let ran = Instance::on_port(double.port).run(&["health"]);
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err
            .starts_with("GatewayTransportError: gateway closed (4001): gateway auth changed\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_port_that_speaks_no_websocket_says_what_it_met() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 64];
        assert!(stream.read(&mut head).unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    let ran = Instance::on_port(port).run(&["gateway", "health"]);
    server.join().unwrap();
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err.contains("\nReason: Unexpected server response: 503\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_gateway_that_is_still_starting_is_tried_again() {
    let double = Double::scripted(|count, method, params| match (count, method) {
        (0, _) => Answer::Refuse(
            json!({ "code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryable": true, "retryAfterMs": 1 }),
            1013,
            "gateway starting",
        ),
        (_, "connect") => Answer::Payload(hello(params)),
        _ => Answer::Payload(json!({ "ok": true })),
    });
    let ran = Instance::on_port(double.port).run(&["gateway", "health"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.err);
    assert_eq!(double.requests("connect").len(), 2);
}

#[test]
fn a_request_for_pairing_is_told_apart_from_other_refusals() {
    let double = Double::scripted(|_, _, _| {
        Answer::Refuse(
            json!({
                "code": "NOT_PAIRED",
                "message": "pairing required: device is not approved yet",
                "details": { "code": "PAIRING_REQUIRED", "requestId": "r-1" },
            }),
            1008,
            "pairing required: device is not approved yet (requestId: r-1)",
        )
    });
    let here = Instance::with_config(&format!(r#"{{ gateway: {{ mode: "local", port: {} }} }}"#, double.port));
    let ran = here.run(&["gateway", "status", "--json"]);
    assert_eq!(ran.json()["rpc"]["capability"], "pairing_pending");
    let ran = here.run(&["gateway", "call", "status"]);
    assert!(
        ran.err
            .contains("gateway closed (1008): pairing required: device is not approved yet (requestId: r-1)")
    );
}
