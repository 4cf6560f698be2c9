//! Top-level fields other than messages and tools: types, ranges, and what is passed on.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::Fault;
use crate::domain::model::Sampling;
use crate::wire::openai::chat::{ChatRequest, kind_of};

/// A field that should be a boolean and is not.
pub(super) struct FlagError {
    pub(super) found: &'static str,
}

/// A 400 that names the field.
pub fn param_fault(param: &str, message: impl Into<String>) -> Fault {
    Fault::invalid(message).with_param(param)
}

pub(super) fn wrong_type(param: &str, expected: &str, raw: &RawValue) -> Fault {
    param_fault(
        param,
        format!("{param}: Invalid input: expected {expected}, received {}", kind_of(raw)),
    )
}

pub(super) fn text_field(param: &str, raw: &RawValue) -> Result<String, Fault> {
    serde_json::from_str(raw.get()).map_err(|_| wrong_type(param, "string", raw))
}

pub(super) fn flag(raw: Option<&RawValue>) -> Result<Option<bool>, FlagError> {
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| FlagError { found: kind_of(raw) }))
        .transpose()
}

/// Everything that is passed to the provider, checked where the protocol has rules.
pub(super) fn sampling(request: &ChatRequest<'_>) -> Result<Sampling, Fault> {
    let mut out = Sampling::new();
    for (name, raw, lowest, highest, range) in [
        ("temperature", request.temperature, 0.0, 2.0, "0 and 2"),
        ("top_p", request.top_p, 0.0, 1.0, "0 and 1"),
        (
            "frequency_penalty",
            request.frequency_penalty,
            -2.0,
            2.0,
            "-2.0 and 2.0",
        ),
        ("presence_penalty", request.presence_penalty, -2.0, 2.0, "-2.0 and 2.0"),
    ] {
        let Some(raw) = raw else { continue };
        let value = number(name, raw)?;
        if !(lowest..=highest).contains(&value) {
            return Err(param_fault(name, format!("`{name}` must be between {range}.")));
        }
        keep(&mut out, name, raw)?;
    }
    if let Some(raw) = request.seed {
        number("seed", raw)?;
        keep(&mut out, "seed", raw)?;
    }
    for (name, raw) in [
        ("max_tokens", request.max_tokens),
        ("max_completion_tokens", request.max_completion_tokens),
    ] {
        let Some(raw) = raw else { continue };
        if number(name, raw)? <= 0.0 {
            return Err(param_fault(
                name,
                format!("{name}: Too small: expected number to be >0"),
            ));
        }
        keep(&mut out, name, raw)?;
    }
    if let Some(raw) = request.n
        && number("n", raw)? != 1.0
    {
        return Err(param_fault("n", "`n` must be 1."));
    }
    if let Some(raw) = request.stop {
        check_stop(raw)?;
        keep(&mut out, "stop", raw)?;
    }
    if let Some(raw) = request.response_format {
        check_response_format(raw)?;
        keep(&mut out, "response_format", raw)?;
    }
    for (name, raw) in [
        ("logit_bias", request.logit_bias),
        ("logprobs", request.logprobs),
        ("top_logprobs", request.top_logprobs),
        ("reasoning_effort", request.reasoning_effort),
        ("verbosity", request.verbosity),
        ("service_tier", request.service_tier),
        ("prompt_cache_key", request.prompt_cache_key),
    ] {
        if let Some(raw) = raw {
            keep(&mut out, name, raw)?;
        }
    }
    // `reasoning: {effort}` is how some clients of the newer API say the same.
    if request.reasoning_effort.is_none()
        && let Some(effort @ Value::String(_)) = request
            .reasoning
            .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
            .and_then(|mut reasoning| reasoning.get_mut("effort").map(Value::take))
    {
        out.insert("reasoning_effort".to_owned(), effort);
    }
    Ok(out)
}

fn number(name: &str, raw: &RawValue) -> Result<f64, Fault> {
    serde_json::from_str(raw.get()).map_err(|_| wrong_type(name, "number", raw))
}

fn keep(out: &mut Sampling, name: &str, raw: &RawValue) -> Result<(), Fault> {
    let value: Value = serde_json::from_str(raw.get())
        .map_err(|error| param_fault(name, format!("{name}: Invalid input: {error}")))?;
    out.insert(name.to_owned(), value);
    Ok(())
}

fn check_stop(raw: &RawValue) -> Result<(), Fault> {
    const MOST: usize = 4;
    if serde_json::from_str::<String>(raw.get()).is_ok() {
        return Ok(());
    }
    match serde_json::from_str::<Vec<String>>(raw.get()) {
        Ok(list) if list.len() > MOST => Err(param_fault("stop", "Invalid stop: stop supports at most 4 sequences")),
        Ok(_) => Ok(()),
        Err(_) => Err(param_fault("stop", "stop: Invalid input")),
    }
}

fn check_response_format(raw: &RawValue) -> Result<(), Fault> {
    let format: Value = match serde_json::from_str(raw.get()) {
        Ok(format @ Value::Object(_)) => format,
        _ => return Err(wrong_type("response_format", "object", raw)),
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text" | "json_object" | "json_schema") => Ok(()),
        _ => Err(param_fault(
            "response_format",
            "Invalid response_format: response_format.type must be text, json_object, or json_schema",
        )),
    }
}
