//! The provider against a double on a real socket.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::telemetry::trace::TraceContext;

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const CHUNK: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"}}]}\n\n";

/// Answers each connection's request with the next of `answers` (the last one again and again), then closes it, or
/// keeps it open if `hangs`.
struct Double {
    base_url: String,
    requests: mpsc::Receiver<String>,
    served: Arc<AtomicUsize>,
}

impl Double {
    async fn start(answers: &[&str], hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let (seen, requests) = mpsc::channel(16);
        let served = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&served);
        tokio::spawn(async move {
            let mut open = Vec::new();
            for at in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = answers.get(at).or_else(|| answers.last()).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                seen.send(request).await.unwrap();
                if hangs {
                    open.push(stream);
                }
            }
        });
        Self {
            base_url,
            requests,
            served,
        }
    }

    fn provider(&self, idle: Option<Duration>) -> OpenAiCompletions {
        OpenAiCompletions::build(&settings(&self.base_url, idle), HttpClients::new()).unwrap()
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0usize);
            if body.len() >= length {
                return text;
            }
        }
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "closed in the middle of the request");
        bytes.extend_from_slice(&buffer[..read]);
    }
}

fn settings(base_url: &str, idle: Option<Duration>) -> ProviderSettings {
    ProviderSettings {
        id: "mock".to_owned(),
        base_url: base_url.to_owned(),
        api: API.to_owned(),
        api_key: Ok(Some(Secret::new("sk-mock-secret"))),
        key_is_bearer: false,
        headers: vec![("x-tenant".to_owned(), Secret::new("blue-team"))],
        idle_timeout: idle,
        overrides: Vec::new(),
        accounts: Vec::new(),
        rest: RestPolicy::default(),
        models: vec![ModelEntry {
            id: "m1".to_owned(),
            max_tokens: 77,
            ..Demo::entry()
        }],
    }
}

fn refusal(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn fails(provider: &OpenAiCompletions, call: &ModelCall) -> CallError {
    match provider.call(call).await {
        Ok(_) => panic!("the call should fail"),
        Err(error) => error,
    }
}

/// All events as lines, an error as its class.
async fn run(provider: &OpenAiCompletions, call: &ModelCall) -> Vec<String> {
    let events: Vec<_> = provider.call(call).await.unwrap().collect().await;
    events
        .iter()
        .map(|event| match event {
            Ok(event) => line(event),
            Err(error) => format!("error {}", error.class.as_str()),
        })
        .collect()
}

#[tokio::test]
async fn a_stream_is_read_and_the_request_carries_key_headers_and_trace() {
    let answer = format!(
        "{SSE}{CHUNK}data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
    );
    let mut double = Double::start(&[&answer], false).await;
    let mut call = call(true);
    call.trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(run(&double.provider(None), &call).await, ["text half", "finish stop"]);
    let request = double.requests.recv().await.unwrap();
    for part in [
        "POST /v1/chat/completions HTTP/1.1\r\n",
        "authorization: Bearer sk-mock-secret\r\n",
        "x-tenant: blue-team\r\n",
        "accept: text/event-stream\r\n",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        "\"stream_options\":{\"include_usage\":true}",
        "\"max_completion_tokens\":77",
    ] {
        assert!(request.contains(part), "{part} not in {request}");
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_is_read_in_both_modes() {
    let body = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    let double = Double::start(&[&refusal("200 OK", "", body)], false).await;
    for stream in [false, true] {
        assert_eq!(
            run(&double.provider(None), &call(stream)).await,
            ["text Hi", "finish stop"]
        );
    }
}

#[tokio::test]
async fn refusals_have_class_status_words_and_no_key() {
    for (status, headers, class, after) in [
        ("401 Unauthorized", "", CallErrorClass::Auth, None),
        (
            "429 Too Many Requests",
            "retry-after: 7\r\n",
            CallErrorClass::RateLimit,
            Some(7),
        ),
        ("500 Internal Server Error", "", CallErrorClass::Server, None),
        ("503 Service Unavailable", "", CallErrorClass::Overloaded, None),
        ("400 Bad Request", "", CallErrorClass::BadRequest, None),
        ("404 Not Found", "", CallErrorClass::ModelNotFound, None),
    ] {
        let body = r#"{"error":{"message":"no luck with sk-mock-secret","type":"t"}}"#;
        let double = Double::start(&[&refusal(status, headers, body)], false).await;
        let error = fails(&double.provider(None), &call(true)).await;
        assert_eq!(error.class, class);
        assert!(status.starts_with(&error.status.unwrap().to_string()));
        assert_eq!(error.retry_after, after.map(Duration::from_secs));
        assert!(
            error.message.ends_with(": no luck with [redacted]"),
            "{}",
            error.message
        );
        assert_eq!(double.served(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_network_failure() {
    let provider = OpenAiCompletions::build(&settings("http://127.0.0.1:1/v1", None), HttpClients::new()).unwrap();
    let error = fails(&provider, &call(true)).await;
    assert_eq!(error.class, CallErrorClass::Network);
    assert!(
        error
            .message
            .starts_with("provider `mock` at 127.0.0.1:1: no connection"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_cut_stream_yields_its_text_and_then_an_error() {
    let double = Double::start(&[&format!("{SSE}{CHUNK}")], false).await;
    assert_eq!(
        run(&double.provider(None), &call(true)).await,
        ["text half", "error network"]
    );
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{CHUNK}\r\n",
        CHUNK.len()
    );
    let double = Double::start(&[&chunked], false).await;
    assert_eq!(
        run(&double.provider(None), &call(true)).await,
        ["text half", "error network"]
    );
}

#[tokio::test]
async fn broken_json_in_a_stream_is_malformed_after_the_text_before_it() {
    let double = Double::start(&[&format!("{SSE}{CHUNK}data: {{\"choices\":[{{\n\n")], false).await;
    assert_eq!(
        run(&double.provider(None), &call(true)).await,
        ["text half", "error malformed"]
    );
}

#[tokio::test]
async fn a_web_page_is_malformed() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
    let double = Double::start(&[page], false).await;
    for stream in [false, true] {
        assert_eq!(
            fails(&double.provider(None), &call(stream)).await.class,
            CallErrorClass::Malformed
        );
    }
}

#[tokio::test]
async fn a_provider_without_stream_options_is_asked_again_once_and_remembered() {
    let no = refusal(
        "400 Bad Request",
        "",
        r#"{"error":{"message":"Unknown field: stream_options"}}"#,
    );
    let yes = format!("{SSE}{CHUNK}data: [DONE]\n\n");
    let double = Double::start(&[&no, &yes], false).await;
    let provider = double.provider(None);
    assert_eq!(run(&provider, &call(true)).await, ["text half", "finish stop"]);
    assert_eq!(double.served(), 2);
    assert_eq!(run(&provider, &call(true)).await, ["text half", "finish stop"]);
    assert_eq!(double.served(), 3);
}

#[tokio::test]
async fn silence_before_the_first_byte_ends_at_the_deadline() {
    let mut double = Double::start(&[""], true).await;
    let provider = double.provider(Some(Duration::from_secs(120)));
    let call = call(true);
    let calling = fails(&provider, &call);
    tokio::pin!(calling);
    tokio::select! {
        error = &mut calling => panic!("failed before the deadline: {error}"),
        request = double.requests.recv() => assert!(request.is_some()),
    }
    tokio::time::pause();
    let error = calling.await;
    assert_eq!(error.class, CallErrorClass::Timeout);
    assert_eq!(error.message, "provider `mock` did not answer within 120 s");
}

#[tokio::test]
async fn silence_within_a_stream_ends_at_the_deadline() {
    let double = Double::start(&[&format!("{SSE}{CHUNK}")], true).await;
    let provider = double.provider(Some(Duration::from_secs(120)));
    let mut events = provider.call(&call(true)).await.unwrap();
    assert_eq!(line(&events.next().await.unwrap().unwrap()), "text half");
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.class, CallErrorClass::Timeout);
    assert!(begun.elapsed() >= Duration::from_secs(119));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_stays_open_after_its_end_is_complete() {
    for end in [
        "data: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    ] {
        let double = Double::start(&[&format!("{SSE}{CHUNK}{end}")], true).await;
        let provider = double.provider(None);
        let mut events = provider.call(&call(true)).await.unwrap();
        assert_eq!(line(&events.next().await.unwrap().unwrap()), "text half");
        tokio::time::pause();
        assert_eq!(line(&events.next().await.unwrap().unwrap()), "finish stop");
        assert!(events.next().await.is_none());
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_finished_stream_gives_its_connection_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let body = format!("{CHUNK}data: [DONE]\n\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    // A second connection would never be accepted.
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        loop {
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let provider = OpenAiCompletions::build(&settings(&base_url, None), HttpClients::new()).unwrap();
    for _ in 0..3 {
        let mut events = provider.call(&call(true)).await.unwrap();
        while let Some(event) = events.next().await {
            if matches!(event.unwrap(), ModelEvent::Finish { .. }) {
                break;
            }
        }
        drop(events);
        // The pool takes the connection back in a task of its own.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn bad_settings_are_refused_with_the_reason() {
    let mut bad = settings("ftp://example.com", None);
    let reason = OpenAiCompletions::build(&bad, HttpClients::new()).unwrap_err();
    assert!(reason.contains("baseUrl"), "{reason}");
    bad = settings("http://127.0.0.1:1/v1", None);
    bad.api_key = Ok(Some(Secret::new("line\nbreak")));
    let reason = OpenAiCompletions::build(&bad, HttpClients::new()).unwrap_err();
    assert!(reason.contains("apiKey") && !reason.contains("break"), "{reason}");
}
