use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::model::{CallErrorClass, ToolChoice};
use crate::domain::{Message, Seal};
use crate::models::fixtures::{PROVIDER, draft, greeting, read, reasoning_entry, sampled, settings, tool_round};

const MODEL: &str = "claude-sonnet-4-5";

fn body(call: &ModelCall) -> Value {
    let entry = reasoning_entry(&call.model);
    let prepared = request::prepare(call, PROVIDER, Some(&entry)).unwrap();
    serde_json::from_slice(&prepared.to_bytes().unwrap()).unwrap()
}

fn sealed_round() -> ModelCall {
    tool_round(
        API,
        MODEL,
        vec![
            Seal::Thought {
                text: "need the map".into(),
                signature: "c2ln".into(),
            },
            Seal::Hidden("b3BhcXVl".into()),
        ],
    )
}

fn events(stream: &str) -> Vec<String> {
    read(Reader::new(draft()), Framing::Sse, stream, &[])
}

#[test]
fn a_round_of_tools_is_written_with_its_thoughts_and_cache_marks() {
    let call = sampled(
        sealed_round(),
        json!({"reasoning_effort": "low", "max_tokens": 2000, "stop": "END", "temperature": 0.5,
            "safety_identifier": "u-1"}),
    );
    assert_eq!(
        body(&call),
        json!({
            "model": MODEL, "max_tokens": 4048, "stream": true,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Where is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "need the map", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "b3BhcXVl"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "call_1_fc_1", "name": "map", "input": {"city": "Paris"}},
                    {"type": "tool_use", "id": "call_2", "name": "clock", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1_fc_1", "content": "48.8,2.3"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "noon",
                     "cache_control": {"type": "ephemeral"}},
                ]},
            ],
            "tools": [
                {"name": "map", "description": "Finds places", "input_schema": {"type": "object",
                    "properties": {"city": {"type": "string", "minLength": 1}}, "required": ["city"]}},
                {"name": "clock", "input_schema": {"type": "object", "properties": {}},
                 "cache_control": {"type": "ephemeral"}},
            ],
            "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
            "stop_sequences": ["END"], "metadata": {"user_id": "u-1"},
        })
    );
}

#[test]
fn without_the_thought_that_led_to_an_open_call_nothing_is_thought() {
    let effort = json!({"reasoning_effort": "low"});
    let foreign = sampled(
        tool_round("openai-responses", MODEL, vec![Seal::Hidden("x".into())]),
        effort.clone(),
    );
    assert_eq!(body(&foreign).get("thinking"), None);
    assert_eq!(body(&foreign)["messages"][1]["content"][0]["type"], "text");
    let mut forced = sampled(sealed_round(), effort.clone());
    forced.tool_choice = ToolChoice::Required;
    assert_eq!(body(&forced).get("thinking"), None);
    assert_eq!(body(&forced)["tool_choice"], json!({"type": "any"}));
    let mut later = sampled(tool_round(API, MODEL, Vec::new()), effort);
    later.messages.push(std::sync::Arc::new(Message::user("and now?")));
    assert_eq!(body(&later)["thinking"]["type"], "enabled");
}

#[test]
fn later_models_get_the_effort_instead_of_a_budget() {
    let call = sampled(greeting("claude-opus-4-6"), json!({"reasoning_effort": "high"}));
    let body = body(&call);
    assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(body["output_config"], json!({"effort": "high"}));
    assert_eq!(body["max_tokens"], 4096);
}

#[test]
fn choices_and_formats_have_their_fields() {
    let mut call = sealed_round();
    for (choice, parallel, expected) in [
        (ToolChoice::Auto, None, Value::Null),
        (
            ToolChoice::Auto,
            Some(false),
            json!({"type": "auto", "disable_parallel_tool_use": true}),
        ),
        (ToolChoice::None, Some(false), json!({"type": "none"})),
        (
            ToolChoice::Named("map".into()),
            None,
            json!({"type": "tool", "name": "map"}),
        ),
    ] {
        call.tool_choice = choice;
        call.parallel_tool_calls = parallel;
        assert_eq!(body(&call)["tool_choice"], expected);
    }
    let schema = json!({"type": "object"});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let call = sampled(greeting(MODEL), format);
    assert_eq!(
        body(&call)["output_config"],
        json!({"format": {"type": "json_schema", "schema": schema}})
    );
}

#[test]
fn parameters_that_cannot_be_honoured_are_named() {
    for (sampling, name) in [
        (json!({"temperature": 1.5}), "`temperature`"),
        (json!({"response_format": {"type": "json_object"}}), "`response_format`"),
        (json!({"logprobs": true}), "`logprobs`"),
    ] {
        let call = sampled(greeting(MODEL), sampling);
        let error = request::prepare(&call, PROVIDER, None).unwrap_err();
        assert_eq!(error.class, CallErrorClass::BadRequest);
        assert!(error.message.starts_with(name), "{}", error.message);
    }
}

#[test]
fn a_conversation_that_the_model_began_starts_with_a_user() {
    let mut call = greeting(MODEL);
    call.messages
        .insert(0, std::sync::Arc::new(Message::assistant("Welcome!")));
    let body = body(&call);
    let roles: Vec<&str> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
}

const ANSWER: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"usage":{"input_tokens":150,"cache_read_input_tokens":1000,"cache_creation_input_tokens":50,"output_tokens":1}}}"#,
    "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"größer"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
    "\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"b3A="}}"#,
    "\n\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    r#"data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Let me "}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"see \u2713"}}"#,
    "\n\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    r#"data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"map","input":{}}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"\"Paris\"}"}}"#,
    "\n\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n",
    r#"data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_2","name":"clock","input":{}}}"#,
    "\n\ndata: {\"type\":\"content_block_stop\",\"index\":4}\n\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":34}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[test]
fn a_full_answer_is_read_with_thoughts_calls_and_usage() {
    assert_eq!(
        events(ANSWER),
        [
            "reasoning größer",
            "seal \"größer\" c2ln",
            "seal hidden b3A=",
            "text Let me ",
            "text see ✓",
            "call 0 toolu_1 map",
            "arguments 0 {\"city\":",
            "arguments 0 \"Paris\"}",
            "call 1 toolu_2 clock",
            "arguments 1 {}",
            "finish tool_calls input=150 output=34 read=1000 write=50 reasoning=0",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(sizes in prop::collection::vec(1usize..90, 0..120)) {
        prop_assert_eq!(read(Reader::new(draft()), Framing::Sse, ANSWER, &sizes), events(ANSWER));
    }
}

#[test]
fn stop_reasons_have_their_meaning() {
    for (reason, expected) in [
        ("end_turn", "finish stop"),
        ("stop_sequence", "finish stop"),
        ("max_tokens", "finish length"),
        ("refusal", "finish content_filter"),
        ("model_context_window_exceeded", "finish length"),
    ] {
        let stream = format!(
            "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"a\"}}}}\n\n\
             data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        assert_eq!(events(&stream), ["text a", expected]);
    }
}

#[test]
fn errors_within_a_stream_have_class_and_words_and_a_cut_is_none_of_success() {
    for (kind, class) in [
        ("overloaded_error", "overloaded"),
        ("rate_limit_error", "rate_limit"),
        ("authentication_error", "auth"),
        ("permission_error", "auth"),
        ("not_found_error", "model_not_found"),
        ("invalid_request_error", "bad_request"),
        ("billing_error", "billing"),
        ("api_error", "server_error"),
    ] {
        let stream = format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"no sk-mock-secret\"}}}}\n\n"
        );
        assert_eq!(
            events(&stream),
            [format!("error {class} provider `mock`: no [redacted]")]
        );
    }
    let cut = ANSWER
        .split("data: {\"type\":\"content_block_start\",\"index\":3")
        .next()
        .unwrap();
    let last = events(cut).pop().unwrap();
    assert!(last.starts_with("error network"), "{last}");
}

#[test]
fn addresses_with_and_without_version_and_both_kinds_of_keys_are_understood() {
    for base in [
        "http://h:1/anthropic",
        "http://h:1/anthropic/",
        "http://h:1/anthropic/v1",
    ] {
        let provider = AnthropicMessages::build(&settings(API, base, MODEL), HttpClients::new()).unwrap();
        assert_eq!(provider.url.as_str(), "http://h:1/anthropic/v1/messages");
        assert!(!provider.is_oauth);
    }
    let mut oauth = settings(API, "", MODEL);
    oauth.api_key = Ok(Some(crate::base::Secret::new("sk-ant-oat01-secret")));
    let provider = AnthropicMessages::build(&oauth, HttpClients::new()).unwrap();
    assert_eq!(provider.url.as_str(), "https://api.anthropic.com/v1/messages");
    assert!(provider.is_oauth);
}
