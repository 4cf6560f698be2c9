use std::collections::VecDeque;

use super::*;
use crate::models::answer::Decoder as _;
use crate::models::draft::Draft;

fn assembler() -> Assembler {
    let secrets = Arc::from([Secret::new("sk-secret-1")]);
    Assembler::new(Draft::new(Arc::from("mock"), secrets, false))
}

/// Chunks as one answer; the error's class ends the list.
fn read(chunks: &[&str], is_complete: bool) -> Vec<String> {
    let mut assembler = assembler();
    let mut events = VecDeque::new();
    let mut lines = Vec::new();
    for chunk in chunks {
        if let Err(error) = assembler.take_chunk(chunk.as_bytes(), &mut events) {
            lines.extend(events.iter().map(line));
            lines.push(format!("error {}", error.class.as_str()));
            return lines;
        }
    }
    lines.extend(events.iter().map(line));
    lines.push(match assembler.finish(is_complete) {
        Ok(finish) => line(&finish),
        Err(error) => format!("error {}", error.class.as_str()),
    });
    lines
}

fn whole(body: &str) -> Vec<String> {
    match assembler().take_whole(body.as_bytes()) {
        Ok(events) => events.iter().map(line).collect(),
        Err(error) => vec![format!("error {}", error.class.as_str())],
    }
}

#[test]
fn text_and_usage_are_read_from_a_plain_stream() {
    let lines = read(
        &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"l\u00f6\n"},"finish_reason":null}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"id":"c","choices":[],"usage":{"prompt_tokens":111,"completion_tokens":7,"total_tokens":118,"prompt_tokens_details":{"cached_tokens":11,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        ],
        true,
    );
    assert_eq!(
        lines,
        [
            "text Hel",
            "text lö\n",
            "finish stop input=100 cached=11 output=7 reasoning=3"
        ]
    );
}

#[test]
fn parallel_tool_calls_come_together_by_index() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}},{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
        true,
    );
    assert_eq!(
        lines,
        [
            "call 0 a f",
            "arguments 0 {\"x\"",
            "call 1 b g",
            "arguments 1 {}",
            "arguments 0 :1}",
            "finish tool_calls"
        ]
    );
}

#[test]
fn calls_of_servers_that_never_count_are_told_apart_by_id() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
        ],
        true,
    );
    assert_eq!(
        lines,
        [
            "call 0 a f",
            "arguments 0 {}",
            "call 1 b g",
            "arguments 1 {}",
            "finish tool_calls"
        ]
    );
}

#[test]
fn a_call_without_id_gets_one_and_without_name_is_refused() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
        ],
        true,
    );
    assert!(
        lines[0].starts_with("call 0 call_") && lines[0].ends_with(" f"),
        "{lines:?}"
    );
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
        ],
        true,
    );
    assert_eq!(lines, ["error malformed"]);
}

#[test]
fn reasoning_is_read_under_each_of_its_names() {
    for name in ["reasoning_content", "reasoning", "reasoning_text"] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{"{name}":"hm","content":null}}}}]}}"#);
        let lines = read(
            &[
                &chunk,
                r#"{"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}"#,
            ],
            true,
        );
        assert_eq!(lines, ["reasoning hm", "text ok", "finish stop"]);
    }
}

#[test]
fn content_in_parts_and_refusals_are_text() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"thinking"}]}}]}"#,
            r#"{"choices":[{"delta":{"refusal":"no"},"finish_reason":"content_filter"}]}"#,
        ],
        true,
    );
    assert_eq!(lines, ["text a", "text no", "finish content_filter"]);
}

#[test]
fn an_end_without_reason_is_a_cut_unless_it_is_marked() {
    let text = r#"{"choices":[{"delta":{"content":"half"}}]}"#;
    assert_eq!(read(&[text], false), ["text half", "error network"]);
    assert_eq!(read(&[text], true), ["text half", "finish stop"]);
}

#[test]
fn an_empty_answer_is_a_failure_except_at_the_token_limit_or_after_a_tool() {
    let stop = r#"{"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#;
    assert_eq!(read(&[stop], true), ["error malformed"]);
    let length = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    assert_eq!(read(&[length], true), ["finish length"]);
    let mut after_tool = Assembler::new(Draft::new(Arc::from("mock"), Arc::from([]), true));
    after_tool.take_chunk(stop.as_bytes(), &mut VecDeque::new()).unwrap();
    assert!(after_tool.finish(true).is_ok());
}

#[test]
fn garbage_is_malformed_and_errors_in_the_stream_have_their_class() {
    assert_eq!(read(&["{not json"], true), ["error malformed"]);
    assert_eq!(read(&["[1,2]"], true), ["error malformed"]);
    for (chunk, class) in [
        (
            r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#,
            "rate_limit",
        ),
        (r#"{"error":{"message":"x","code":502}}"#, "server_error"),
        (r#"{"error":{"message":"x","type":"overloaded_error"}}"#, "overloaded"),
        (r#"{"error":"boom"}"#, "server_error"),
    ] {
        assert_eq!(read(&[chunk], true), [format!("error {class}")], "{chunk}");
    }
}

#[test]
fn keys_do_not_show_in_errors_of_the_stream() {
    let chunk = br#"{"error":{"message":"key sk-secret-1 is bad","code":"invalid_api_key"}}"#;
    let error = assembler().take_chunk(chunk, &mut VecDeque::new()).unwrap_err();
    assert_eq!(error.message, "provider `mock`: key [redacted] is bad");
}

#[test]
fn an_answer_in_one_piece_gives_the_same_events() {
    assert_eq!(
        whole(
            r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#
        ),
        [
            "text Hi",
            "call 0 a f",
            "arguments 0 {}",
            "call 1 b f",
            "arguments 1 {}",
            "finish tool_calls input=3 cached=0 output=2 reasoning=0"
        ]
    );
    for (body, class) in [
        ("<html>", "malformed"),
        ("{}", "malformed"),
        (r#"{"choices":[]}"#, "malformed"),
        (r#"{"error":{"message":"m"}}"#, "server_error"),
    ] {
        assert_eq!(whole(body), [format!("error {class}")], "{body}");
    }
}
