use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::domain::model::ToolSpec;
use crate::domain::{Detail, Part, ToolCall};
use crate::models::openai_completions::request::{RequestSettings, to_request};

fn body(call: &ModelCall, settings: RequestSettings) -> Value {
    serde_json::from_slice(&to_request(call, &settings).unwrap()).unwrap()
}

fn with_tools(choice: ToolChoice) -> ModelCall {
    ModelCall {
        tools: Arc::from([ToolSpec {
            name: "get_weather".into(),
            description: Some("Weather for a city".into()),
            parameters: Some(RawValue::from_string(r#"{"type":"object", "x":1.10}"#.into()).unwrap()),
            strict: Some(true),
        }]),
        tool_choice: choice,
        parallel_tool_calls: Some(false),
        ..call(true)
    }
}

#[test]
fn a_plain_call_sends_only_what_is_needed() {
    let bytes = to_request(&call(false), &RequestSettings::default()).unwrap();
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        r#"{"model":"m1","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}],"stream":false}"#
    );
}

#[test]
fn streams_ask_for_usage_unless_the_provider_refuses_that() {
    let settings = RequestSettings {
        stream_options: true,
        ..RequestSettings::default()
    };
    assert_eq!(
        body(&call(true), settings)["stream_options"],
        json!({"include_usage": true})
    );
    assert_eq!(body(&call(false), settings).get("stream_options"), None);
    assert_eq!(
        body(&call(true), RequestSettings::default()).get("stream_options"),
        None
    );
}

#[test]
fn tools_are_sent_as_written_with_the_choice() {
    let bytes = to_request(&with_tools(ToolChoice::Auto), &RequestSettings::default()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(concat!(
        r#""tools":[{"type":"function","function":{"name":"get_weather","description":"Weather for a city","#,
        r#""parameters":{"type":"object", "x":1.10},"strict":true}}],"parallel_tool_calls":false"#
    )));
    for (choice, expected) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!("none")),
        (ToolChoice::Required, json!("required")),
        (
            ToolChoice::Named("get_weather".into()),
            json!({"type": "function", "function": {"name": "get_weather"}}),
        ),
    ] {
        assert_eq!(
            body(&with_tools(choice), RequestSettings::default())["tool_choice"],
            expected
        );
    }
}

#[test]
fn without_tools_no_choice_is_sent() {
    let mut call = call(true);
    call.tool_choice = ToolChoice::None;
    call.parallel_tool_calls = Some(true);
    let body = body(&call, RequestSettings::default());
    assert_eq!(body.get("tool_choice"), None);
    assert_eq!(body.get("parallel_tool_calls"), None);
}

#[test]
fn a_tool_round_is_replayed_with_reasoning_and_matching_ids() {
    let mut call = call(true);
    call.system = None;
    call.messages = vec![
        Arc::new(Message::user("weather?")),
        Arc::new(Message::Assistant {
            text: String::new(),
            reasoning: Some("need the tool".into()),
            tool_calls: vec![ToolCall {
                id: "call_1".into(),
                name: "get_weather".into(),
                arguments: r#"{"city":"Paris"}"#.into(),
            }],
            sealed: None,
        }),
        Arc::new(Message::Tool {
            call_id: "call_1".into(),
            name: Some("get_weather".into()),
            content: "sunny".into(),
        }),
        Arc::new(Message::assistant("It is sunny.")),
    ];
    assert_eq!(
        body(&call, RequestSettings::default())["messages"],
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "reasoning_content": "need the tool", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}}
            ]},
            {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
            {"role": "assistant", "content": "It is sunny."},
        ])
    );
}

#[test]
fn images_are_data_urls_in_their_place() {
    let mut call = call(true);
    call.system = None;
    call.messages = vec![Arc::new(Message::User {
        parts: vec![
            Part::Text("look".into()),
            Part::Image {
                mime: "image/png".into(),
                data: "QUJD".into(),
                detail: None,
            },
            Part::Image {
                mime: "image/webp".into(),
                data: "REVG".into(),
                detail: Some(Detail::Low),
            },
        ],
    })];
    assert_eq!(
        body(&call, RequestSettings::default())["messages"],
        json!([{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"type": "image_url", "image_url": {"url": "data:image/webp;base64,REVG", "detail": "low"}},
        ]}])
    );
}

#[test]
fn sampling_is_passed_on_but_never_replaces_the_dialects_own_fields() {
    let mut call = call(true);
    let sampling = json!({"temperature": 0.2, "stop": ["x"], "model": "evil", "stream": false, "messages": []});
    call.sampling = Arc::new(sampling.as_object().unwrap().clone());
    let body = body(&call, RequestSettings::default());
    assert_eq!(body["temperature"], 0.2);
    assert_eq!(body["stop"], json!(["x"]));
    assert_eq!((&body["model"], &body["stream"]), (&json!("m1"), &json!(true)));
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn one_token_limit_is_sent_and_the_callers_wins() {
    let limits = |sampling: Value, renames_max_tokens| {
        let mut call = call(true);
        call.sampling = Arc::new(sampling.as_object().unwrap().clone());
        let settings = RequestSettings {
            max_tokens: Some(4096),
            renames_max_tokens,
            ..RequestSettings::default()
        };
        let body = body(&call, settings);
        (
            body.get("max_tokens").cloned(),
            body.get("max_completion_tokens").cloned(),
        )
    };
    assert_eq!(limits(json!({}), false), (None, Some(json!(4096))));
    assert_eq!(
        limits(json!({"max_completion_tokens": 5}), false),
        (None, Some(json!(5)))
    );
    assert_eq!(limits(json!({"max_tokens": 5}), false), (Some(json!(5)), None));
    assert_eq!(limits(json!({"max_tokens": 5}), true), (None, Some(json!(5))));
    assert_eq!(
        limits(json!({"max_tokens": 5, "max_completion_tokens": 6}), true),
        (None, Some(json!(6)))
    );
}
