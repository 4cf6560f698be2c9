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

#[test]
fn calls_without_ids_under_one_index_are_told_apart_by_their_whole_arguments() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"a\":"}}]}}]}"#,
            // The name again belongs to the same call as long as its arguments are not whole.
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"b\":1}}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        ],
        true,
    );
    assert!(lines[0].starts_with("call 0 call_"), "{lines:?}");
    assert!(lines[3].starts_with("call 1 call_"), "{lines:?}");
    let arguments: Vec<&str> = [1, 2, 4].map(|at| lines[at].as_str()).to_vec();
    assert_eq!(
        arguments,
        ["arguments 0 {\"a\":", "arguments 0 {\"b\":1}}", "arguments 1 {}"]
    );
}

#[test]
fn a_later_piece_without_index_finds_its_call_by_id() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}},{"index":1,"id":"b","function":{"name":"g"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"b","function":{"arguments":"[]"}}]},"finish_reason":"tool_calls"}]}"#,
        ],
        true,
    );
    assert_eq!(
        lines,
        [
            "call 0 a f",
            "call 1 b g",
            "arguments 0 {}",
            "arguments 1 []",
            "finish tool_calls"
        ]
    );
}

#[test]
fn a_name_that_comes_late_loses_no_arguments_and_calls_keep_the_order_of_their_names() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"x\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":":1}"}}]},"finish_reason":"stop"}]}"#,
        ],
        true,
    );
    assert_eq!(
        lines,
        [
            "call 0 b g",
            "arguments 0 {}",
            "call 1 a f",
            "arguments 1 {\"x\":1}",
            "finish tool_calls"
        ]
    );
}

#[test]
fn two_calls_never_share_an_id_and_an_empty_one_is_none() {
    let lines = read(
        &[
            r#"{"choices":[{"delta":{"content":"hm","tool_calls":[{"index":0,"function":{}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"f","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"f","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
        ],
        true,
    );
    assert_eq!(lines[..3], ["text hm", "call 0 f f", "arguments 0 {}"], "{lines:?}");
    assert!(lines[3].starts_with("call 1 call_"), "{lines:?}");
    let only_empty = r#"{"choices":[{"delta":{"content":"hm","tool_calls":[{}]},"finish_reason":"stop"}]}"#;
    assert_eq!(read(&[only_empty], true), ["text hm", "finish stop"]);
}

#[test]
fn what_proxies_and_gateways_put_into_a_stream_does_no_harm() {
    let lines = read(
        &[
            // Azure: what the filter thinks of the prompt, before any choice.
            r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3.0,"completion_tokens":null,"prompt_tokens_details":[]}}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            // Text after the reason for the end.
            r#"{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":null,"finish_reason":""}]}"#,
            r#"{"choices":null,"usage":{"prompt_tokens":4,"completion_tokens":-1}}"#,
        ],
        true,
    );
    assert_eq!(
        lines,
        ["text a", "text b", "finish stop input=4 cached=0 output=0 reasoning=0"]
    );
}

#[test]
fn errors_are_recognised_without_an_error_field() {
    let mut events = VecDeque::new();
    let mut take = |name: &str, data: &str| {
        let data = data.as_bytes();
        let taken = assembler().take(crate::models::sse::Event { name, data }, &mut events);
        taken.unwrap_err().class.as_str()
    };
    assert_eq!(
        take("", r#"{"object":"error","message":"too long","code":400}"#),
        "bad_request"
    );
    assert_eq!(
        take("error", r#"{"message":"slow down","code":"rate_limit"}"#),
        "rate_limit"
    );
    assert_eq!(take("error", "upstream went away"), "server_error");
    assert_eq!(
        take(
            "",
            r#"{"id":"g","error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#
        ),
        "server_error"
    );
}
