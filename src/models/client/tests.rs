use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::model::{CallErrorClass, ToolChoice};
use crate::domain::{Detail, Fault, FaultKind, Message, Part};

const PNG: &str = "data:image/png;base64,QUJD";

fn turn(request: &Value) -> Turn {
    let parsed = parse_turn(request.to_string().as_bytes());
    parsed.unwrap_or_else(|fault| panic!("{request}: {fault}")).turn
}

fn refused(request: &Value) -> Fault {
    let fault = parse_turn(request.to_string().as_bytes()).expect_err(&request.to_string());
    assert_eq!(fault.kind, FaultKind::InvalidRequest);
    fault
}

fn with(extra: Value) -> Value {
    let mut request = json!({"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in extra.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn said(messages: Value) -> Turn {
    turn(&json!({ "messages": messages }))
}

fn text(text: &str) -> InputPart {
    InputPart::text(text)
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
}

#[test]
fn a_minimal_request_has_defaults() {
    let parsed = parse_turn(br#"{"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    let ChatTurn {
        turn,
        include_usage,
        as_function,
    } = parsed;
    assert!(!as_function);
    assert_eq!(turn.model, "openclaw");
    assert!(!turn.stream && !include_usage);
    assert_eq!(turn.dialogue.input, [text("hi")]);
    assert!(turn.dialogue.history.is_empty() && turn.sampling.is_empty() && turn.tools.is_empty());
}

#[test]
fn system_texts_are_joined_and_history_keeps_its_order() {
    let turn = said(json!([
        {"role": "system", "content": " one "},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "a1"},
        {"role": "martian", "content": "?"},
        {"role": "user", "content": [{"type": "text", "text": "q2", "cache_control": {}}, {"type": "input_text", "text": "more"}]},
        {"role": "assistant", "content": "prefill"},
    ]));
    assert_eq!(turn.dialogue.system.as_deref(), Some("one\n\ntwo"));
    assert_eq!(turn.dialogue.history, [Message::user("q1"), Message::assistant("a1")]);
    assert_eq!(turn.dialogue.input, [text("q2\nmore")]);
}

#[test]
fn an_assistant_text_alone_is_the_message() {
    assert_eq!(
        said(json!([{"role": "assistant", "content": "go on"}])).dialogue.input,
        [text("go on")]
    );
}

#[test]
fn nothing_to_answer_is_refused() {
    for messages in [
        json!([]),
        json!([{"role": "system", "content": "s"}]),
        json!([{"role": "user", "content": " "}]),
    ] {
        let fault = refused(&json!({ "messages": messages }));
        assert_eq!(fault.message, "Missing user message in `messages`.");
        assert_eq!(fault.param.as_deref(), Some("messages"));
    }
    refused(&json!({}));
    assert!(parse_turn(b"").is_err());
}

#[test]
fn a_tool_round_gives_results_for_the_last_call() {
    let turn = said(json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{\"city\":\"Paris\"}"}},
            {"id": "c2", "type": "function", "function": {"name": "w", "arguments": ""}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "rain"}]},
    ]));
    assert!(turn.dialogue.input.is_empty());
    assert_eq!(turn.dialogue.history.len(), 2);
    let Message::Assistant { tool_calls, .. } = &turn.dialogue.history[1] else {
        panic!("{:?}", turn.dialogue.history);
    };
    assert_eq!(tool_calls[0].arguments, r#"{"city":"Paris"}"#);
    assert_eq!(tool_calls[1].arguments, "{}");
    let ids: Vec<_> = turn
        .dialogue
        .tool_results
        .iter()
        .map(|result| match result {
            Message::Tool { call_id, content, .. } => (call_id.as_str(), content.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [("c1", "sunny"), ("c2", "rain")]);
}

#[test]
fn unpaired_calls_are_dropped_and_unpaired_results_become_text() {
    let turn = said(json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "let me see", "tool_calls": [{"id": "lost", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "user", "content": "b"},
        {"role": "tool", "tool_call_id": "unknown", "name": "f", "content": "result"},
    ]));
    assert_eq!(
        turn.dialogue.history,
        [Message::user("a"), Message::assistant("let me see"), Message::user("b")]
    );
    assert_eq!(turn.dialogue.input, [text("Tool:f: result")]);
}

#[test]
fn the_older_function_form_is_paired_by_position() {
    let turn = said(json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ]));
    assert_eq!(turn.dialogue.tool_results.len(), 1);
}

#[test]
fn an_array_never_passes_for_an_object() {
    let call = |call: Value| {
        json!([{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]},
        {"role": "user", "content": "and?"}])
    };
    let part = |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "q"}, part]}]);
    for messages in [
        json!([["user", "q"]]),
        json!([{"role": "user", "content": "q"}, []]),
        part(json!([])),
        part(json!({"type": "file", "file": []})),
        part(json!({"type": "input_audio", "input_audio": ["QUJD", "wav"]})),
        call(json!(["c1", "function"])),
        call(json!({"id": "c1", "function": ["f", "{}"]})),
        call(json!({"id": "c1", "type": 5, "function": {"name": "f"}})),
        json!([{"role": "assistant", "function_call": ["f"]}, {"role": "user", "content": "q"}]),
    ] {
        let fault = refused(&json!({ "messages": messages }));
        let param = fault.param.as_deref().unwrap();
        assert!(param.starts_with("messages["), "{messages}: {param}: {fault}");
    }
}

#[test]
fn images_in_results_of_tools_are_refused_now_and_a_note_later() {
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}}, {"id": "b", "function": {"name": "f", "arguments": "{}"}}]});
    let seen = json!([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}]);
    let first = json!({"role": "tool", "tool_call_id": "a", "content": seen});
    let second = json!({"role": "tool", "tool_call_id": "b", "content": "ok"});
    let now = json!([{"role": "user", "content": "q"}, call, first, second]);
    let fault = refused(&json!({ "messages": now }));
    assert!(fault.message.contains("tool message"), "{fault}");
    let later = json!([{"role": "user", "content": "q"}, call, first, second, {"role": "user", "content": "and?"}]);
    let turn = said(later);
    let result = |message: &Message<InputPart>| match message {
        Message::Tool { content, .. } => Some(content.clone()),
        _ => None,
    };
    let results: Vec<String> = turn.dialogue.history.iter().filter_map(result).collect();
    assert_eq!(results, ["see\n[attachment omitted]", "ok"]);
}

#[test]
fn images_of_the_current_message_are_checked_and_kept_in_place() {
    let turn = said(json!([{"role": "user", "content": [
        {"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}, {"type": "image_url", "image_url": PNG},
    ]}]));
    assert!(matches!(
        turn.dialogue.input.as_slice(),
        [
            InputPart::Ready(Part::Text(_)),
            InputPart::Ready(Part::Image {
                detail: Some(Detail::Low),
                ..
            }),
            InputPart::Ready(Part::Image { detail: None, .. })
        ]
    ));
    let unknown =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "huge"}}]}]);
    let fault = refused(&json!({ "messages": unknown }));
    assert!(fault.message.contains("`detail` must be"), "{fault}");
    let turn = said(json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]));
    assert_eq!(turn.dialogue.input[0], text("User sent image(s) with no text."));
    for url in ["nonsense", "ftp://x/a.png", "data:image/png;base64,$$$$"] {
        let fault = refused(
            &json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}),
        );
        assert_eq!(fault.message, "Invalid image_url content in `messages`.");
    }
    let remote = said(json!([{"role": "user", "content": [{"type": "image_url", "image_url": "https://x/a.png"}]}]));
    let link = InputPart::Link {
        kind: LinkKind::Image(None),
        url: "https://x/a.png".to_owned(),
        name: None,
    };
    assert!(remote.dialogue.input.contains(&link));
}

#[test]
fn broken_attachments_of_the_history_never_spoil_a_request() {
    let turn = said(json!([
        {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,$"}, {"type": "text", "text": "t"}]},
        {"role": "user", "content": [{"type": "video", "video": {}}]},
        {"role": "user", "content": "q"},
    ]));
    assert_eq!(
        turn.dialogue.history,
        [
            Message::user("[attachment omitted]\nt"),
            Message::user("[attachment omitted]")
        ]
    );
}

#[test]
fn sound_and_documents_are_read() {
    let turn = said(json!([{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.md", "file_data": "QUJD"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "file", "file": {"file_url": "https://x/b.csv"}},
    ]}]));
    let data: std::sync::Arc<str> = "QUJD".into();
    let file = |name: Option<&str>, mime: &str| InputPart::File {
        name: name.map(str::to_owned),
        mime: mime.to_owned(),
        data: data.clone(),
    };
    assert_eq!(
        turn.dialogue.input,
        [
            InputPart::Ready(Part::Audio {
                format: "mp3".to_owned(),
                data: data.clone()
            }),
            file(Some("a.md"), ""),
            file(None, "application/pdf"),
            InputPart::Link {
                kind: LinkKind::File,
                url: "https://x/b.csv".to_owned(),
                name: None
            },
        ]
    );
}

#[test]
fn parts_that_cannot_be_understood_are_refused_in_the_current_message() {
    for (part, word) in [
        (json!({"type": "video", "video": {}}), "video"),
        (
            json!({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "flac"}}),
            "format",
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}),
            "base64",
        ),
        (json!({"type": "file", "file": {"file_id": "file-1"}}), "file_data"),
        (json!({"type": "file", "file": {}}), "file_data"),
    ] {
        let request = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]});
        let fault = refused(&request);
        assert!(fault.message.contains(word), "{}", fault.message);
        assert_eq!(fault.param.as_deref(), Some("messages"));
    }
}

#[test]
fn lists_have_bounds() {
    let many = vec![json!({"role": "user", "content": "x"}); 16_385];
    assert_eq!(refused(&json!({ "messages": many })).param.as_deref(), Some("messages"));
    let parts = vec![json!({"type": "text", "text": "x"}); 1025];
    let fault = refused(&json!({"messages": [{"role": "user", "content": parts}]}));
    assert_eq!(fault.param.as_deref(), Some("messages[0].content"));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    for body in [
        format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"logit_bias":{{"a":{deep}}}}}"#),
        format!(
            r#"{{"messages":[{{"role":"user","content":"x"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{{"a":{deep}}}}}}}]}}"#
        ),
    ] {
        assert!(
            parse_turn(body.as_bytes()).unwrap_err().message.contains("nested"),
            "{body}"
        );
    }
    // What is not kept may be as deep as it likes.
    let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"x_future":{deep}}}"#);
    assert!(parse_turn(body.as_bytes()).is_ok());
}

#[test]
fn a_call_id_is_used_once() {
    let call = |name: &str| json!({"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}});
    let turn = said(json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [call("f"), call("g")]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "tool", "tool_call_id": "c", "content": "2"},
        {"role": "user", "content": "and?"},
    ]));
    let Message::Assistant { tool_calls, .. } = &turn.dialogue.history[1] else {
        panic!("{:?}", turn.dialogue.history);
    };
    assert_eq!(tool_calls.len(), 1);
    assert_eq!(turn.dialogue.history[3], Message::user("Tool: 2"));
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    let body = br#"{"messages":[{"role":"user","content":"x"}],"user":"a","user":"b"}"#;
    assert!(parse_turn(body).unwrap_err().message.contains("user"));
}

#[test]
fn wrong_types_name_the_field() {
    for (request, param, message) in [
        (
            with(json!({"stream": "true"})),
            "stream",
            "stream: Invalid input: expected boolean, received string",
        ),
        (
            with(json!({"stream": 1})),
            "stream",
            "stream: Invalid input: expected boolean, received number",
        ),
        (
            with(json!({"model": 5})),
            "model",
            "model: Invalid input: expected string, received number",
        ),
        (
            with(json!({"messages": {}})),
            "messages",
            "messages: Invalid input: expected array, received object",
        ),
        (
            with(json!({"temperature": "x"})),
            "temperature",
            "temperature: Invalid input: expected number, received string",
        ),
        (
            with(json!({"seed": "x"})),
            "seed",
            "seed: Invalid input: expected number, received string",
        ),
        (
            with(json!({"max_completion_tokens": "x"})),
            "max_completion_tokens",
            "max_completion_tokens: Invalid input: expected number, received string",
        ),
        (
            with(json!({"max_tokens": 0})),
            "max_tokens",
            "max_tokens: Too small: expected number to be >0",
        ),
        (
            with(json!({"temperature": 5})),
            "temperature",
            "`temperature` must be between 0 and 2.",
        ),
        (with(json!({"top_p": 5})), "top_p", "`top_p` must be between 0 and 1."),
        (
            with(json!({"frequency_penalty": 9})),
            "frequency_penalty",
            "`frequency_penalty` must be between -2.0 and 2.0.",
        ),
        (
            with(json!({"presence_penalty": 9})),
            "presence_penalty",
            "`presence_penalty` must be between -2.0 and 2.0.",
        ),
        (
            with(json!({"stop": ["a", "b", "c", "d", "e"]})),
            "stop",
            "Invalid stop: stop supports at most 4 sequences",
        ),
        (with(json!({"stop": 5})), "stop", "stop: Invalid input"),
        (
            with(json!({"response_format": {"type": "x"}})),
            "response_format",
            "Invalid response_format: response_format.type must be text, json_object, or json_schema",
        ),
        (with(json!({"n": 2})), "n", "`n` must be 1."),
    ] {
        let fault = refused(&request);
        assert_eq!((fault.param.as_deref(), fault.message.as_str()), (Some(param), message));
    }
}

#[test]
fn a_wrong_type_inside_messages_is_located() {
    let fault = refused(&json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": 5}]}));
    assert_eq!(fault.param.as_deref(), Some("messages[1].content"));
    assert!(!fault.message.contains("column"), "{}", fault.message);
    let fault = refused(&json!({"messages": ["x"]}));
    assert_eq!(fault.param.as_deref(), Some("messages[0]"));
}

#[test]
fn tools_are_read_and_refused_in_known_words() {
    let accepted = turn(&with(json!({"tools": [
        {"type": "function", "function": {"name": "a b", "description": null, "parameters": null, "strict": null}}, function("b"),
    ]})));
    assert_eq!(accepted.tools.len(), 2);
    assert!(accepted.tools[0].description.is_none() && accepted.tools[0].parameters.is_none());
    assert_eq!(
        accepted.tools[1].parameters.as_ref().unwrap().get(),
        r#"{"type":"object"}"#
    );
    for (tools, message) in [
        (json!({}), "tools: Invalid input: expected array, received object"),
        (json!(["x"]), "Invalid tools/tool_choice: each tool must be an object"),
        (
            json!([{"type": "web_search"}]),
            "Invalid tools/tool_choice: only function tools are supported",
        ),
        (
            json!([{"type": "function"}]),
            "Invalid tools/tool_choice: tool.function is required",
        ),
        (
            json!([{"type": "function", "function": {}}]),
            "Invalid tools/tool_choice: tool.function.name is required",
        ),
        (
            json!([function("")]),
            "Invalid tools/tool_choice: tool.function.name is required",
        ),
        (json!([function("a"), function("a")]), "invalid tool configuration"),
        (
            json!([{"type": "function", "function": {"name": "a", "parameters": "{}"}}]),
            "Invalid tools/tool_choice: tool.function.parameters must be an object",
        ),
        (
            json!([{"type": "function", "function": {"name": "a", "description": 5}}]),
            "Invalid tools/tool_choice: tool.function.description must be a string",
        ),
        (
            json!([{"type": "function", "function": {"name": "a", "strict": "yes"}}]),
            "Invalid tools/tool_choice: tool.function.strict must be a boolean",
        ),
    ] {
        let fault = refused(&with(json!({ "tools": tools })));
        assert_eq!(
            (fault.param.as_deref(), fault.message.as_str()),
            (Some("tools"), message)
        );
    }
    for none in [json!(null), json!([])] {
        assert!(turn(&with(json!({ "tools": none }))).tools.is_empty());
    }
}

#[test]
fn tool_choice_is_read_and_refused_in_known_words() {
    let tools = json!([function("a")]);
    for (choice, expected) in [
        (json!(null), ToolChoice::Auto),
        (json!("auto"), ToolChoice::Auto),
        (json!("none"), ToolChoice::None),
        (json!("required"), ToolChoice::Required),
        (
            json!({"type": "function", "function": {"name": "a"}}),
            ToolChoice::Named("a".into()),
        ),
    ] {
        assert_eq!(
            turn(&with(json!({"tools": tools, "tool_choice": choice}))).tool_choice,
            expected
        );
    }
    for (tools, choice, message) in [
        (
            json!([]),
            json!("required"),
            "tool_choice=required but no tools were provided",
        ),
        (
            tools.clone(),
            json!({"type": "function", "function": {"name": "b"}}),
            "tool_choice requested unknown tool: b",
        ),
        (
            tools.clone(),
            json!({"type": "function"}),
            "tool_choice.function.name is required",
        ),
        (tools.clone(), json!({"type": "x"}), "tool_choice x is not supported"),
        (tools, json!("bogus"), "tool_choice must be a string or object"),
    ] {
        let fault = refused(&with(json!({"tools": tools, "tool_choice": choice})));
        assert_eq!(fault.param.as_deref(), Some("tool_choice"));
        assert_eq!(fault.message, format!("Invalid tools/tool_choice: {message}"));
    }
}

#[test]
fn sampling_holds_what_providers_understand_and_nothing_else() {
    let turn = turn(&with(json!({
        "temperature": 0.2, "top_p": 0.9, "seed": 7, "stop": ["ZZZ"], "n": 1, "presence_penalty": 0.1, "frequency_penalty": 0.1,
        "logit_bias": {"50256": -1}, "logprobs": false, "metadata": {"a": "b"}, "store": false, "service_tier": "auto",
        "chat_id": "abc", "reasoning": {"effort": "low"}, "verbosity": "low", "x_future": {"a": [1]}, "max_tokens": 9,
        "prompt_cache_key": "k", "response_format": {"type": "json_object"},
    })));
    let mut names: Vec<&str> = turn.sampling.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "max_tokens",
            "presence_penalty",
            "prompt_cache_key",
            "reasoning_effort",
            "response_format",
            "seed",
            "service_tier",
            "stop",
            "temperature",
            "top_p",
            "verbosity",
        ]
    );
    assert_eq!(turn.sampling["temperature"], json!(0.2));
    assert_eq!(turn.sampling["reasoning_effort"], "low");
}

#[test]
fn odd_users_are_nobody_and_usage_is_asked_for_strictly() {
    let fault = refused(&with(json!({"stream_options": {"include_usage": "true"}})));
    assert_eq!(fault.param.as_deref(), Some("stream_options.include_usage"));
    assert!(!turn(&with(json!({"user": "u", "store": false}))).may_keep);
    assert!(turn(&with(json!({"user": "u"}))).may_keep);
    for (user, expected) in [
        (json!("u1"), Some("u1")),
        (json!({"id": 1}), None),
        (json!(""), None),
        (json!(null), None),
    ] {
        assert_eq!(turn(&with(json!({ "user": user }))).user.as_deref(), expected);
    }
    for (options, expected) in [
        (json!({"include_usage": true}), true),
        (json!({"include_usage": false}), false),
        (json!({"include_usage": null, "include_obfuscation": true}), false),
        (json!(null), false),
    ] {
        assert_eq!(
            parse_turn(with(json!({ "stream_options": options })).to_string().as_bytes())
                .unwrap()
                .include_usage,
            expected
        );
    }
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["[]", "5", "{", "{\"a\":}", "\u{1}"] {
        assert_eq!(
            parse_turn(body.as_bytes()).unwrap_err().kind,
            FaultKind::InvalidRequest,
            "{body}"
        );
    }
}

#[test]
fn faults_become_error_objects_with_code_and_param() {
    let body = error_body(&Fault::new(FaultKind::Upstream, "provider failed"));
    assert_eq!(
        serde_json::to_value(&body).unwrap(),
        json!({"error": {"message": "provider failed", "type": "api_error", "code": "upstream_error", "param": null}})
    );
    let body = error_body(&Fault::invalid("bad").with_param("n").with_code("bad_n"));
    assert_eq!(body.error.code.as_deref(), Some("bad_n"));
    assert_eq!(body.error.param.as_deref(), Some("n"));
}

#[test]
fn provider_failures_keep_only_the_status_a_client_can_act_on() {
    let kind = |class| call_fault(class, "m", None).kind;
    assert_eq!(kind(CallErrorClass::Auth), FaultKind::Upstream);
    assert_eq!(kind(CallErrorClass::BadRequest), FaultKind::InvalidRequest);
    assert_eq!(kind(CallErrorClass::Timeout), FaultKind::UpstreamTimeout);
    let limited = call_fault(CallErrorClass::RateLimit, "m", None);
    assert_eq!(limited.kind, FaultKind::RateLimited);
    assert!(limited.retry_after.unwrap().as_secs() >= 1);
    let limited = call_fault(CallErrorClass::RateLimit, "m", Some(Duration::from_secs(30)));
    assert_eq!(limited.retry_after, Some(Duration::from_secs(30)));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _turn = parse_turn(&body);
    }

    #[test]
    fn tool_calls_and_results_always_come_in_pairs(
        messages in proptest::collection::vec(
            prop_oneof![
                Just(json!({"role": "user", "content": "u"})),
                Just(json!({"role": "assistant", "content": "a"})),
                Just(json!({"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f"}}, {"id": "y", "function": {"name": "f"}}]})),
                Just(json!({"role": "tool", "tool_call_id": "x", "content": "r"})),
                Just(json!({"role": "tool", "tool_call_id": "y", "content": "r"})),
                Just(json!({"role": "tool", "content": "r"})),
            ],
            1..12,
        ),
    ) {
        if let Ok(ChatTurn { turn, .. }) = parse_turn(json!({ "messages": messages }).to_string().as_bytes()) {
            let mut open: Vec<String> = Vec::new();
            for message in turn.dialogue.history.iter().chain(&turn.dialogue.tool_results) {
                match message {
                    Message::Tool { call_id, .. } => {
                        let at = open.iter().position(|id| id == call_id);
                        prop_assert!(at.is_some(), "a result without a call");
                        open.remove(at.unwrap());
                    }
                    Message::Assistant { tool_calls, .. } => {
                        prop_assert!(open.is_empty(), "a call without a result");
                        open = tool_calls.iter().map(|call| call.id.clone()).collect();
                    }
                    Message::User { .. } => prop_assert!(open.is_empty(), "a call without a result"),
                }
            }
            prop_assert!(open.is_empty(), "a call without a result");
            prop_assert_eq!(turn.dialogue.input.is_empty(), !turn.dialogue.tool_results.is_empty());
        }
    }
}
