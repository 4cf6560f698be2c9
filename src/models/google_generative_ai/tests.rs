use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::Seal;
use crate::domain::model::ToolChoice;
use crate::models::fixtures::{PROVIDER, draft, greeting, read, reasoning_entry, sampled, settings, tool_round};

const MODEL: &str = "gemini-2.5-pro";

fn body(call: &ModelCall) -> Value {
    let entry = reasoning_entry(&call.model);
    serde_json::to_value(request::prepare(call, PROVIDER, Some(&entry)).unwrap()).unwrap()
}

fn sealed_round(model: &str) -> ModelCall {
    let seal = Seal::Call {
        id: "call_1|fc_1".into(),
        signature: "c2ln".into(),
    };
    tool_round(API, model, vec![seal])
}

fn events(stream: &str) -> Vec<String> {
    read(Reader::new(draft()), Framing::Sse, stream, &[])
}

#[test]
fn a_round_of_tools_is_written_with_its_signature() {
    let call = sampled(
        sealed_round(MODEL),
        json!({"reasoning_effort": "medium", "max_tokens": 100, "temperature": 0.5, "top_p": 0.9, "seed": 7,
            "frequency_penalty": 0.1, "presence_penalty": 0.2, "stop": ["END"], "verbosity": "low"}),
    );
    assert_eq!(
        body(&call),
        json!({
            "contents": [
                {"role": "user", "parts": [
                    {"text": "Where is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
                ]},
                {"role": "model", "parts": [
                    {"text": "need the map", "thought": true},
                    {"text": "Let me see."},
                    {"functionCall": {"name": "map", "args": {"city": "Paris"}}, "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "clock", "args": {}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "map", "response": {"output": "48.8,2.3"}}},
                    {"functionResponse": {"name": "clock", "response": {"output": "noon"}}},
                ]},
            ],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [
                {"name": "map", "description": "Finds places", "parametersJsonSchema":
                    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
                {"name": "clock"},
            ]}],
            "generationConfig": {
                "maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "frequencyPenalty": 0.1, "presencePenalty": 0.2,
                "seed": 7, "stopSequences": ["END"], "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 8192},
            },
        })
    );
}

#[test]
fn later_models_want_a_signature_on_every_first_call_and_a_level() {
    let call = sampled(
        tool_round(API, "gemini-3-pro", Vec::new()),
        json!({"reasoning_effort": "low"}),
    );
    let body = body(&call);
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0], json!({"text": "Let me see."}));
    assert_eq!(parts[1]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[2].get("thoughtSignature"), None);
    assert_eq!(
        body["generationConfig"]["thinkingConfig"],
        json!({"includeThoughts": true, "thinkingLevel": "LOW"})
    );
}

#[test]
fn choices_and_formats_have_their_fields() {
    let mut call = sealed_round(MODEL);
    for (choice, expected) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Required, json!({"mode": "ANY"})),
        (
            ToolChoice::Named("map".into()),
            json!({"mode": "ANY", "allowedFunctionNames": ["map"]}),
        ),
    ] {
        call.tool_choice = choice;
        assert_eq!(body(&call)["toolConfig"]["functionCallingConfig"], expected);
    }
    let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "object", "$schema": "x"}}});
    let generation = &body(&sampled(greeting(MODEL), json!({"response_format": format})))["generationConfig"];
    assert_eq!(generation["responseMimeType"], "application/json");
    assert_eq!(generation["responseJsonSchema"], json!({"type": "object"}));
    call.parallel_tool_calls = Some(false);
    let error = request::prepare(&call, PROVIDER, None).unwrap_err();
    assert!(error.message.starts_with("`parallel_tool_calls`"), "{}", error.message);
}

const ANSWER: &str = concat!(
    r#"data: {"candidates":[{"content":{"parts":[{"text":"größer","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":1200}}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"Let me "}],"role":"model"}}]}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"see"},{"functionCall":{"id":"c1","name":"map","args":{"city":"Paris"}},"thoughtSignature":"c2ln"},{"functionCall":{"id":"c2","name":"clock"}}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1200,"candidatesTokenCount":34,"thoughtsTokenCount":12,"cachedContentTokenCount":1000,"totalTokenCount":1246}}"#,
    "\r\n\r\n",
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
            "seal c1 c2ln",
            "call 1 c2 clock",
            "arguments 1 {}",
            "finish tool_calls input=200 output=46 read=1000 write=0 reasoning=12",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(sizes in prop::collection::vec(1usize..90, 0..40)) {
        prop_assert_eq!(read(Reader::new(draft()), Framing::Sse, ANSWER, &sizes), events(ANSWER));
    }
}

#[test]
fn ends_blocks_and_errors_are_told_apart() {
    for (piece, expected) in [
        (
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"MAX_TOKENS"}]}"#,
            "finish length",
        ),
        (r#"{"candidates":[{"finishReason":"SAFETY"}]}"#, "finish content_filter"),
        (
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#,
            "finish content_filter",
        ),
        (
            r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#,
            "error malformed provider `mock` broke the answer off: MALFORMED_FUNCTION_CALL",
        ),
        (
            r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#,
            "error overloaded provider `mock`: busy",
        ),
        (
            r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#,
            "error rate_limit provider `mock`: quota",
        ),
        (
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
            "error auth provider `mock`: API key not valid. Please pass a valid API key.",
        ),
        (
            "{}",
            "error network provider `mock` ended the stream in the middle of the answer",
        ),
    ] {
        assert_eq!(events(&format!("data: {piece}\n\n")).pop().unwrap(), expected);
    }
}

#[test]
fn the_address_holds_version_and_model() {
    for (base, model, url) in [
        (
            "http://h:1/v1beta",
            "gemini-2.5-pro",
            "http://h:1/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        (
            "https://generativelanguage.googleapis.com",
            "models/gemini-3-pro",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
        ),
        (
            "http://h:1",
            "a/b?c",
            "http://h:1/models/a%2Fb%3Fc:streamGenerateContent?alt=sse",
        ),
    ] {
        let provider = GoogleGenerativeAi::build(&settings(API, base, model), HttpClients::new()).unwrap();
        assert_eq!(provider.url(model).as_str(), url);
    }
}
