use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::model::ToolChoice;
use crate::models::fixtures::{PROVIDER, draft, greeting, read, reasoning_entry, sampled, settings, tool_round};

const MODEL: &str = "qwen3";

fn body(call: &ModelCall) -> Value {
    let entry = reasoning_entry(&call.model);
    serde_json::to_value(request::prepare(call, PROVIDER, Some(&entry)).unwrap()).unwrap()
}

fn events(stream: &str) -> Vec<String> {
    read(Reader::new(draft()), Framing::Lines, stream, &[])
}

#[test]
fn a_round_of_tools_is_written_with_options_and_window() {
    let call = sampled(
        tool_round(API, MODEL, Vec::new()),
        json!({"reasoning_effort": "medium", "max_tokens": 100, "temperature": 0.5, "top_p": 0.9, "seed": 7,
            "frequency_penalty": 0.1, "presence_penalty": 0.2, "stop": "END", "service_tier": "auto"}),
    );
    assert_eq!(
        body(&call),
        json!({
            "model": MODEL, "stream": true,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Where is this?", "images": ["QUJD"]},
                {"role": "assistant", "content": "Let me see.", "tool_calls": [
                    {"function": {"name": "map", "arguments": {"city": "Paris"}}},
                    {"function": {"name": "clock", "arguments": {}}},
                ]},
                {"role": "tool", "content": "48.8,2.3", "tool_name": "map"},
                {"role": "tool", "content": "noon", "tool_name": "clock"},
            ],
            "tools": [
                {"type": "function", "function": {"name": "map", "description": "Finds places", "parameters":
                    {"type": "object", "properties": {"city": {"type": "string", "minLength": 1}}, "required": ["city"]}}},
                {"type": "function", "function": {"name": "clock"}},
            ],
            "options": {"num_ctx": 32768, "num_predict": 100, "temperature": 0.5, "top_p": 0.9,
                "frequency_penalty": 0.1, "presence_penalty": 0.2, "seed": 7, "stop": ["END"]},
            "think": "medium",
        })
    );
}

#[test]
fn formats_windows_and_choices_that_it_has_are_sent_and_the_others_refused() {
    let format = |format: Value| body(&sampled(greeting(MODEL), json!({"response_format": format})))["format"].clone();
    assert_eq!(format(json!({"type": "json_object"})), "json");
    assert_eq!(
        format(json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}})),
        json!({"type": "object"})
    );
    let off = body(&sampled(greeting(MODEL), json!({"reasoning_effort": "none"})));
    assert_eq!(off["think"], false);
    let mut unknown = reasoning_entry(MODEL);
    unknown.is_window_known = false;
    let plain = serde_json::to_value(request::prepare(&greeting(MODEL), PROVIDER, Some(&unknown)).unwrap()).unwrap();
    assert_eq!((&plain["options"], plain.get("think")), (&json!({}), None));
    let mut call = tool_round(API, MODEL, Vec::new());
    call.tool_choice = ToolChoice::None;
    assert_eq!(body(&call).get("tools"), None);
    call.tool_choice = ToolChoice::Required;
    let error = request::prepare(&call, PROVIDER, None).unwrap_err();
    assert!(error.message.starts_with("`tool_choice`"), "{}", error.message);
}

const ANSWER: &str = concat!(
    r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"größer"},"done":false}"#,
    "\n",
    r#"{"model":"m","message":{"role":"assistant","content":"Let me "},"done":false}"#,
    "\n",
    r#"{"model":"m","message":{"role":"assistant","content":"see","tool_calls":[{"id":"c1","function":{"name":"map","arguments":{"city":"Paris"}}},{"id":"c2","function":{"name":"clock"}}]},"done":false}"#,
    "\n",
    r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":1200,"eval_count":34}"#,
    "\n",
);

#[test]
fn a_full_answer_is_read_with_thoughts_calls_and_usage() {
    assert_eq!(
        events(ANSWER),
        [
            "reasoning größer",
            "text Let me ",
            "text see",
            "call 0 c1 map",
            "arguments 0 {\"city\":\"Paris\"}",
            "call 1 c2 clock",
            "arguments 1 {}",
            "finish tool_calls input=1200 output=34 read=0 write=0 reasoning=0",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(sizes in prop::collection::vec(1usize..60, 0..40)) {
        prop_assert_eq!(read(Reader::new(draft()), Framing::Lines, ANSWER, &sizes), events(ANSWER));
    }
}

#[test]
fn errors_limits_and_cuts_are_told_apart() {
    for (stream, expected) in [
        (
            r#"{"error":"model requires more system memory"}"#,
            "error server_error provider `mock`: model requires more system memory",
        ),
        (
            r#"{"message":{"content":"a"},"done":true,"done_reason":"length","eval_count":1}"#,
            "finish length input=0 output=1 read=0 write=0 reasoning=0",
        ),
        (
            r#"{"message":{"content":"a"},"done":false}"#,
            "error network provider `mock` ended the stream in the middle of the answer",
        ),
        (
            "<html>",
            "error malformed provider `mock` sent a line that is not a valid piece of an answer",
        ),
    ] {
        assert_eq!(events(stream).pop().unwrap(), expected);
    }
}

#[test]
fn the_address_of_the_imitation_is_understood_too() {
    for base in ["http://h:1", "http://h:1/", "http://h:1/v1"] {
        let provider = Ollama::build(&settings(API, base, MODEL), HttpClients::new()).unwrap();
        assert_eq!(provider.url.as_str(), "http://h:1/api/chat");
    }
}
