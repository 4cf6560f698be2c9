//! The fields of `POST /v1/chat/completions`.

use super::contract::{Becomes, Field, Takes};

use Becomes::{Accepted, PassedOn, Refused, Supported};
use Takes::{Between, Flag, Labels, List, Number, Object, Positive, Text, TextOrObject, Texts, UpTo};

const fn field(name: &'static str, takes: Takes, becomes: Becomes, sample: &'static str, note: &'static str) -> Field {
    Field {
        name,
        takes,
        becomes,
        sample,
        note,
    }
}

const TEXT_ONLY: &str = "answers are text; leave it out.";

/// Every field that the OpenAI API documents for this endpoint, and what common clients send beside them.
pub const CHAT: &[Field] = &[
    field(
        "audio",
        Object,
        Refused(TEXT_ONLY),
        r#"{"voice":"alloy","format":"mp3"}"#,
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
        "function_call",
        TextOrObject,
        Supported,
        r#""auto""#,
        "`auto`, `none`, `{name}`; the older form of `tool_choice`",
    ),
    field(
        "functions",
        List,
        Supported,
        r#"[{"name":"f"}]"#,
        "the older form of `tools`: the answer has `function_call`; not beside `tools`",
    ),
    field("logit_bias", Object, PassedOn, r#"{"50256":-1}"#, ""),
    field("logprobs", Flag, PassedOn, "true", "the provider's are in the answer"),
    field("max_completion_tokens", Positive, PassedOn, "100", "above 0"),
    field("max_tokens", Positive, PassedOn, "100", "above 0"),
    field(
        "messages",
        List,
        Supported,
        r#"[{"role":"user","content":"hi"}]"#,
        "1 to 16384; see below",
    ),
    field(
        "metadata",
        Labels(16),
        Accepted,
        r#"{"a":"b"}"#,
        "up to 16 strings; nothing is stored under it",
    ),
    field("modalities", List, Supported, r#"["text"]"#, "only `[\"text\"]`"),
    field(
        "model",
        Text,
        Supported,
        r#""openclaw""#,
        "names an agent; absent: the default agent",
    ),
    field("n", Number, Supported, "1", "only 1"),
    field("parallel_tool_calls", Flag, Supported, "false", ""),
    field(
        "prediction",
        Object,
        PassedOn,
        r#"{"type":"content","content":"x"}"#,
        "",
    ),
    field(
        "presence_penalty",
        Between(-2.0, 2.0, "-2.0 and 2.0"),
        PassedOn,
        "0.5",
        "-2 to 2",
    ),
    field("prompt_cache_key", Text, PassedOn, r#""k""#, ""),
    field("prompt_cache_retention", Text, PassedOn, r#""24h""#, ""),
    field(
        "reasoning",
        Object,
        Supported,
        r#"{"effort":"low"}"#,
        "`effort` is `reasoning_effort`",
    ),
    field("reasoning_effort", Text, PassedOn, r#""low""#, ""),
    field(
        "response_format",
        Object,
        PassedOn,
        r#"{"type":"json_object"}"#,
        "`text`, `json_object`, `json_schema`",
    ),
    field("safety_identifier", Text, PassedOn, r#""u-1""#, ""),
    field("seed", Number, PassedOn, "7", ""),
    field("service_tier", Text, PassedOn, r#""auto""#, ""),
    field("stop", Texts(4), PassedOn, r#"["END"]"#, "up to 4"),
    field(
        "store",
        Flag,
        Supported,
        "false",
        "`false`: neither `user` nor a chat's id names a stored conversation; `true` is refused",
    ),
    field("stream", Flag, Supported, "false", ""),
    field(
        "stream_options",
        Object,
        Supported,
        r#"{"include_usage":true}"#,
        "`include_usage`",
    ),
    field("temperature", Between(0.0, 2.0, "0 and 2"), PassedOn, "0.2", "0 to 2"),
    field(
        "tool_choice",
        TextOrObject,
        Supported,
        r#""auto""#,
        "`auto`, `none`, `required`, a function",
    ),
    field(
        "tools",
        List,
        Supported,
        r#"[{"type":"function","function":{"name":"f"}}]"#,
        "functions only, up to 1024",
    ),
    field("top_logprobs", UpTo(20), PassedOn, "2", "0 to 20"),
    field("top_p", Between(0.0, 1.0, "0 and 1"), PassedOn, "0.9", "0 to 1"),
    field(
        "user",
        TextOrObject,
        Supported,
        r#""u-1""#,
        "a string names a stored conversation; an object is ignored",
    ),
    field("verbosity", Text, PassedOn, r#""low""#, ""),
    field(
        "web_search_options",
        Object,
        Refused("the gateway does not search the web for a request; leave it out."),
        "{}",
        "",
    ),
];
