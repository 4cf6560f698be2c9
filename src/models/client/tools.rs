//! `tools` and `tool_choice`, with the error texts that clients know, and the form that they had before.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::contract::{check_depth, is_longer, value};
use super::fields::{param_fault, wrong_type};
use crate::domain::Fault;
use crate::domain::model::{ToolChoice, ToolSpec};

/// Most tools of one request.
const MAX_TOOLS: usize = 1_024;

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow, default)]
    strict: Option<&'a RawValue>,
}

pub(super) fn read_tools(
    tools: Option<&RawValue>,
    choice: Option<&RawValue>,
) -> Result<(Arc<[ToolSpec]>, ToolChoice), Fault> {
    let mut specs: Vec<ToolSpec> = Vec::new();
    if let Some(raw) = tools {
        if is_longer(raw, MAX_TOOLS) {
            let text = format!("`tools` holds more than {MAX_TOOLS} tools.");
            return Err(param_fault("tools", text));
        }
        let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong_type("tools", "array", raw))?;
        for raw in list {
            check_depth("tools", raw)?;
            let spec = read_tool(raw)?;
            if specs.iter().any(|known| known.name == spec.name) {
                return Err(param_fault("tools", "invalid tool configuration"));
            }
            specs.push(spec);
        }
    }
    let choice = match choice {
        None => ToolChoice::Auto,
        Some(raw) => read_choice(raw, &specs)?,
    };
    Ok((specs.into(), choice))
}

fn read_tool(raw: &RawValue) -> Result<ToolSpec, Fault> {
    let invalid = |what: &str| param_fault("tools", format!("Invalid tools/tool_choice: {what}"));
    let tool: Tool<'_> = as_object(raw).ok_or_else(|| invalid("each tool must be an object"))?;
    if text(tool.r#type).as_deref() != Some("function") {
        return Err(invalid("only function tools are supported"));
    }
    let function: Function<'_> = tool
        .function
        .and_then(as_object)
        .ok_or_else(|| invalid("tool.function is required"))?;
    read_function(&function).map_err(|what| invalid(&format!("tool.function.{what}")))
}

/// A field that may be absent; the error says that it is of another type.
fn optional<T: for<'de> Deserialize<'de>>(raw: Option<&RawValue>) -> Result<Option<T>, ()> {
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| ()))
        .transpose()
}

/// `functions` and `function_call`, the older form of tools.
pub(super) fn read_functions(
    functions: &RawValue,
    choice: Option<&RawValue>,
) -> Result<(Arc<[ToolSpec]>, ToolChoice), Fault> {
    let invalid = |what: &str| param_fault("functions", format!("Invalid functions/function_call: {what}"));
    if is_longer(functions, MAX_TOOLS) {
        return Err(invalid(&format!("more than {MAX_TOOLS} functions")));
    }
    let list: Vec<&RawValue> =
        serde_json::from_str(functions.get()).map_err(|_| wrong_type("functions", "array", functions))?;
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(list.len());
    for raw in list {
        check_depth("functions", raw)?;
        let function: Function<'_> = as_object(raw).ok_or_else(|| invalid("each function must be an object"))?;
        let spec = read_function(&function).map_err(|what| invalid(&format!("function.{what}")))?;
        if specs.iter().any(|known| known.name == spec.name) {
            return Err(invalid("two functions have the same name"));
        }
        specs.push(spec);
    }
    let choice = match choice {
        None => ToolChoice::Auto,
        Some(raw) => read_function_choice(raw, &specs)?,
    };
    Ok((specs.into(), choice))
}

fn read_function_choice(raw: &RawValue, functions: &[ToolSpec]) -> Result<ToolChoice, Fault> {
    let invalid = |what: &str| param_fault("function_call", format!("Invalid functions/function_call: {what}"));
    let choice = value("function_call", raw)?;
    match choice.as_str() {
        Some("auto") => return Ok(ToolChoice::Auto),
        Some("none") => return Ok(ToolChoice::None),
        Some(_) => return Err(invalid("function_call must be auto, none or an object")),
        None => {}
    }
    let name = choice.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| invalid("function_call.name is required"))?;
    if !functions.iter().any(|function| function.name == name) {
        return Err(invalid(&format!("function_call requested unknown function: {name}")));
    }
    Ok(ToolChoice::Named(name.to_owned()))
}

/// A function of either form; the error names what is wrong with it.
fn read_function(function: &Function<'_>) -> Result<ToolSpec, &'static str> {
    let name = text(function.name)
        .filter(|name| !name.trim().is_empty())
        .ok_or("name is required")?;
    if function.parameters.is_some_and(|raw| !is_object(raw)) {
        return Err("parameters must be an object");
    }
    Ok(ToolSpec {
        name,
        description: optional(function.description).map_err(|()| "description must be a string")?,
        parameters: function.parameters.map(RawValue::to_owned),
        strict: optional(function.strict).map_err(|()| "strict must be a boolean")?,
    })
}

fn read_choice(raw: &RawValue, tools: &[ToolSpec]) -> Result<ToolChoice, Fault> {
    let invalid = |what: &str| param_fault("tool_choice", format!("Invalid tools/tool_choice: {what}"));
    let choice: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    let choice = match choice {
        Value::String(word) => {
            return match word.as_str() {
                "auto" => Ok(ToolChoice::Auto),
                "none" => Ok(ToolChoice::None),
                "required" if tools.is_empty() => Err(invalid("tool_choice=required but no tools were provided")),
                "required" => Ok(ToolChoice::Required),
                _ => Err(invalid("tool_choice must be a string or object")),
            };
        }
        Value::Object(choice) => choice,
        _ => return Err(invalid("tool_choice must be a string or object")),
    };
    match choice.get("type").and_then(Value::as_str) {
        Some("function") => {}
        Some(other) => return Err(invalid(&format!("tool_choice {other} is not supported"))),
        None => return Err(invalid("tool_choice.type is required")),
    }
    let name = choice
        .get("function")
        .and_then(|function| function.get("name"))
        .or_else(|| choice.get("name"))
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| invalid("tool_choice.function.name is required"))?;
    if !tools.iter().any(|tool| tool.name == name) {
        return Err(invalid(&format!("tool_choice requested unknown tool: {name}")));
    }
    Ok(ToolChoice::Named(name.to_owned()))
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().trim_start().starts_with('{')
}

fn as_object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    if !is_object(raw) {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}
