//! Top-level fields whose content has rules of its own, and what is passed on.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::Fault;
use crate::domain::model::Sampling;
use crate::models::client::contract::{Fields, unsupported, value};
use crate::models::client::{param_fault, wrong_type};
use crate::wire::openai::responses::object::ReasoningEcho;

const MAX_METADATA_KEY: usize = 64;
const MAX_METADATA_VALUE: usize = 512;

/// What goes to the provider, and how the response repeats it.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) sampling: Sampling,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) text: Map<String, Value>,
    pub(super) reasoning: ReasoningEcho,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    pub(super) presence_penalty: f64,
    pub(super) frequency_penalty: f64,
    pub(super) service_tier: String,
}

/// A whole number.
pub(super) fn count(name: &str, read: &Fields<'_>) -> Result<Option<u64>, Fault> {
    read.get(name)
        .map(|raw| serde_json::from_str(raw.get()).map_err(|_| wrong_type(name, "a whole number", raw)))
        .transpose()
}

fn one_of(param: &str, value: Option<String>, known: &[&str]) -> Result<Option<String>, Fault> {
    match value {
        Some(value) if !known.contains(&value.as_str()) => {
            let known: Vec<String> = known.iter().map(|known| format!("\"{known}\"")).collect();
            Err(param_fault(
                param,
                format!("{param}: Invalid option: expected one of {}", known.join("|")),
            ))
        }
        value => Ok(value),
    }
}

pub(super) fn truncation(read: &Fields<'_>) -> Result<&'static str, Fault> {
    let named = one_of("truncation", read.text("truncation"), &["auto", "disabled"])?;
    Ok(match named.as_deref() {
        Some("auto") => "auto",
        _ => "disabled",
    })
}

pub(super) fn metadata(read: &Fields<'_>) -> Result<Map<String, Value>, Fault> {
    let Some(raw) = read.get("metadata") else {
        return Ok(Map::new());
    };
    let Value::Object(metadata) = value("metadata", raw)? else {
        return Err(wrong_type("metadata", "object", raw));
    };
    for (key, entry) in &metadata {
        let length = entry.as_str().map_or(0, |entry| entry.chars().count());
        if key.chars().count() > MAX_METADATA_KEY || length > MAX_METADATA_VALUE {
            return Err(param_fault(
                "metadata",
                format!("metadata: at most {MAX_METADATA_KEY} characters in a key and {MAX_METADATA_VALUE} in a value"),
            ));
        }
    }
    Ok(metadata)
}

pub(super) fn sampling(read: &Fields<'_>) -> Result<Sampled, Fault> {
    let mut out = read.passed_on()?;
    let number = |out: &Sampling, name: &str, default: f64| out.get(name).and_then(Value::as_f64).unwrap_or(default);
    let max_output_tokens = count("max_output_tokens", read)?;
    if let Some(most) = max_output_tokens {
        out.insert("max_completion_tokens".to_owned(), most.into());
    }
    refuse_logprobs(read)?;
    let service_tier = match out.get("service_tier").and_then(Value::as_str) {
        None | Some("auto") => "default".to_owned(),
        Some(tier) => tier.to_owned(),
    };
    let reasoning = reasoning(read.get("reasoning"))?;
    if let Some(effort) = &reasoning.effort {
        out.insert("reasoning_effort".to_owned(), effort.as_str().into());
    }
    let text = text_options(read.get("text"), &mut out)?;
    Ok(Sampled {
        temperature: number(&out, "temperature", 1.0),
        top_p: number(&out, "top_p", 1.0),
        presence_penalty: number(&out, "presence_penalty", 0.0),
        frequency_penalty: number(&out, "frequency_penalty", 0.0),
        sampling: out,
        max_output_tokens,
        text,
        reasoning,
        service_tier,
    })
}

fn reasoning(raw: Option<&RawValue>) -> Result<ReasoningEcho, Fault> {
    const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];
    const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Reasoning<'a> {
        #[serde(borrow)]
        effort: Option<&'a RawValue>,
        #[serde(borrow)]
        summary: Option<&'a RawValue>,
        /// The older name of `summary`.
        #[serde(borrow)]
        generate_summary: Option<&'a RawValue>,
    }
    let asked: Reasoning<'_> = match raw {
        None => Reasoning::default(),
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| wrong_type("reasoning", "object", raw))?,
    };
    let text = |param: &str, raw: Option<&RawValue>| -> Result<Option<String>, Fault> {
        raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| wrong_type(param, "string", raw)))
            .transpose()
    };
    let effort = text("reasoning.effort", asked.effort)?;
    let summary = text("reasoning.summary", asked.summary.or(asked.generate_summary))?;
    Ok(ReasoningEcho {
        effort: one_of("reasoning.effort", effort, &EFFORTS)?,
        summary: one_of("reasoning.summary", summary, &SUMMARIES)?,
    })
}

/// `text.format` becomes `response_format`, `text.verbosity` is passed on.
fn text_options(raw: Option<&RawValue>, out: &mut Sampling) -> Result<Map<String, Value>, Fault> {
    let mut asked = match raw.map(|raw| value("text", raw)).transpose()? {
        Some(Value::Object(asked)) => asked,
        _ => Map::new(),
    };
    let mut shown = Map::new();
    let format = match asked.remove("format") {
        None | Some(Value::Null) => json!({"type": "text"}),
        Some(format) => format,
    };
    let invalid = || {
        param_fault(
            "text.format",
            "Invalid text.format: text.format.type must be text, json_object, or json_schema",
        )
    };
    match format.get("type").and_then(Value::as_str).ok_or_else(invalid)? {
        "text" => {}
        "json_object" => {
            out.insert("response_format".to_owned(), json!({"type": "json_object"}));
        }
        "json_schema" => {
            out.insert("response_format".to_owned(), schema_format(&format)?);
        }
        _ => return Err(invalid()),
    }
    shown.insert("format".to_owned(), format);
    match asked.remove("verbosity") {
        None | Some(Value::Null) => {}
        Some(Value::String(verbosity)) => {
            let verbosity = one_of("text.verbosity", Some(verbosity), &["low", "medium", "high"])?;
            out.insert("verbosity".to_owned(), verbosity.clone().into());
            shown.insert("verbosity".to_owned(), verbosity.into());
        }
        Some(_) => {
            return Err(param_fault(
                "text.verbosity",
                "text.verbosity: Invalid input: expected string",
            ));
        }
    }
    Ok(shown)
}

/// The flat form `{type, name, schema, strict?, description?}` in the nested form of chat completions.
fn schema_format(format: &Value) -> Result<Value, Fault> {
    let mut inner = format.as_object().cloned().unwrap_or_default();
    inner.remove("type");
    // Some clients send the nested form as it is.
    if let Some(nested @ Value::Object(_)) = inner.get_mut("json_schema") {
        return Ok(json!({"type": "json_schema", "json_schema": nested.take()}));
    }
    for (field, is_there) in [
        ("name", inner.get("name").is_some_and(Value::is_string)),
        ("schema", inner.get("schema").is_some_and(Value::is_object)),
    ] {
        if !is_there {
            let param = format!("text.format.{field}");
            return Err(param_fault(
                &param,
                format!("{param}: Invalid input: it is missing or of the wrong type"),
            ));
        }
    }
    inner.retain(|_, value| !value.is_null());
    Ok(json!({"type": "json_schema", "json_schema": inner}))
}

/// Items carry no log probabilities, so what asks for them cannot be answered.
fn refuse_logprobs(read: &Fields<'_>) -> Result<(), Fault> {
    const KNOWN: [&str; 6] = [
        "reasoning.encrypted_content",
        "message.input_image.image_url",
        "web_search_call.action.sources",
        "file_search_call.results",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    ];
    if count("top_logprobs", read)?.is_some_and(|top| top > 0) {
        return Err(unsupported(
            "top_logprobs",
            "answers carry no log probabilities; leave it out or send 0.",
        ));
    }
    let Some(raw) = read.get("include") else { return Ok(()) };
    let include: Vec<String> =
        serde_json::from_str(raw.get()).map_err(|_| wrong_type("include", "an array of strings", raw))?;
    match include.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(name) => Err(unsupported("include", &format!("answers have no \"{name}\"."))),
        None => Ok(()),
    }
}
