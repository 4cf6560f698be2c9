use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::Message;
use crate::store::StoredMessage;

fn stored(message: &NewMessage) -> StoredMessage {
    StoredMessage {
        id: "4a5521bf".into(),
        seq: 18,
        role: message.role.into(),
        body: message.body.clone(),
        run_id: None,
        created_at_ms: 7,
    }
}

fn model() -> ModelRef {
    ModelRef {
        provider: Arc::from("mock"),
        model: Arc::from("m1"),
    }
}

fn turn<'a>(model: &'a ModelRef, text: &'a str, tool_calls: &'a [ToolCall], stop: StopReason) -> AssistantTurn<'a> {
    AssistantTurn {
        text,
        reasoning: "",
        tool_calls,
        seals: &[],
        api: "openai-completions",
        model: Some(model),
        usage: Usage {
            input: 200,
            output: 34,
            cache_read: 1000,
            ..Usage::default()
        },
        cost_usd: 0.5,
        stop,
        error: None,
        now_ms: 1_795_358_654_742,
    }
}

fn json_of(message: &NewMessage) -> Value {
    serde_json::from_str(&message.body).unwrap()
}

#[test]
fn an_assistant_turn_with_calls_is_written_in_upstreams_form_and_read_back() {
    let calls = [ToolCall {
        id: "call_A".into(),
        name: "read".into(),
        arguments: r#"{"path": "notes.txt"}"#.into(),
    }];
    let model = model();
    let message = turn_message(&turn(&model, "let me check", &calls, StopReason::ToolUse));
    assert_eq!(
        json_of(&message),
        json!({
            "role": "assistant",
            "content": [
                {"type": "text", "text": "let me check"},
                {"type": "toolCall", "id": "call_A", "name": "read", "arguments": {"path": "notes.txt"}},
            ],
            "api": "openai-completions", "provider": "mock", "model": "m1",
            "usage": {"input": 200, "output": 34, "cacheRead": 1000, "cacheWrite": 0, "totalTokens": 1234,
                      "cost": {"total": 0.5}},
            "stopReason": "toolUse", "timestamp": 1_795_358_654_742_i64,
        })
    );
    assert_eq!(
        to_model(&stored(&message)),
        Some(Message::Assistant {
            text: "let me check".into(),
            reasoning: None,
            tool_calls: calls.to_vec(),
            sealed: None,
        })
    );
}

#[test]
fn arguments_that_are_no_object_survive_as_the_text_they_were() {
    let model = model();
    for (written, read) in [("", "{}"), ("{\"a\":", "{\"a\":"), ("[1]", "[1]"), ("\"x\"", "\"x\"")] {
        let calls = [ToolCall {
            id: "c".into(),
            name: "t".into(),
            arguments: written.into(),
        }];
        let message = turn_message(&turn(&model, "", &calls, StopReason::ToolUse));
        let Some(Message::Assistant { tool_calls, .. }) = to_model(&stored(&message)) else {
            panic!("lost the call with arguments {written:?}");
        };
        assert_eq!(tool_calls[0].arguments, read);
    }
}

#[test]
fn user_parts_and_tool_results_round_trip() {
    let parts = vec![
        Part::Text("hi \"there\"\n".into()),
        Part::Image {
            mime: "image/png".into(),
            data: Arc::from("iVBORw0="),
            detail: None,
        },
        Part::Image {
            mime: "image/png".into(),
            data: Arc::from("iVBORw0="),
            detail: Some(Detail::High),
        },
    ];
    let message = user_message(&parts, 5);
    assert_eq!(
        json_of(&message)["content"][1],
        json!({"type": "image", "data": "iVBORw0=", "mimeType": "image/png"})
    );
    assert_eq!(to_model(&stored(&message)), Some(Message::User { parts }));

    let result = tool_result("call_A", "read", "milk\n", false, 6);
    assert_eq!(
        to_model(&stored(&result)),
        Some(Message::Tool {
            call_id: "call_A".into(),
            name: Some("read".into()),
            content: "milk\n".into(),
        })
    );
}

#[test]
fn failed_and_empty_turns_are_hidden_from_models_and_aborted_ones_lose_their_calls() {
    let model = model();
    let calls = [ToolCall {
        id: "c".into(),
        name: "t".into(),
        arguments: "{}".into(),
    }];
    let failed = turn_message(&turn(&model, "[failed]", &[], StopReason::Error));
    let empty = turn_message(&turn(&model, "", &[], StopReason::Stop));
    let aborted = turn_message(&turn(&model, "word0 ", &calls, StopReason::Aborted));
    assert_eq!(to_model(&stored(&failed)), None);
    assert_eq!(to_model(&stored(&empty)), None);
    assert_eq!(to_model(&stored(&aborted)), Some(Message::assistant("word0 ")));
}

#[test]
fn string_content_and_unknown_blocks_of_imported_transcripts_are_understood() {
    let mut message = stored(&user_message(&[], 0));
    message.body = r#"{"role":"user","content":"hello","timestamp":1}"#.into();
    assert_eq!(to_model(&message), Some(Message::user("hello")));
    message.body = r#"{"content":[{"type":"canvas","text":7},{"type":"text","text":"hello"}]}"#.into();
    assert_eq!(to_model(&message), Some(Message::user("hello")));
    message.body = "not json".into();
    assert_eq!(to_model(&message), None);
}

#[test]
fn a_view_keeps_the_stored_text_and_adds_its_place() {
    let message = stored(&user_message(&[Part::Text("hi".into())], 5));
    assert_eq!(
        history_view(&message, 8_000).get(),
        r#"{"role":"user","content":[{"type":"text","text":"hi"}],"timestamp":5,"__openclaw":{"id":"4a5521bf","seq":18}}"#
    );
}

#[test]
fn a_view_cuts_long_texts_by_characters_and_replaces_large_images() {
    let parts = [
        Part::Text("ä".repeat(11)),
        Part::Image {
            mime: "image/png".into(),
            data: Arc::from("A".repeat(12)),
            detail: None,
        },
    ];
    let view = history_view(&stored(&user_message(&parts, 5)), 10);
    let view: Value = serde_json::from_str(view.get()).unwrap();
    assert_eq!(
        view["content"],
        json!([
            {"type": "text", "text": format!("{}\n...(truncated)...", "ä".repeat(10))},
            {"type": "image", "mimeType": "image/png", "omitted": true, "bytes": 12},
        ])
    );
    assert_eq!(view["__openclaw"]["seq"], 18);
}

#[test]
fn a_damaged_body_gives_a_placeholder_instead_of_broken_json() {
    let mut message = stored(&user_message(&[], 0));
    message.body = "{\"role\":".into();
    for limit in [1, 8_000] {
        let view: Value = serde_json::from_str(history_view(&message, limit).get()).unwrap();
        assert_eq!(view["__openclaw"]["id"], "4a5521bf");
    }
}

#[test]
fn what_a_provider_sealed_is_written_in_upstreams_form_and_read_back_with_its_maker() {
    let model = model();
    let calls = [ToolCall {
        id: "call_A".into(),
        name: "read".into(),
        arguments: "{}".into(),
    }];
    let seals = vec![
        Seal::Thought {
            text: "need a tool".into(),
            signature: "c2ln".into(),
        },
        Seal::Hidden("b3A=".into()),
        Seal::Call {
            id: "call_A".into(),
            signature: "Y2FsbA==".into(),
        },
    ];
    let message = turn_message(&AssistantTurn {
        seals: &seals,
        ..turn(&model, "let me check", &calls, StopReason::ToolUse)
    });
    assert_eq!(
        json_of(&message)["content"],
        json!([
            {"type": "thinking", "thinking": "need a tool", "thinkingSignature": "c2ln"},
            {"type": "thinking", "thinking": "", "thinkingSignature": "b3A=", "redacted": true},
            {"type": "text", "text": "let me check"},
            {"type": "toolCall", "id": "call_A", "name": "read", "arguments": {}, "thoughtSignature": "Y2FsbA=="},
        ])
    );
    let Some(read @ Message::Assistant { sealed: Some(_), .. }) = to_model(&stored(&message)) else {
        panic!("the seals are lost");
    };
    let Message::Assistant {
        sealed: Some(sealed), ..
    } = &read
    else {
        panic!("the seals are lost");
    };
    assert_eq!(sealed.made_by("openai-completions", "mock", "m1"), seals);
    assert!(sealed.made_by("openai-completions", "mock", "other").is_empty());
    let again = from_model(&read, 5).unwrap();
    assert_eq!(json_of(&again)["content"], json_of(&message)["content"]);
    assert_eq!(json_of(&again)["model"], "m1");
}
