mod provider;
mod reading;
mod request;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::Secret;
use crate::config::{ModelEntry, RestPolicy};
use crate::domain::Message;
use crate::domain::model::{ModelEvent, ToolChoice};
use crate::models::demo::Demo;

fn call(stream: bool) -> ModelCall {
    ModelCall {
        model: "m1".into(),
        system: Some("Be brief.".into()),
        messages: vec![Arc::new(Message::user("hi"))],
        tools: Arc::from([]),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        sampling: Arc::default(),
        stream,
        trace: None,
    }
}

/// Events as short lines, for comparison by eye.
fn line(event: &ModelEvent) -> String {
    match event {
        ModelEvent::Text(text) => format!("text {text}"),
        ModelEvent::Reasoning(text) => format!("reasoning {text}"),
        ModelEvent::ToolCallStart { index, id, name } => format!("call {index} {id} {name}"),
        ModelEvent::ToolCallArguments { index, delta } => format!("arguments {index} {delta}"),
        ModelEvent::Logprobs(object) => format!("logprobs {object}"),
        ModelEvent::Seal(seal) => format!("seal {seal:?}"),
        ModelEvent::Finish { reason, usage } => match usage {
            None => format!("finish {}", reason.as_str()),
            Some(usage) => format!(
                "finish {} input={} cached={} output={} reasoning={}",
                reason.as_str(),
                usage.input,
                usage.cache_read,
                usage.output,
                usage.reasoning
            ),
        },
    }
}
