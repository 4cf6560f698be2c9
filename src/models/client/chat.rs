//! One chat-completions request as a turn of an agent.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::chat_fields::CHAT;
use super::contract::{Fields, unsupported, value};
use super::fields::{param_fault, wrong_type};
use super::messages::read_messages;
use super::tools::{read_functions, read_tools};
use super::turn::Turn;
use crate::domain::Fault;
use crate::domain::model::Sampling;

/// What a chat request asks for.
#[derive(Debug, Clone)]
pub struct ChatTurn {
    /// What the agent is asked.
    pub turn: Turn,
    /// Whether the stream ends with usage.
    pub include_usage: bool,
    /// Whether calls are told in the older form, one `function_call`.
    pub as_function: bool,
}

/// Reads a body. The fault is a 400 in the words of the error object.
pub fn parse_turn(body: &[u8]) -> Result<ChatTurn, Fault> {
    let fields = Fields::read(body, CHAT)?;
    check_offers(&fields)?;
    let functions = fields.get("functions").filter(|_| fields.get("tools").is_none());
    let (tools, tool_choice) = match functions {
        Some(functions) => read_functions(functions, fields.get("function_call"))?,
        None => read_tools(fields.get("tools"), fields.get("tool_choice"))?,
    };
    let as_function = functions.is_some();
    let include_usage = include_usage(&fields)?;
    let turn = Turn {
        model: fields.text("model").unwrap_or_else(|| "openclaw".to_owned()),
        stream: fields.flag("stream").unwrap_or(false),
        user: fields.text("user").filter(|user| !user.trim().is_empty()),
        may_keep: fields.flag("store") != Some(false),
        sampling: Arc::new(sampling(&fields)?),
        dialogue: read_messages(fields.get("messages"))?,
        tools,
        tool_choice,
        // The older form has room for one call.
        parallel_tool_calls: fields.flag("parallel_tool_calls").or(as_function.then_some(false)),
    };
    Ok(ChatTurn {
        turn,
        include_usage,
        as_function,
    })
}

/// Fields of which some values are offered and others are not.
fn check_offers(fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(raw) = fields.get("n")
        && serde_json::from_str::<f64>(raw.get()).is_ok_and(|n| n != 1.0)
    {
        return Err(param_fault("n", "`n` must be 1."));
    }
    for (older, newer) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.get(older).is_some() && fields.get(newer).is_some() {
            return Err(param_fault(
                older,
                format!("`{older}` is the older form of `{newer}`; send one of them."),
            ));
        }
    }
    let is_word = fields.text("function_call").is_some();
    if fields.get("function_call").is_some() && !is_word && fields.get("functions").is_none() {
        return Err(param_fault("function_call", "`function_call` needs `functions`."));
    }
    if fields.flag("store") == Some(true) {
        let reason = "completions are not stored for later retrieval; leave it out, or use `/v1/responses`.";
        return Err(unsupported("store", reason));
    }
    if let Some(raw) = fields.get("modalities") {
        let modalities: Vec<String> =
            serde_json::from_str(raw.get()).map_err(|_| param_fault("modalities", "modalities: Invalid input"))?;
        if modalities.iter().any(|modality| modality != "text") {
            return Err(unsupported("modalities", "only `text` is offered."));
        }
    }
    if let Some(raw) = fields.get("response_format") {
        check_response_format(raw)?;
    }
    if fields.get("top_logprobs").is_some() && fields.flag("logprobs") != Some(true) {
        let text = "`top_logprobs` needs `logprobs` to be true.";
        return Err(param_fault("top_logprobs", text));
    }
    Ok(())
}

fn check_response_format(raw: &RawValue) -> Result<(), Fault> {
    let format = value("response_format", raw)?;
    let (param, what) = match format.get("type").and_then(Value::as_str) {
        Some("text" | "json_object") => return Ok(()),
        Some("json_schema") => match format.get("json_schema") {
            Some(Value::Object(named)) if !named.get("name").is_some_and(Value::is_string) => (
                "response_format.json_schema.name",
                "response_format.json_schema.name must be a string",
            ),
            Some(Value::Object(named))
                if !named
                    .get("schema")
                    .is_none_or(|schema| schema.is_object() || schema.is_null()) =>
            {
                (
                    "response_format.json_schema.schema",
                    "response_format.json_schema.schema must be an object",
                )
            }
            Some(Value::Object(_)) => return Ok(()),
            _ => (
                "response_format.json_schema",
                "response_format.json_schema must be an object",
            ),
        },
        _ => (
            "response_format",
            "response_format.type must be text, json_object, or json_schema",
        ),
    };
    Err(param_fault(param, format!("Invalid response_format: {what}")))
}

/// Everything that is passed to the provider.
fn sampling(fields: &Fields<'_>) -> Result<Sampling, Fault> {
    let mut sampling = fields.passed_on()?;
    // `reasoning: {effort}` is how clients of the newer API say the same.
    if let Some(raw) = fields.get("reasoning")
        && let Some(effort) = value("reasoning", raw)?
            .get("effort")
            .filter(|effort| !effort.is_null())
    {
        if !effort.is_string() {
            let text = "reasoning.effort: Invalid input: expected string";
            return Err(param_fault("reasoning.effort", text));
        }
        sampling.entry("reasoning_effort").or_insert_with(|| effort.clone());
    }
    Ok(sampling)
}

fn include_usage(fields: &Fields<'_>) -> Result<bool, Fault> {
    #[derive(serde::Deserialize)]
    struct Options<'a> {
        #[serde(borrow, default)]
        include_usage: Option<&'a RawValue>,
    }
    let Some(raw) = fields.get("stream_options") else {
        return Ok(false);
    };
    let options: Options<'_> =
        serde_json::from_str(raw.get()).map_err(|_| wrong_type("stream_options", "object", raw))?;
    match options.include_usage.map(|raw| (raw, raw.get())) {
        None | Some((_, "false")) => Ok(false),
        Some((_, "true")) => Ok(true),
        Some((raw, _)) => Err(wrong_type("stream_options.include_usage", "boolean", raw)),
    }
}
