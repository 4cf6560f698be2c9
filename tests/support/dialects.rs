//! The scripted provider in the dialects other than chat completions.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::model::{Piece, Shared, pieces, script, stream_as, tool_pieces};

/// How one dialect writes pieces and errors.
#[derive(Clone, Copy)]
struct Dialect {
    content_type: &'static str,
    encode: fn(&Piece) -> String,
    error: fn(u16, &str) -> Value,
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    let route = |dialect: Dialect| {
        post(
            move |State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes| async move {
                answer(dialect, &shared, &headers, &body)
            },
        )
    };
    Router::new()
        .route(
            "/v1/messages",
            route(Dialect {
                content_type: "text/event-stream",
                encode: anthropic,
                error: |_, words| json!({"type": "error", "error": {"type": "test_error", "message": words}}),
            }),
        )
        .route(
            "/v1/responses",
            route(Dialect {
                content_type: "text/event-stream",
                encode: responses,
                error: |_, words| json!({"error": {"message": words, "type": "test"}}),
            }),
        )
        .route(
            "/v1beta/models/{model}",
            route(Dialect {
                content_type: "text/event-stream",
                encode: google,
                error: |code, words| json!({"error": {"code": code, "message": words, "status": "TEST"}}),
            }),
        )
        .route(
            "/api/chat",
            route(Dialect {
                content_type: "application/x-ndjson",
                encode: ollama,
                error: |_, words| json!({"error": words}),
            }),
        )
}

fn answer(dialect: Dialect, shared: &Arc<Shared>, headers: &HeaderMap, body: &[u8]) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap();
    let (text, name, argument) = script(shared, headers, &body);
    if name == "status" {
        let code: u16 = argument.parse().unwrap();
        let error = (dialect.error)(code, &format!("double says {code}"));
        return (
            StatusCode::from_u16(code).unwrap(),
            [("retry-after", "1")],
            axum::Json(error),
        )
            .into_response();
    }
    let pieces = if name == "tool" && !is_after_tool(&body) {
        tool_pieces(&argument)
    } else {
        pieces(shared, &name, &argument, &text)
    };
    stream_as(shared, pieces, dialect.content_type, dialect.encode)
}

/// Whether the newest turn holds results of tools, in any dialect.
fn is_after_tool(body: &Value) -> bool {
    let last = ["messages", "input", "contents"]
        .iter()
        .find_map(|key| body[key].as_array()?.last())
        .cloned()
        .unwrap_or_default();
    last["role"] == "tool"
        || last["type"] == "function_call_output"
        || last["content"][0]["type"] == "tool_result"
        || !last["parts"][0]["functionResponse"].is_null()
}

fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn anthropic(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => sse(&[
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        ]),
        Piece::Tool(_, name) => sse(&[
            json!({"type": "content_block_start", "index": 1,
                "content_block": {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}}),
            json!({"type": "content_block_delta", "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}}),
            json!({"type": "content_block_stop", "index": 1}),
        ]),
        Piece::Finish(reason) => {
            let reason = match *reason {
                "tool_calls" => "tool_use",
                "length" => "max_tokens",
                _ => "end_turn",
            };
            sse(&[
                json!({"type": "message_delta", "delta": {"stop_reason": reason},
                    "usage": {"input_tokens": 11, "output_tokens": 7}}),
                json!({"type": "message_stop"}),
            ])
        }
        _ => String::new(),
    }
}

fn responses(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => sse(&[json!({"type": "response.output_text.delta", "output_index": 0, "delta": text})]),
        Piece::Tool(_, name) => sse(&[
            json!({"type": "response.output_item.added", "output_index": 1,
                "item": {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": ""}}),
            json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{\"a\":1}"}),
        ]),
        Piece::Finish(reason) => {
            let mut response =
                json!({"status": "completed", "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}});
            let mut kind = "response.completed";
            if *reason == "length" {
                kind = "response.incomplete";
                response["status"] = json!("incomplete");
                response["incomplete_details"] = json!({"reason": "max_output_tokens"});
            }
            sse(&[json!({"type": kind, "response": response})])
        }
        _ => String::new(),
    }
}

fn google(piece: &Piece) -> String {
    let part = |part: Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}}]});
    match piece {
        Piece::Text(text) => sse(&[part(json!({"text": text}))]),
        Piece::Tool(_, name) => sse(&[part(
            json!({"functionCall": {"id": "c1", "name": name, "args": {"a": 1}}}),
        )]),
        Piece::Finish(reason) => {
            let reason = if *reason == "length" { "MAX_TOKENS" } else { "STOP" };
            sse(&[json!({"candidates": [{"finishReason": reason}],
                "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7}})])
        }
        _ => String::new(),
    }
}

fn ollama(piece: &Piece) -> String {
    let line = match piece {
        Piece::Text(text) => json!({"message": {"role": "assistant", "content": text}, "done": false}),
        Piece::Tool(_, name) => json!({"message": {"role": "assistant", "content": "",
            "tool_calls": [{"function": {"name": name, "arguments": {"a": 1}}}]}, "done": false}),
        Piece::Finish(reason) => json!({"message": {"role": "assistant", "content": ""}, "done": true,
            "done_reason": reason, "prompt_eval_count": 11, "eval_count": 7}),
        _ => return String::new(),
    };
    format!("{line}\n")
}
