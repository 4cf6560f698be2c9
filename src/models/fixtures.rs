//! What the tests of all dialects share: one conversation with everything in it, and a body that comes in any pieces.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{Answer, Decoder, Framing};
use super::demo::Demo;
use super::draft::Draft;
use crate::base::Secret;
use crate::config::{ModelEntry, ProviderSettings, RestPolicy};
use crate::domain::model::{ModelCall, ModelEvent, ToolChoice, ToolSpec};
use crate::domain::{Message, Part, Seal, Sealed, ToolCall};

/// Provider id of every fixture.
pub(super) const PROVIDER: &str = "mock";

/// Nothing but a greeting.
pub(super) fn greeting(model: &str) -> ModelCall {
    ModelCall {
        model: model.into(),
        system: None,
        messages: vec![Arc::new(Message::user("hi"))],
        tools: Arc::from([]),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        sampling: Arc::default(),
        stream: true,
        trace: None,
    }
}

/// A system prompt, a picture, a round of two tools whose call carries `seals` of `api`, and the tools themselves.
pub(super) fn tool_round(api: &str, model: &str, seals: Vec<Seal>) -> ModelCall {
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    let result = |id: &str, name: Option<&str>, content: &str| Message::Tool {
        call_id: id.into(),
        name: name.map(str::to_owned),
        content: content.into(),
    };
    let messages = [
        Message::User {
            parts: vec![
                Part::Text("Where is this?".into()),
                Part::Image {
                    mime: "image/png".into(),
                    data: "QUJD".into(),
                    detail: None,
                },
            ],
        },
        Message::Assistant {
            text: "Let me see.".into(),
            reasoning: Some("need the map".into()),
            tool_calls: vec![
                call("call_1|fc_1", "map", r#"{"city":"Paris"}"#),
                call("call_2", "clock", ""),
            ],
            sealed: (!seals.is_empty()).then(|| {
                Arc::new(Sealed {
                    api: api.into(),
                    provider: PROVIDER.into(),
                    model: model.into(),
                    seals,
                })
            }),
        },
        result("call_1|fc_1", Some("map"), "48.8,2.3"),
        result("call_2", None, "noon"),
    ];
    let schema = r#"{"type":"object","properties":{"city":{"type":"string","minLength":1}},"required":["city"]}"#;
    ModelCall {
        system: Some("Be brief.".into()),
        messages: messages.into_iter().map(Arc::new).collect(),
        tools: Arc::from([
            ToolSpec {
                name: "map".into(),
                description: Some("Finds places".into()),
                parameters: Some(RawValue::from_string(schema.into()).unwrap()),
                strict: None,
            },
            ToolSpec {
                name: "clock".into(),
                description: None,
                parameters: None,
                strict: None,
            },
        ]),
        ..greeting(model)
    }
}

/// The call with these sampling parameters.
pub(super) fn sampled(mut call: ModelCall, sampling: Value) -> ModelCall {
    call.sampling = Arc::new(sampling.as_object().unwrap().clone());
    call
}

/// A reasoning model with room for 4096 tokens.
pub(super) fn reasoning_entry(id: &str) -> ModelEntry {
    ModelEntry {
        id: id.to_owned(),
        reasoning: true,
        context_window: 32_768,
        max_tokens: 4_096,
        ..Demo::entry()
    }
}

/// A provider at `base_url` with one reasoning model.
pub(super) fn settings(api: &str, base_url: &str, model: &str) -> ProviderSettings {
    ProviderSettings {
        id: PROVIDER.to_owned(),
        base_url: base_url.to_owned(),
        api: api.to_owned(),
        api_key: Ok(Some(Secret::new("sk-mock-secret"))),
        key_is_bearer: false,
        headers: Vec::new(),
        idle_timeout: None,
        overrides: Vec::new(),
        accounts: Vec::new(),
        rest: RestPolicy::default(),
        models: vec![reasoning_entry(model)],
    }
}

/// An answer of which nothing came yet.
pub(super) fn draft() -> Draft {
    Draft::new(PROVIDER.into(), Arc::from([Secret::new("sk-mock-secret")]), false)
}

/// Events as short lines, for comparison by eye.
pub(super) fn line(event: &ModelEvent) -> String {
    match event {
        ModelEvent::Text(text) => format!("text {text}"),
        ModelEvent::Reasoning(text) => format!("reasoning {text}"),
        ModelEvent::ToolCallStart { index, id, name } => format!("call {index} {id} {name}"),
        ModelEvent::ToolCallArguments { index, delta } => format!("arguments {index} {delta}"),
        ModelEvent::Logprobs(object) => format!("logprobs {object}"),
        ModelEvent::Seal(Seal::Thought { text, signature }) => format!("seal {text:?} {signature}"),
        ModelEvent::Seal(Seal::Hidden(data)) => format!("seal hidden {data}"),
        ModelEvent::Seal(Seal::Call { id, signature }) => format!("seal {id} {signature}"),
        ModelEvent::Finish { reason, usage: None } => format!("finish {}", reason.as_str()),
        ModelEvent::Finish {
            reason,
            usage: Some(usage),
        } => format!(
            "finish {} input={} output={} read={} write={} reasoning={}",
            reason.as_str(),
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning
        ),
    }
}

/// The events of `body`, an error as its class and words. It comes in pieces of `sizes`, the rest at once.
pub(super) fn read<D: Decoder>(decoder: D, framing: Framing, body: &str, sizes: &[usize]) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = body.as_bytes();
    let mut sizes = sizes.iter().copied();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
        pieces.push(Ok::<_, io::Error>(Bytes::copy_from_slice(head)));
        rest = tail;
    }
    let response = http::Response::new(reqwest::Body::wrap_stream(stream::iter(pieces)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let events: Vec<_> = runtime.block_on(Answer::new(response.into(), framing, decoder, None).collect());
    events
        .iter()
        .map(|event| match event {
            Ok(event) => line(event),
            Err(error) => format!("error {} {}", error.class.as_str(), error.message),
        })
        .collect()
}
