//! Requests into turns, runs into events.

use bytes::BytesMut;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::model::{FinishReason, ToolChoice, Usage};
use crate::domain::run::{RunEnd, RunEvent, RunOutcome};
use crate::domain::{Fault, Message, Part, ToolCall};
use crate::models::client::{Dialogue, InputPart};
use crate::wire::openai::responses::Framing;

fn ask(extra: &Value) -> Result<(Dialogue<InputPart>, Value), Fault> {
    let mut body = json!({"model": "openclaw", "input": "hi"});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    let text = body.to_string();
    let ask = parse(&text)?;
    let stored = serde_json::from_str(&ask.input).unwrap();
    let dialogue = dialogue(ask.echo.instructions.as_deref(), &[&ask.input])?;
    Ok((dialogue, stored))
}

fn parse(body: &str) -> Result<Ask, Fault> {
    parse_ask(body.as_bytes(), &IdMaker::of(Uuid::nil()))
}

fn param(extra: &Value) -> String {
    ask(extra).unwrap_err().param.unwrap()
}

fn texts(parts: &[InputPart]) -> Vec<&str> {
    parts
        .iter()
        .map(|part| match part {
            InputPart::Ready(Part::Text(text)) => text.as_str(),
            _ => "<media>",
        })
        .collect()
}

#[test]
fn a_string_is_a_user_message_and_is_stored_as_one() {
    let (dialogue, stored) = ask(&json!({"input": "hi \"there\""})).unwrap();
    assert_eq!(texts(&dialogue.input), ["hi \"there\""]);
    assert_eq!(
        stored,
        json!([{
            "id": "msg_00000000000000000000000000000000_in0", "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_text", "text": "hi \"there\""}],
        }])
    );
}

#[test]
fn an_array_never_passes_for_an_object() {
    let part =
        |part: Value| json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "q"}, part]}]});
    for body in [
        json!({"input": [["msg_1"]]}),
        part(json!([])),
        part(json!({"type": "input_image", "source": ["url", "https://x/a.png"]})),
    ] {
        let param = param(&body);
        assert!(param.starts_with("input["), "{body}: {param}");
    }
    let tools = json!([{"type": "function", "name": "f"}]);
    let choice = json!({"type": "allowed_tools", "mode": 5, "tools": tools});
    assert_eq!(param(&json!({"tools": tools, "tool_choice": choice})), "tool_choice");
}

#[test]
fn system_texts_follow_the_instructions() {
    let (dialogue, _) = ask(&json!({
        "instructions": " Be brief. ",
        "input": [{"role": "developer", "content": "D"}, {"role": "user", "content": "u"}, {"role": "system", "content": "S"}],
    }))
    .unwrap();
    assert_eq!(dialogue.system.as_deref(), Some("Be brief.\n\nD\n\nS"));
    assert!(dialogue.history.is_empty());
}

#[test]
fn calls_join_the_assistant_message_before_them_and_outputs_answer_them() {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": [{"type": "input_text", "text": format!("out {id}")}]});
    let (dialogue, _) = ask(&json!({"input": [
        {"role": "user", "content": "q"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": null}]},
        call("a"), call("b"), output("a"), output("b"),
    ]}))
    .unwrap();
    assert_eq!(dialogue.history.len(), 2);
    let Message::Assistant {
        text,
        reasoning,
        tool_calls,
        ..
    } = &dialogue.history[1]
    else {
        panic!("{:?}", dialogue.history);
    };
    assert_eq!(
        (text.as_str(), reasoning.as_deref(), tool_calls.len()),
        ("Let me see.", Some("hm"), 2)
    );
    assert_eq!(dialogue.tool_results.len(), 2);
    assert!(
        matches!(&dialogue.tool_results[1], Message::Tool { call_id, name: Some(name), content }
        if call_id == "b" && name == "f" && content == "out b")
    );
}

#[test]
fn an_output_without_its_call_is_text_of_the_user() {
    let (dialogue, _) =
        ask(&json!({"input": [{"type": "function_call_output", "call_id": "x", "output": "42"}]})).unwrap();
    assert_eq!(texts(&dialogue.input), ["Tool:x: 42"]);
}

#[test]
fn images_and_files_come_in_every_known_form() {
    let png = "data:image/png;base64,QUJD";
    for image in [
        json!({"type": "input_image", "image_url": png, "detail": "auto"}),
        json!({"type": "input_image", "image_url": {"url": png}}),
        json!({"type": "input_image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}),
    ] {
        let (dialogue, _) = ask(&json!({"input": [{"role": "user", "content": [image]}]})).unwrap();
        assert!(
            dialogue
                .input
                .iter()
                .any(|part| matches!(part, InputPart::Ready(Part::Image { mime, .. }) if mime == "image/png"))
        );
    }
    for file in [
        json!({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,QUJD"}),
        json!({"type": "input_file", "filename": "a.txt", "file_data": "QUJD"}),
        json!({"type": "input_file", "source": {"type": "base64", "media_type": "text/plain", "data": "QUJD", "filename": "a.txt"}}),
    ] {
        let (dialogue, _) = ask(&json!({"input": [{"role": "user", "content": [file]}]})).unwrap();
        assert!(
            dialogue
                .input
                .iter()
                .any(|part| matches!(part, InputPart::File { name: Some(name), .. } if name == "a.txt"))
        );
    }
    let link = json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/a.png"}]}]});
    assert!(matches!(&ask(&link).unwrap().0.input[..], [.., InputPart::Link { .. }]));
    for part in [
        json!({"type": "input_image", "file_id": "file-1"}),
        json!({"type": "input_file", "file_id": "file-1"}),
        json!({"type": "input_image", "image_url": "data:image/png;base64,###"}),
        json!({"type": "input_video", "video_url": "https://example.org/a"}),
    ] {
        assert_eq!(param(&json!({"input": [{"role": "user", "content": [part]}]})), "input");
    }
}

#[test]
fn wrong_fields_are_named() {
    for (extra, named) in [
        (json!({"model": null}), "model"),
        (json!({"model": 7}), "model"),
        (json!({"input": null}), "input"),
        (json!({"input": 7}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": ""}), "input"),
        (json!({"input": [{"role": "system", "content": "s"}]}), "input"),
        (json!({"input": [{"role": "user", "content": 7}]}), "input[0].content"),
        (
            json!({"input": [{"type": "web_search_call", "id": "ws_1"}]}),
            "input.0.type",
        ),
        (
            json!({"input": [{"role": "user", "content": "a", "phase": "commentary"}]}),
            "input.0.phase",
        ),
        (
            json!({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}),
            "input.0.call_id",
        ),
        (json!({"stream": "yes"}), "stream"),
        (json!({"store": 1}), "store"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"max_output_tokens": 0}), "max_output_tokens"),
        (json!({"max_tool_calls": -1}), "max_tool_calls"),
        (json!({"metadata": {"a": 1}}), "metadata.a"),
        (json!({"truncation": "some"}), "truncation"),
        (json!({"reasoning": {"effort": "extreme"}}), "reasoning.effort"),
        (json!({"text": {"format": {"type": "xml"}}}), "text.format"),
        (
            json!({"text": {"format": {"type": "json_schema", "schema": {}}}}),
            "text.format.name",
        ),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"include": ["message.output_text.logprobs"]}), "include"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"background": true, "store": false}), "background"),
        (json!({"background": true, "stream": true}), "background"),
        (json!({"tools": [{"type": "web_search"}]}), "tools.0.type"),
        (json!({"tools": [{"type": "function"}]}), "tools.0.name"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": {"type": "function", "name": "f"}}), "tool_choice"),
        (json!({"tool_choice": "sometimes"}), "tool_choice"),
    ] {
        assert_eq!(param(&extra), named, "{extra}");
    }
}

#[test]
fn fields_are_passed_on_under_the_names_that_providers_know() {
    let body = json!({
        "model": "openclaw", "input": "x", "max_output_tokens": 222, "temperature": 0.5, "service_tier": "auto",
        "reasoning": {"effort": "minimal", "summary": "auto"}, "prompt_cache_key": "k", "x_future": 1,
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
    })
    .to_string();
    let ask = parse(&body).unwrap();
    assert_eq!(
        Value::Object((*ask.turn.sampling).clone()),
        json!({
            "temperature": 0.5, "max_completion_tokens": 222, "service_tier": "auto", "prompt_cache_key": "k",
            "reasoning_effort": "minimal", "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
        })
    );
    assert_eq!(ask.echo.service_tier, "default");
    assert!(ask.echo.store && ask.echo.parallel_tool_calls && ask.generate);
}

#[test]
fn tools_come_flat_or_nested_and_allowed_tools_bind() {
    let body = |choice: Value| {
        json!({"model": "openclaw", "input": "x", "tool_choice": choice, "tools": [
            {"type": "function", "name": "a", "parameters": {"type": "object"}},
            {"type": "function", "function": {"name": "b", "description": "B", "strict": true}},
        ]})
        .to_string()
    };
    let text = body(json!("auto"));
    let ask = parse(&text).unwrap();
    let names: Vec<&str> = ask.turn.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        serde_json::from_str::<Value>(ask.echo.tools.get()).unwrap()[1],
        json!({"type": "function", "name": "b", "description": "B", "parameters": null, "strict": true})
    );
    for choice in [
        json!({"type": "function", "name": "b"}),
        json!({"type": "function", "function": {"name": "b"}}),
    ] {
        let text = body(choice);
        let ask = parse(&text).unwrap();
        assert_eq!(ask.turn.tool_choice, ToolChoice::Named("b".to_owned()));
        assert_eq!(ask.echo.tool_choice.get(), r#"{"type":"function","name":"b"}"#);
    }
    let text = body(json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "a"}]}));
    let ask = parse(&text).unwrap();
    assert_eq!(
        (ask.turn.tools.len(), &ask.turn.tool_choice),
        (1, &ToolChoice::Required)
    );
    assert!(ask.echo.tools.get().contains("\"b\""), "both are still shown");
}

#[test]
fn a_compaction_item_becomes_its_summary_and_a_foreign_one_is_refused() {
    let item = compaction_item(&IdMaker::random(), "They spoke of tea.");
    let (dialogue, _) = ask(&json!({"input": [
        {"type": "compaction", "encrypted_content": item.encrypted_content}, {"role": "user", "content": "go on"},
    ]}))
    .unwrap();
    assert!(matches!(&dialogue.history[0], Message::User { parts } if texts(parts)[0].ends_with("They spoke of tea.")));
    assert_eq!(
        param(
            &json!({"input": [{"type": "compaction", "encrypted_content": "gAAAA"}, {"role": "user", "content": "go on"}]})
        ),
        "input"
    );
}

fn answer() -> Answer {
    let text = json!({"model": "openclaw", "input": "x", "max_tool_calls": 2}).to_string();
    let echo = parse(&text).unwrap().echo;
    Answer::new(IdMaker::of(Uuid::nil()), 1, echo)
}

fn outcome(text: &str, calls: &[&str]) -> RunOutcome {
    RunOutcome {
        end: RunEnd::Completed,
        text: text.to_owned(),
        reasoning: String::new(),
        tool_calls: calls
            .iter()
            .map(|id| ToolCall {
                id: (*id).to_owned(),
                name: "f".to_owned(),
                arguments: "{\"a\":1}".to_owned(),
            })
            .collect(),
        finish: if calls.is_empty() {
            FinishReason::Stop
        } else {
            FinishReason::ToolCalls
        },
        usage: Usage {
            input: 10,
            cache_read: 1,
            output: 7,
            reasoning: 2,
            ..Usage::default()
        },
        model: None,
        started_at_ms: 0,
        ended_at_ms: 0,
    }
}

/// Every event as `type` with what tells it apart.
fn told(events: &[RunEvent], end: &End, outcome: Option<&RunOutcome>) -> (Vec<String>, Value) {
    let mut narration = Narration::new(answer(), Framing::Lines);
    let mut out = BytesMut::new();
    narration.begin(&mut out);
    for event in events {
        narration.tell(&mut out, event);
    }
    let usage = outcome.map(|outcome| outcome.usage).unwrap_or_default();
    let last = narration.end(&mut out, end, outcome, &usage, 2);
    narration.conclude(&mut out, end, &last);
    let events: Vec<Value> = std::str::from_utf8(&out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines = events
        .iter()
        .enumerate()
        .map(|(number, event)| {
            assert_eq!(event["sequence_number"], number, "numbers have no gaps");
            let kind = event["type"].as_str().unwrap().strip_prefix("response.").unwrap();
            let index = event["output_index"]
                .as_u64()
                .map(|index| format!(" {index}"))
                .unwrap_or_default();
            let what = ["delta", "text", "arguments"]
                .iter()
                .find_map(|key| event[key].as_str())
                .map(str::to_owned)
                .or_else(|| {
                    event["item"]["type"]
                        .as_str()
                        .map(|kind| format!("{kind} {}", event["item"]["status"].as_str().unwrap()))
                })
                .map(|what| format!(" {what}"))
                .unwrap_or_default();
            format!("{kind}{index}{what}")
        })
        .collect();
    (lines, serde_json::from_slice(&last).unwrap())
}

#[test]
fn a_text_answer_in_events() {
    let say = |text: &str| RunEvent::Text(text.to_owned());
    let (lines, last) = told(
        &[
            RunEvent::Started,
            RunEvent::Reasoning("hm".to_owned()),
            say("Hel"),
            say("lo"),
        ],
        &End::Completed,
        Some(&outcome("Hello", &[])),
    );
    assert_eq!(
        lines,
        [
            "created",
            "in_progress",
            "output_item.added 0 reasoning in_progress",
            "reasoning_summary_part.added 0",
            "reasoning_summary_text.delta 0 hm",
            "reasoning_summary_text.done 0 hm",
            "reasoning_summary_part.done 0",
            "output_item.done 0 reasoning completed",
            "output_item.added 1 message in_progress",
            "content_part.added 1",
            "output_text.delta 1 Hel",
            "output_text.delta 1 lo",
            "output_text.done 1 Hello",
            "content_part.done 1",
            "output_item.done 1 message completed",
            "completed",
        ]
    );
    assert_eq!(last["output"][1]["content"][0]["text"], "Hello");
    assert_eq!(last["output"][1]["phase"], "final_answer");
    assert_eq!(
        last["usage"],
        json!({
            "input_tokens": 11, "input_tokens_details": {"cached_tokens": 1},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18,
        })
    );
    assert_eq!(
        (&last["status"], &last["completed_at"]),
        (&json!("completed"), &json!(2))
    );
}

#[test]
fn tool_calls_in_events_up_to_the_limit() {
    let start = |index: usize, id: &str| RunEvent::ToolCallStart {
        index,
        id: id.to_owned(),
        name: "f".to_owned(),
    };
    let more = |index: usize, delta: &str| RunEvent::ToolCallArguments {
        index,
        delta: delta.to_owned(),
    };
    let (lines, last) = told(
        &[
            RunEvent::Text("Let me see.".to_owned()),
            start(0, "a"),
            more(0, "{\"a\""),
            start(1, "b"),
            more(1, "{\"a\":1}"),
            more(0, ":1}"),
            start(2, "c"),
            more(2, "{}"),
        ],
        &End::Completed,
        Some(&outcome("Let me see.", &["a", "b", "c"])),
    );
    assert_eq!(
        lines[7..],
        [
            "output_item.done 0 message completed",
            "output_item.added 1 function_call in_progress",
            "function_call_arguments.delta 1 {\"a\"",
            "output_item.added 2 function_call in_progress",
            "function_call_arguments.delta 2 {\"a\":1}",
            "function_call_arguments.delta 1 :1}",
            "function_call_arguments.done 1 {\"a\":1}",
            "output_item.done 1 function_call completed",
            "function_call_arguments.done 2 {\"a\":1}",
            "output_item.done 2 function_call completed",
            "completed",
        ]
    );
    assert_eq!(last["output"].as_array().unwrap().len(), 3);
    assert_eq!(last["output"][0]["phase"], "commentary");
}

#[test]
fn an_answer_in_one_piece_is_told_in_full() {
    let (lines, last) = told(&[], &End::Completed, Some(&outcome("Hi", &["a"])));
    assert_eq!(lines[4], "output_text.delta 0 Hi");
    assert_eq!(lines[9], "function_call_arguments.delta 1 {\"a\":1}");
    let mut whole = answer();
    whole.fill(&outcome("Hi", &["a"]));
    let whole = whole.close(&End::Completed, &outcome("", &[]).usage, 2);
    assert_eq!(
        serde_json::from_slice::<Value>(&whole).unwrap(),
        last,
        "streamed or not, the response is the same"
    );
}

#[test]
fn a_cut_answer_and_a_failed_one_say_so() {
    let cut = RunOutcome {
        finish: FinishReason::Length,
        ..outcome("half", &[])
    };
    let (lines, last) = told(&[RunEvent::Text("half".to_owned())], &End::of(cut.finish), Some(&cut));
    assert_eq!(lines.last().unwrap(), "incomplete");
    assert_eq!(last["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(last["output"][0]["status"], "incomplete");
    assert_eq!(last["completed_at"], Value::Null);

    let fault = Fault::unavailable("gone").with_code("provider_unreachable");
    let (lines, last) = told(&[RunEvent::Text("half".to_owned())], &End::failed(&fault), None);
    assert_eq!(lines.last().unwrap(), "failed");
    assert!(!lines.iter().any(|line| line.contains("done")));
    assert_eq!(
        last["error"],
        json!({"code": "provider_unreachable", "message": "gone"})
    );
    assert_eq!(last["output"][0]["content"][0]["text"], "half");
}

#[test]
fn what_is_put_out_can_be_put_in() {
    let mut whole = answer();
    whole.fill(&RunOutcome {
        reasoning: "hm".to_owned(),
        ..outcome("Hi", &["a"])
    });
    let body = whole.close(&End::Completed, &Usage::default(), 2);
    let body = String::from_utf8(body).unwrap();
    let list = output_of(&body).unwrap();
    let ids: Vec<String> = with_ids(list).into_iter().map(|(id, _)| id.into_owned()).collect();
    assert_eq!(ids.len(), 3);
    assert!(
        ids.iter()
            .all(|id| response_of_item(id).as_deref() == Some(whole.ids.response()))
    );
    let output = r#"[{"type":"function_call_output","call_id":"a","output":"42"}]"#;
    let dialogue = dialogue(None, &[list, output]).unwrap();
    assert!(
        matches!(&dialogue.history[..], [Message::Assistant { text, reasoning: Some(_), tool_calls, .. }]
        if text == "Hi" && tool_calls.len() == 1)
    );
    assert_eq!(dialogue.tool_results.len(), 1);
}
