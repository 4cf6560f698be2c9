//! The fields of `POST /v1/responses` and of its compaction.

use crate::models::client::contract::{Becomes, Field, Takes};

use Becomes::{Accepted, PassedOn, Refused, Supported};
use Takes::{Between, Flag, Labels, List, Object, Positive, Text, TextOrList, TextOrObject, UpTo};

const fn field(name: &'static str, takes: Takes, becomes: Becomes, sample: &'static str, note: &'static str) -> Field {
    Field {
        name,
        takes,
        becomes,
        sample,
        note,
    }
}

/// Every field that the Open Responses specification and the OpenAI API document for this endpoint.
pub const RESPONSES: &[Field] = &[
    field(
        "background",
        Flag,
        Supported,
        "true",
        "needs `store`, excludes `stream`; poll the response",
    ),
    field(
        "context_management",
        List,
        Refused("compact with `POST /v1/responses/compact`."),
        r#"[{"type":"compaction"}]"#,
        "",
    ),
    field(
        "conversation",
        TextOrObject,
        Refused("continue with `previous_response_id`, or name the conversation with `user`."),
        r#""conv_1""#,
        "",
    ),
    field(
        "frequency_penalty",
        Between(-2.0, 2.0, "-2.0 and 2.0"),
        PassedOn,
        "0.5",
        "-2 to 2",
    ),
    field(
        "generate",
        Flag,
        Supported,
        "true",
        "`false` on a WebSocket: keep the input, do not answer yet",
    ),
    field(
        "include",
        List,
        Supported,
        r#"["reasoning.encrypted_content"]"#,
        "what answers here do not have is accepted; log probabilities are refused",
    ),
    field("input", TextOrList, Supported, r#""hi""#, "required; see below"),
    field(
        "instructions",
        Text,
        Supported,
        r#""Be brief.""#,
        "added to the agent's system prompt, for this response only",
    ),
    field(
        "max_output_tokens",
        Positive,
        Supported,
        "100",
        "goes to the provider as its token limit",
    ),
    field(
        "max_tool_calls",
        Positive,
        Supported,
        "3",
        "calls beyond it are ignored",
    ),
    field(
        "metadata",
        Labels(16),
        Supported,
        r#"{"a":"b"}"#,
        "up to 16 strings, kept with the response",
    ),
    field("model", Text, Supported, r#""openclaw""#, "required; names an agent"),
    field("parallel_tool_calls", Flag, Supported, "false", ""),
    field(
        "presence_penalty",
        Between(-2.0, 2.0, "-2.0 and 2.0"),
        PassedOn,
        "0.5",
        "-2 to 2",
    ),
    field(
        "previous_response_id",
        Text,
        Supported,
        r#""""#,
        "a stored response of the same caller and agent",
    ),
    field(
        "prompt",
        Object,
        Refused("send `instructions` and `input`."),
        r#"{"id":"pmpt_1"}"#,
        "",
    ),
    field("prompt_cache_key", Text, PassedOn, r#""k""#, ""),
    field("prompt_cache_retention", Text, PassedOn, r#""24h""#, ""),
    field(
        "reasoning",
        Object,
        Supported,
        r#"{"effort":"low","summary":"auto"}"#,
        "`effort` goes to the provider; what the provider shows of its reasoning is the summary, whichever was asked for",
    ),
    field("safety_identifier", Text, PassedOn, r#""s""#, ""),
    field("service_tier", Text, PassedOn, r#""auto""#, ""),
    field(
        "store",
        Flag,
        Supported,
        "false",
        "absent: true; `false`: nothing is kept, and `user` names no stored conversation",
    ),
    field("stream", Flag, Supported, "true", ""),
    field(
        "stream_options",
        Object,
        Accepted,
        r#"{"include_obfuscation":false}"#,
        "nothing is obfuscated",
    ),
    field("temperature", Between(0.0, 2.0, "0 and 2"), PassedOn, "0.5", "0 to 2"),
    field(
        "text",
        Object,
        Supported,
        r#"{"format":{"type":"text"}}"#,
        "`format` is the provider's `response_format`, `verbosity` is passed on",
    ),
    field(
        "tool_choice",
        TextOrObject,
        Supported,
        r#""auto""#,
        "`auto`, `none`, `required`, a function, `allowed_tools`",
    ),
    field(
        "tools",
        List,
        Supported,
        r#"[{"type":"function","name":"f"}]"#,
        "functions only, flat or nested",
    ),
    field("top_logprobs", UpTo(20), Supported, "0", "only 0"),
    field("top_p", Between(0.0, 1.0, "0 and 1"), PassedOn, "0.5", "0 to 1"),
    field(
        "truncation",
        Text,
        Accepted,
        r#""auto""#,
        "`auto` or `disabled`; the gateway shortens nothing that a request names",
    ),
    field(
        "user",
        TextOrObject,
        Supported,
        r#""u""#,
        "a string names a stored conversation; an object is ignored",
    ),
];

/// The fields of `POST /v1/responses/compact`.
pub const COMPACT: &[Field] = &[
    field(
        "input",
        TextOrList,
        Supported,
        r#""hi""#,
        "required without `previous_response_id`",
    ),
    field(
        "instructions",
        Text,
        Supported,
        r#""Keep names.""#,
        "what the summary should keep",
    ),
    field("model", Text, Supported, r#""openclaw""#, "required; names an agent"),
    field(
        "previous_response_id",
        Text,
        Supported,
        r#""""#,
        "the conversation that comes before `input`",
    ),
    field("prompt_cache_key", Text, PassedOn, r#""k""#, ""),
];
