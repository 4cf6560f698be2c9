//! `tools` and `tool_choice`, in the flat form of this API and the nested one of chat completions.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::domain::Fault;
use crate::domain::model::{ToolChoice, ToolSpec};
use crate::models::client::contract::{check_depth, is_longer, value};
use crate::models::client::param_fault;

/// Most tools of one request.
const MAX_TOOLS: usize = 1_024;

/// Tools on offer, and how the response shows them.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) tools: Arc<[ToolSpec]>,
    pub(super) choice: ToolChoice,
    pub(super) shown_tools: Box<RawValue>,
    pub(super) shown_choice: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tool<'a> {
    r#type: Value,
    name: Value,
    description: Value,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Value,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
}

pub(super) fn read_tools(tools: Option<&RawValue>, choice: Option<&RawValue>) -> Result<Offered, Fault> {
    let list: Vec<&RawValue> = match tools {
        None => Vec::new(),
        Some(raw) if is_longer(raw, MAX_TOOLS) => {
            return Err(param_fault(
                "tools",
                format!("`tools` holds more than {MAX_TOOLS} tools."),
            ));
        }
        Some(raw) => {
            serde_json::from_str(raw.get()).map_err(|_| param_fault("tools", "tools: Invalid input: expected array"))?
        }
    };
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(list.len());
    for (index, raw) in list.into_iter().enumerate() {
        check_depth("tools", raw)?;
        let spec = read_tool(raw, index)?;
        if specs.iter().any(|known| known.name == spec.name) {
            return Err(invalid_configuration("tools"));
        }
        specs.push(spec);
    }
    let shown_tools = raw_json(&specs.iter().map(shown).collect::<Vec<_>>())?;
    let chosen = match choice {
        None => json!("auto"),
        Some(raw) => value("tool_choice", raw)?,
    };
    let (choice, shown_choice) = read_choice(&chosen, &mut specs)?;
    Ok(Offered {
        tools: specs.into(),
        choice,
        shown_tools,
        shown_choice: raw_json(&shown_choice)?,
    })
}

fn raw_json(value: &impl serde::Serialize) -> Result<Box<RawValue>, Fault> {
    to_raw_value(value).map_err(|error| param_fault("tools", format!("tools: Invalid input: {error}")))
}

fn invalid_configuration(param: &str) -> Fault {
    param_fault(param, "invalid tool configuration")
}

fn read_tool(raw: &RawValue, index: usize) -> Result<ToolSpec, Fault> {
    let at = |field: &str| format!("tools.{index}{field}");
    let wrong = |field: &str, expected: &str| {
        param_fault(&at(field), format!("{}: Invalid input: expected {expected}", at(field)))
    };
    let tool: Tool<'_> = serde_json::from_str(raw.get()).map_err(|_| wrong("", "object"))?;
    if tool.r#type.as_str() != Some("function") {
        return Err(wrong(".type", "\"function\""));
    }
    // The nested form has everything but the type one level down.
    let nested: Option<Tool<'_>> = tool
        .function
        .map(|raw| serde_json::from_str(raw.get()).map_err(|_| wrong(".function", "object")))
        .transpose()?;
    let tool = nested.as_ref().unwrap_or(&tool);
    let name = tool
        .name
        .as_str()
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| wrong(".name", "string, received undefined"))?;
    let parameters = match tool.parameters {
        None => None,
        Some(raw) if raw.get().trim_start().starts_with('{') => Some(raw.to_owned()),
        Some(_) => return Err(wrong(".parameters", "object")),
    };
    let description = match &tool.description {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        _ => return Err(wrong(".description", "string")),
    };
    let strict = match tool.strict {
        Value::Null => None,
        Value::Bool(strict) => Some(strict),
        _ => return Err(wrong(".strict", "boolean")),
    };
    Ok(ToolSpec {
        name: name.to_owned(),
        description,
        parameters,
        strict,
    })
}

fn shown(spec: &ToolSpec) -> impl serde::Serialize + use<'_> {
    #[derive(serde::Serialize)]
    struct Shown<'a> {
        r#type: &'static str,
        name: &'a str,
        description: Option<&'a str>,
        parameters: Option<&'a RawValue>,
        strict: Option<bool>,
    }
    Shown {
        r#type: "function",
        name: &spec.name,
        description: spec.description.as_deref(),
        parameters: spec.parameters.as_deref(),
        strict: spec.strict,
    }
}

/// The choice in domain terms and as it is shown. `allowed_tools` takes everything else off the list, so that the model
/// cannot call what is not allowed.
fn read_choice(choice: &Value, specs: &mut Vec<ToolSpec>) -> Result<(ToolChoice, Value), Fault> {
    let invalid = || param_fault("tool_choice", "tool_choice: Invalid input");
    if let Some(word) = choice.as_str() {
        let read = word_choice(word, specs).ok_or_else(invalid)?;
        return Ok((read?, json!(word)));
    }
    match choice.get("type").and_then(Value::as_str).ok_or_else(invalid)? {
        "function" => {
            let name = name_of(choice).ok_or_else(invalid)?;
            if !specs.iter().any(|spec| spec.name == name) {
                return Err(invalid_configuration("tool_choice"));
            }
            Ok((
                ToolChoice::Named(name.to_owned()),
                json!({"type": "function", "name": name}),
            ))
        }
        "allowed_tools" => {
            let choice = choice.get("allowed_tools").unwrap_or(choice);
            let listed = choice.get("tools").and_then(Value::as_array).ok_or_else(invalid)?;
            let names: Vec<&str> = listed
                .iter()
                .map(|tool| name_of(tool).ok_or_else(invalid))
                .collect::<Result<_, _>>()?;
            if names.is_empty() || !names.iter().all(|name| specs.iter().any(|spec| spec.name == *name)) {
                return Err(invalid_configuration("tool_choice"));
            }
            let mode = match choice.get("mode") {
                None | Some(Value::Null) => "auto",
                Some(mode) => mode.as_str().ok_or_else(invalid)?,
            };
            specs.retain(|spec| names.contains(&spec.name.as_str()));
            let read = word_choice(mode, specs).ok_or_else(invalid)??;
            let tools: Vec<Value> = names
                .iter()
                .map(|name| json!({"type": "function", "name": name}))
                .collect();
            Ok((read, json!({"type": "allowed_tools", "mode": mode, "tools": tools})))
        }
        _ => Err(invalid()),
    }
}

fn word_choice(word: &str, specs: &[ToolSpec]) -> Option<Result<ToolChoice, Fault>> {
    match word {
        "auto" => Some(Ok(ToolChoice::Auto)),
        "none" => Some(Ok(ToolChoice::None)),
        "required" if specs.is_empty() => Some(Err(invalid_configuration("tool_choice"))),
        "required" => Some(Ok(ToolChoice::Required)),
        _ => None,
    }
}

/// The name in the flat or the nested form.
fn name_of(tool: &Value) -> Option<&str> {
    tool.get("name")
        .or_else(|| tool.get("function")?.get("name"))?
        .as_str()
        .filter(|name| !name.is_empty())
}
