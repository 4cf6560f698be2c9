use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::Seal;
use crate::domain::model::ToolChoice;
use crate::models::fixtures::{PROVIDER, draft, greeting, read, reasoning_entry, sampled, settings, tool_round};

const MODEL: &str = "gr1";

const ITEM: &str = r#"{"type":"reasoning","id":"rs_0","summary":[{"type":"summary_text","text":"need the map"}],"encrypted_content":"ENC"}"#;

fn body(call: &ModelCall) -> Value {
    let entry = reasoning_entry(&call.model);
    serde_json::to_value(request::prepare(call, PROVIDER, Some(&entry)).unwrap()).unwrap()
}

fn events(stream: &str) -> Vec<String> {
    read(Reader::new(draft()), Framing::Sse, stream, &[])
}

fn sealed_round() -> ModelCall {
    let seal = Seal::Thought {
        text: "need the map".into(),
        signature: ITEM.into(),
    };
    tool_round(API, MODEL, vec![seal])
}

#[test]
fn a_round_of_tools_is_written_as_items_with_the_encrypted_reasoning() {
    let call = sampled(
        sealed_round(),
        json!({"reasoning_effort": "medium", "max_completion_tokens": 100, "temperature": 1, "verbosity": "low",
            "prompt_cache_key": "k", "seed": 7}),
    );
    assert_eq!(
        body(&call),
        json!({
            "model": MODEL, "stream": true, "store": false, "max_output_tokens": 100,
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "Where is this?"},
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,QUJD"},
                ]},
                serde_json::from_str::<Value>(ITEM).unwrap(),
                {"type": "message", "role": "assistant", "content": [
                    {"type": "output_text", "text": "Let me see.", "annotations": []},
                ]},
                {"type": "function_call", "call_id": "call_1_fc_1", "name": "map", "arguments": "{\"city\":\"Paris\"}"},
                {"type": "function_call", "call_id": "call_2", "name": "clock", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1_fc_1", "output": "48.8,2.3"},
                {"type": "function_call_output", "call_id": "call_2", "output": "noon"},
            ],
            "tools": [
                {"type": "function", "name": "map", "description": "Finds places", "strict": false, "parameters":
                    {"type": "object", "properties": {"city": {"type": "string", "minLength": 1}}, "required": ["city"]}},
                {"type": "function", "name": "clock", "parameters": null, "strict": false},
            ],
            "reasoning": {"effort": "medium", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "text": {"verbosity": "low"},
            "temperature": 1, "prompt_cache_key": "k",
        })
    );
}

#[test]
fn choices_and_formats_have_their_fields() {
    let mut call = sealed_round();
    for (choice, expected) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!("none")),
        (ToolChoice::Required, json!("required")),
        (
            ToolChoice::Named("map".into()),
            json!({"type": "function", "name": "map"}),
        ),
    ] {
        call.tool_choice = choice;
        assert_eq!(body(&call)["tool_choice"], expected);
    }
    for (format, expected) in [
        (json!({"type": "text"}), Value::Null),
        (json!({"type": "json_object"}), json!({"type": "json_object"})),
        (
            json!({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {"type": "object"}}}),
            json!({"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}),
        ),
    ] {
        let call = sampled(greeting(MODEL), json!({"response_format": format}));
        assert_eq!(body(&call)["text"]["format"], expected);
    }
}

#[test]
fn a_model_that_does_not_reason_gets_a_plain_system_message_and_no_reasoning_fields() {
    let call = sampled(sealed_round(), json!({"reasoning_effort": "high"}));
    let body = serde_json::to_value(request::prepare(&call, PROVIDER, None).unwrap()).unwrap();
    assert_eq!(body["input"][0]["role"], "system");
    assert_eq!(body["input"][2]["type"], "message");
    assert_eq!((body.get("reasoning"), body.get("include")), (None, None));
}

#[test]
fn stop_is_refused_by_name() {
    let call = sampled(greeting(MODEL), json!({"stop": "END"}));
    let error = request::prepare(&call, PROVIDER, None).unwrap_err();
    assert!(error.message.starts_with("`stop`"), "{}", error.message);
}

const ANSWER: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n",
    r#"data: {"type":"response.output_item.added","output_index":0,"item":{"id":"rs_0","type":"reasoning","summary":[]}}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"größer"}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":1,"part":{"type":"summary_text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"more"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":0,"item":{"id":"rs_0","type":"reasoning","summary":[{"type":"summary_text","text":"größer"},{"type":"summary_text","text":"more"}],"encrypted_content":"ENC","status":"completed"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"Let me "}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"see"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","content":[{"type":"output_text","text":"Let me see"}]}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":2,"item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"map","arguments":""}}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"city\":"}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"\"Paris\"}"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":2,"item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"map","arguments":"{\"city\":\"Paris\"}"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":3,"item":{"id":"fc_2","type":"function_call","call_id":"call_2","name":"clock","arguments":"{}"}}"#,
    "\n\n",
    r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","usage":{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1000},"output_tokens":34,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":1234}}}"#,
    "\n\n",
);

#[test]
fn a_full_answer_is_read_with_reasoning_calls_and_usage() {
    let seal = r#"{"type":"reasoning","id":"rs_0","summary":[{"type":"summary_text","text":"größer"},{"type":"summary_text","text":"more"}],"encrypted_content":"ENC"}"#;
    assert_eq!(
        events(ANSWER),
        [
            "reasoning größer",
            "reasoning \n\n",
            "reasoning more",
            &format!("seal \"größer\\n\\nmore\" {seal}"),
            "text Let me ",
            "text see",
            "call 0 call_1 map",
            "arguments 0 {\"city\":",
            "arguments 0 \"Paris\"}",
            "call 1 call_2 clock",
            "arguments 1 {}",
            "finish tool_calls input=200 output=34 read=1000 write=0 reasoning=12",
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
fn ends_other_than_completed_are_told_apart() {
    let text = "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n\n";
    for (end, expected) in [
        (
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
            "finish length",
        ),
        (
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"content_filter"}}}"#,
            "finish content_filter",
        ),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}}"#,
            "error rate_limit provider `mock`: slow down",
        ),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"context_length_exceeded","message":"too long"}}}"#,
            "error context_overflow provider `mock`: too long",
        ),
        (
            r#"{"type":"error","code":"server_error","message":"oops sk-mock-secret","param":null}"#,
            "error server_error provider `mock`: oops [redacted]",
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#,
            "error bad_request provider `mock`: bad",
        ),
    ] {
        assert_eq!(events(&format!("{text}data: {end}\n\n")), ["text a", expected]);
    }
    for cut in ["", "data: [DONE]\n\n"] {
        let last = events(&format!("{text}{cut}")).pop().unwrap();
        assert!(last.starts_with("error network"), "{last}");
    }
}

#[test]
fn the_address_is_the_configured_one_or_openais() {
    for (base, url) in [
        ("http://h:1/v1/", "http://h:1/v1/responses"),
        ("", "https://api.openai.com/v1/responses"),
    ] {
        let provider = OpenAiResponses::build(&settings(API, base, MODEL), HttpClients::new()).unwrap();
        assert_eq!(provider.url.as_str(), url);
    }
}
