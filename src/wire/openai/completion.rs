//! The chat completion object.

use serde::Serialize;
use serde_json::value::RawValue;

/// `chat.completion`. Keys are written in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Completion<'a> {
    /// `chatcmpl_<uuid>`.
    pub id: &'a str,
    object: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// The `model` of the request, verbatim.
    pub model: &'a str,
    /// Always one.
    pub choices: [Choice<'a>; 1],
    /// What it cost.
    pub usage: Usage,
}

/// The one choice.
#[derive(Debug, Clone, Serialize)]
pub struct Choice<'a> {
    index: u32,
    /// The answer.
    pub message: AssistantMessage<'a>,
    /// Absent if nobody asked for them or the provider gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<&'a RawValue>,
    /// `stop`, `length`, `tool_calls`, `function_call` or `content_filter`.
    pub finish_reason: &'a str,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssistantMessage<'a> {
    role: &'static str,
    /// Text, possibly empty beside tool calls.
    pub content: &'a str,
    /// Absent if the model did not think aloud. Not of OpenAI; under the name that clients of open models read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
    /// Absent if the model called no tool of the client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall<'a>>,
    /// The only call, in the form that was before tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCall<'a>>,
}

/// A call of a client tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolCall<'a> {
    /// The id that the result must name.
    pub id: &'a str,
    r#type: &'static str,
    /// What is called.
    pub function: FunctionCall<'a>,
}

/// `function` of a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionCall<'a> {
    /// Tool name.
    pub name: &'a str,
    /// JSON text of the arguments.
    pub arguments: &'a str,
}

/// `usage`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// All prompt tokens, cached ones included.
    pub prompt_tokens: u64,
    /// All completion tokens, reasoning included.
    pub completion_tokens: u64,
    /// The sum.
    pub total_tokens: u64,
    /// Parts of the prompt tokens.
    pub prompt_tokens_details: PromptTokensDetails,
    /// Parts of the completion tokens.
    pub completion_tokens_details: CompletionTokensDetails,
}

/// `usage.prompt_tokens_details`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PromptTokensDetails {
    /// Read from the provider's cache.
    pub cached_tokens: u64,
}

/// `usage.completion_tokens_details`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CompletionTokensDetails {
    /// Spent on reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Usage from its counts; `cached` is part of `prompt`, `reasoning` of `completion`.
    pub fn new(prompt: u64, cached: u64, completion: u64, reasoning: u64) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: PromptTokensDetails { cached_tokens: cached },
            completion_tokens_details: CompletionTokensDetails {
                reasoning_tokens: reasoning,
            },
        }
    }
}

impl<'a> ToolCall<'a> {
    /// A call of the function `name`.
    pub fn new(id: &'a str, name: &'a str, arguments: &'a str) -> Self {
        Self {
            id,
            r#type: "function",
            function: FunctionCall { name, arguments },
        }
    }
}

impl<'a> Completion<'a> {
    /// A completion with one choice.
    pub fn new(
        id: &'a str,
        created: i64,
        model: &'a str,
        content: &'a str,
        tool_calls: Vec<ToolCall<'a>>,
        finish_reason: &'a str,
        usage: Usage,
    ) -> Self {
        Self {
            id,
            object: "chat.completion",
            created,
            model,
            choices: [Choice {
                index: 0,
                message: AssistantMessage {
                    role: "assistant",
                    content,
                    reasoning_content: None,
                    tool_calls,
                    function_call: None,
                },
                logprobs: None,
                finish_reason,
            }],
            usage,
        }
    }

    /// The same with its first call in the older form.
    #[must_use]
    pub fn with_function_call(mut self) -> Self {
        let [choice] = &mut self.choices;
        if let Some(call) = std::mem::take(&mut choice.message.tool_calls).into_iter().next() {
            choice.message.function_call = Some(call.function);
            choice.finish_reason = older_reason(choice.finish_reason);
        }
        self
    }

    /// The same with log probabilities.
    #[must_use]
    pub fn with_logprobs(mut self, logprobs: Option<&'a RawValue>) -> Self {
        let [choice] = &mut self.choices;
        choice.logprobs = logprobs;
        self
    }

    /// The same with what the model thought, if it said so.
    #[must_use]
    pub fn with_reasoning(mut self, reasoning: &'a str) -> Self {
        let [choice] = &mut self.choices;
        choice.message.reasoning_content = (!reasoning.is_empty()).then_some(reasoning);
        self
    }
}

/// The reason for the end in the form that was before tools.
pub fn older_reason(reason: &str) -> &str {
    if reason == "tool_calls" {
        "function_call"
    } else {
        reason
    }
}

/// A fresh id for a completion or the chunks of one stream.
pub fn completion_id() -> String {
    format!("chatcmpl_{}", uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_documented_order() {
        let done = Completion::new(
            "chatcmpl_1",
            7,
            "openclaw",
            "Hi",
            Vec::new(),
            "stop",
            Usage::new(111, 11, 7, 2),
        );
        assert_eq!(
            serde_json::to_string(&done).unwrap(),
            concat!(
                r#"{"id":"chatcmpl_1","object":"chat.completion","created":7,"model":"openclaw","#,
                r#""choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"#,
                r#""usage":{"prompt_tokens":111,"completion_tokens":7,"total_tokens":118,"#,
                r#""prompt_tokens_details":{"cached_tokens":11},"completion_tokens_details":{"reasoning_tokens":2}}}"#
            )
        );
    }

    #[test]
    fn tool_calls_follow_the_content() {
        let calls = vec![ToolCall::new("c1", "get_weather", r#"{"city":"Paris"}"#)];
        let done = Completion::new("chatcmpl_1", 7, "openclaw", "", calls, "tool_calls", Usage::default());
        let text = serde_json::to_string(&done).unwrap();
        assert!(text.contains(concat!(
            r#""message":{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","#,
            r#""function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"finish_reason":"tool_calls""#
        )));
    }
}
