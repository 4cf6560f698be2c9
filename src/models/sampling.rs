//! What becomes of every chat-completions parameter in the dialects that have other ones. Pure.
//!
//! A parameter is sent under the dialect's own name, left out where it is advice that the dialect does not know, or
//! refused where leaving it out would change what the caller gets. `docs/providers.md` shows the same table; a test
//! keeps the two together. `openai-completions` sends everything as it came.

use serde_json::Value;

use super::failure::call_error;
use crate::domain::model::{CallError, CallErrorClass, Sampling};

/// A dialect with parameters of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `anthropic-messages`.
    Anthropic,
    /// `openai-responses`.
    Responses,
    /// `google-generative-ai`.
    Google,
    /// `ollama`.
    Ollama,
}

/// What a dialect does with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent, in this field.
    Sent(&'static str),
    /// Advice that the dialect does not know.
    LeftOut,
    /// The request fails and names the parameter.
    Refused,
}

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its chat-completions name.
    pub name: &'static str,
    anthropic: Fate,
    responses: Fate,
    google: Fate,
    ollama: Fate,
}

impl Row {
    /// What happens to it in one dialect.
    pub fn fate(&self, column: Column) -> Fate {
        match column {
            Column::Anthropic => self.anthropic,
            Column::Responses => self.responses,
            Column::Google => self.google,
            Column::Ollama => self.ollama,
        }
    }
}

const fn row(name: &'static str, anthropic: Fate, responses: Fate, google: Fate, ollama: Fate) -> Row {
    Row {
        name,
        anthropic,
        responses,
        google,
        ollama,
    }
}

use Fate::{LeftOut, Refused, Sent};

/// Every parameter that a caller can give.
pub const TABLE: [Row; 19] = [
    row(
        "max_tokens",
        Sent("max_tokens"),
        Sent("max_output_tokens"),
        Sent("generationConfig.maxOutputTokens"),
        Sent("options.num_predict"),
    ),
    row(
        "max_completion_tokens",
        Sent("max_tokens"),
        Sent("max_output_tokens"),
        Sent("generationConfig.maxOutputTokens"),
        Sent("options.num_predict"),
    ),
    row(
        "temperature",
        Sent("temperature"),
        Sent("temperature"),
        Sent("generationConfig.temperature"),
        Sent("options.temperature"),
    ),
    row(
        "top_p",
        Sent("top_p"),
        Sent("top_p"),
        Sent("generationConfig.topP"),
        Sent("options.top_p"),
    ),
    row(
        "frequency_penalty",
        LeftOut,
        LeftOut,
        Sent("generationConfig.frequencyPenalty"),
        Sent("options.frequency_penalty"),
    ),
    row(
        "presence_penalty",
        LeftOut,
        LeftOut,
        Sent("generationConfig.presencePenalty"),
        Sent("options.presence_penalty"),
    ),
    row(
        "seed",
        LeftOut,
        LeftOut,
        Sent("generationConfig.seed"),
        Sent("options.seed"),
    ),
    row(
        "stop",
        Sent("stop_sequences"),
        Refused,
        Sent("generationConfig.stopSequences"),
        Sent("options.stop"),
    ),
    row(
        "response_format",
        Sent("output_config.format"),
        Sent("text.format"),
        Sent("generationConfig.responseJsonSchema"),
        Sent("format"),
    ),
    row(
        "reasoning_effort",
        Sent("thinking"),
        Sent("reasoning"),
        Sent("generationConfig.thinkingConfig"),
        Sent("think"),
    ),
    row("logit_bias", Refused, Refused, Refused, Refused),
    row("logprobs", Refused, Refused, Refused, Refused),
    row("top_logprobs", Refused, Refused, Refused, Refused),
    row("verbosity", LeftOut, Sent("text.verbosity"), LeftOut, LeftOut),
    row("service_tier", LeftOut, Sent("service_tier"), LeftOut, LeftOut),
    row("prediction", LeftOut, LeftOut, LeftOut, LeftOut),
    row("prompt_cache_key", LeftOut, Sent("prompt_cache_key"), LeftOut, LeftOut),
    row(
        "prompt_cache_retention",
        LeftOut,
        Sent("prompt_cache_retention"),
        LeftOut,
        LeftOut,
    ),
    row(
        "safety_identifier",
        Sent("metadata.user_id"),
        Sent("safety_identifier"),
        LeftOut,
        LeftOut,
    ),
];

/// Fails on the first parameter that the dialect cannot honour, also on one that nobody has judged yet.
pub fn check(provider: &str, column: Column, sampling: &Sampling) -> Result<(), CallError> {
    for (name, value) in sampling {
        let fate = TABLE
            .iter()
            .find(|row| row.name == name)
            .map_or(Refused, |row| row.fate(column));
        if fate == Refused && !says_nothing(value) {
            return Err(refused(provider, name, "is not known to this provider's API"));
        }
    }
    Ok(())
}

/// The caller's parameter cannot be honoured. `why` follows its name.
pub fn refused(provider: &str, name: &str, why: &str) -> CallError {
    call_error(
        CallErrorClass::BadRequest,
        format!("`{name}` {why} (provider `{provider}`): leave it out, or use a model of a provider that supports it"),
    )
}

/// Values that ask for nothing.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

/// A parameter, unless it is `null`.
pub fn value<'a>(sampling: &'a Sampling, name: &str) -> Option<&'a Value> {
    sampling.get(name).filter(|value| !value.is_null())
}

/// The caller's limit of the answer, tokens.
pub fn limit(sampling: &Sampling) -> Option<u64> {
    let number = value(sampling, "max_completion_tokens").or_else(|| value(sampling, "max_tokens"))?;
    number.as_u64().or_else(|| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a limit beyond 2^53 tokens means no limit either way"
        )]
        number.as_f64().map(|number| number.max(1.0) as u64)
    })
}

/// The texts at which the answer ends.
pub fn stops(sampling: &Sampling) -> Vec<&str> {
    let mut stops: Vec<&str> = match sampling.get("stop") {
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    stops.retain(|text| !text.is_empty());
    stops
}

/// How much a model should reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    Off,
    /// Least.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// All it can.
    Max,
}

impl Effort {
    /// The caller's `reasoning_effort`; words that nobody knows ask for nothing.
    pub fn of(sampling: &Sampling) -> Option<Self> {
        Some(match value(sampling, "reasoning_effort")?.as_str()? {
            "none" | "off" => Self::Off,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" | "adaptive" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The same unless it is `Off`.
    pub fn on(self) -> Option<Self> {
        (self != Self::Off).then_some(self)
    }
}

/// The caller's `response_format`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format<'a> {
    /// Any text.
    Text,
    /// Some JSON object.
    Json,
    /// JSON of this schema.
    Schema {
        /// Its name.
        name: &'a str,
        /// The schema.
        schema: &'a Value,
        /// Whether it must be followed exactly.
        strict: Option<bool>,
    },
}

impl<'a> Format<'a> {
    /// Reads it; the shape was checked where the request came in.
    pub fn of(sampling: &'a Sampling) -> Self {
        let Some(format) = value(sampling, "response_format") else {
            return Self::Text;
        };
        match format.get("type").and_then(Value::as_str) {
            Some("json_object") => Self::Json,
            Some("json_schema") => format
                .pointer("/json_schema/schema")
                .map_or(Self::Json, |schema| Self::Schema {
                    name: format
                        .pointer("/json_schema/name")
                        .and_then(Value::as_str)
                        .unwrap_or("answer"),
                    schema,
                    strict: format.pointer("/json_schema/strict").and_then(Value::as_bool),
                }),
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::client::CHAT;
    use crate::models::client::contract::Becomes;

    const COLUMNS: [Column; 4] = [Column::Anthropic, Column::Responses, Column::Google, Column::Ollama];

    fn sampling(value: Value) -> Sampling {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_page_for_operators_shows_this_table() {
        let page = include_str!("../../docs/providers.md");
        for row in &TABLE {
            let cells: Vec<String> = COLUMNS
                .iter()
                .map(|column| match row.fate(*column) {
                    Sent(field) => format!("`{field}`"),
                    LeftOut => "left out".to_owned(),
                    Refused => "refused".to_owned(),
                })
                .collect();
            let line = format!("| `{}` | {} |", row.name, cells.join(" | "));
            assert!(page.contains(&line), "docs/providers.md lacks the line\n{line}");
        }
    }

    #[test]
    fn every_parameter_that_a_request_can_carry_was_judged() {
        let passed_on = CHAT.iter().filter(|field| field.becomes == Becomes::PassedOn);
        let mut names: Vec<&str> = passed_on.map(|field| field.name).collect();
        let mut judged: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        judged.sort_unstable();
        assert_eq!(judged, names);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name_and_what_asks_for_nothing_is_not() {
        for column in COLUMNS {
            let error = check("p", column, &sampling(json!({"logit_bias": {"50256": -100}}))).unwrap_err();
            assert_eq!(error.class, CallErrorClass::BadRequest);
            assert!(error.message.starts_with("`logit_bias` "), "{}", error.message);
            let idle = json!({"logit_bias": {}, "logprobs": false, "top_logprobs": 0, "stop": null, "verbosity": "low",
                "prompt_cache_key": "k", "seed": 7});
            assert!(check("p", column, &sampling(idle)).is_ok());
            assert!(check("p", column, &sampling(json!({"invented": 1}))).is_err());
        }
        assert!(check("p", Column::Responses, &sampling(json!({"stop": ["x"]}))).is_err());
        assert!(check("p", Column::Anthropic, &sampling(json!({"stop": ["x"]}))).is_ok());
    }

    #[test]
    fn the_readers_take_every_form() {
        let all = sampling(json!({"max_tokens": 5.0, "stop": ["a", ""], "reasoning_effort": "none",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}}));
        assert_eq!(limit(&all), Some(5));
        assert_eq!(stops(&all), ["a"]);
        assert_eq!(Effort::of(&all), Some(Effort::Off));
        assert!(matches!(
            Format::of(&all),
            Format::Schema {
                name: "n",
                strict: None,
                ..
            }
        ));
        let other = sampling(json!({"max_completion_tokens": 6, "max_tokens": 5, "stop": "b"}));
        assert_eq!((limit(&other), stops(&other)), (Some(6), vec!["b"]));
        assert_eq!((Effort::of(&other), Format::of(&other)), (None, Format::Text));
    }
}
