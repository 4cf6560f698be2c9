//! Methods whose schema grew after protocol 3: each session keeps the schema of its protocol.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::domain::Fault;
use crate::rpc::validation::Shape;
use crate::wire::params::Grown;

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Parses the params of `method` for a session of `protocol`.
pub(super) fn parse<P>(shape: &Shape<P>, method: &str, raw: &RawValue, protocol: u8) -> Result<P, Fault>
where
    P: Grown + DeserializeOwned + schemars::JsonSchema,
{
    if P::LATER.is_empty() && P::IGNORED.is_empty() {
        return shape.parse(method, raw);
    }
    // Not an object: the shape says so in the protocol's words.
    let Ok(mut members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
        return shape.parse(method, raw);
    };
    if protocol >= 4 {
        let before = members.len();
        members.retain(|name, _| !P::IGNORED.contains(&&**name));
        if members.len() == before {
            return shape.parse(method, raw);
        }
        let kept = serde_json::value::to_raw_value(&members).map_err(|error| Fault::invalid(error.to_string()))?;
        return shape.parse(method, &kept);
    }
    let later: Vec<String> = members
        .keys()
        .filter(|name| P::LATER.contains(&&***name))
        .map(|name| format!("at root: unexpected property '{name}'"))
        .collect();
    match shape.parse(method, raw) {
        parsed if later.is_empty() => parsed,
        Ok(_) => Err(Fault::invalid(format!("invalid {method} params: {}", later.join("; ")))),
        Err(fault) => Err(Fault::invalid(format!("{}; {}", fault.message, later.join("; ")))),
    }
}

/// A line of the method table whose params grew; `legacy` is the scope that protocol 3 asks for where protocol 4 decides
/// by the params.
macro_rules! grown_method {
    ($name:literal, $access:expr, listed: $listed:expr, $params:ty, $handler:path) => {
        $crate::rpc::methods::grown::grown_method!($name, $access, listed: $listed, legacy: None, $params, $handler)
    };
    ($name:literal, $access:expr, listed: $listed:expr, legacy: $legacy:expr, $params:ty, $handler:path) => {
        $crate::rpc::method::Method {
            name: $name,
            access: $access,
            listed: $listed,
            run: {
                fn run(
                    ctx: $crate::rpc::method::RequestCtx,
                    raw: ::std::boxed::Box<::serde_json::value::RawValue>,
                ) -> $crate::rpc::method::MethodFuture {
                    static SHAPE: ::std::sync::LazyLock<$crate::rpc::validation::Shape<$params>> =
                        ::std::sync::LazyLock::new($crate::rpc::validation::Shape::new);
                    ::std::boxed::Box::pin(async move {
                        let protocol = ctx.conn.protocol;
                        let legacy: ::std::option::Option<$crate::domain::Scope> = $legacy;
                        if let Some(scope) = legacy.filter(|scope| protocol < 4 && !ctx.principal.may(*scope)) {
                            return Err($crate::domain::Fault::missing_scope(scope.as_str()).into());
                        }
                        let params: $params = $crate::rpc::methods::grown::parse(&SHAPE, $name, &raw, protocol)?;
                        $handler(ctx, params).await
                    })
                }
                run
            },
        }
    };
}
pub(super) use grown_method;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::params::chat::{ChatHistory, ChatSend};
    use crate::wire::params::sessions::{SessionsList, SessionsPatch};

    fn parsed<P>(method: &str, json: &str, protocol: u8) -> Result<P, String>
    where
        P: Grown + DeserializeOwned + schemars::JsonSchema,
    {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        parse(&Shape::<P>::new(), method, &raw, protocol).map_err(|fault| fault.message)
    }

    #[test]
    fn chat_send_is_refused_in_the_documented_words() {
        let error = |json: &str| parsed::<ChatSend>("chat.send", json, 3).unwrap_err();
        assert_eq!(
            error("{}"),
            "invalid chat.send params: must have required property 'sessionKey'; must have required property \
             'message'; must have required property 'idempotencyKey'"
        );
        let long = format!(
            r#"{{"sessionKey":"{}","message":"x","idempotencyKey":"v2"}}"#,
            "k".repeat(513)
        );
        assert_eq!(
            error(&long),
            "invalid chat.send params: at /sessionKey: must NOT have more than 512 characters"
        );
        assert_eq!(
            error(r#"{"sessionKey":"main","message":"x","idempotencyKey":"v3","zzz":1}"#),
            "invalid chat.send params: at root: unexpected property 'zzz'"
        );
    }

    #[test]
    fn keys_of_protocol_4_are_accepted_there_and_refused_in_protocol_3() {
        let json =
            r#"{"sessionKey":"main","message":"x","idempotencyKey":"k","agentId":"ops","expectedLeafEntryId":null}"#;
        let params = parsed::<ChatSend>("chat.send", json, 4).unwrap();
        assert_eq!(params.agent_id.as_deref(), Some("ops"));
        let error = parsed::<ChatSend>("chat.send", json, 3).unwrap_err();
        assert_eq!(
            error,
            "invalid chat.send params: at root: unexpected property 'expectedLeafEntryId'; \
             at root: unexpected property 'agentId'"
        );
        let error = parsed::<ChatHistory>("chat.history", r#"{"sessionKey":"main","offset":1}"#, 3).unwrap_err();
        assert_eq!(
            error,
            "invalid chat.history params: at root: unexpected property 'offset'"
        );
    }

    #[test]
    fn the_list_call_of_the_newest_control_ui_is_accepted() {
        let json = r#"{"includeGlobal":true,"includeUnknown":true,"configuredAgentsOnly":true,"limit":10000,
            "includeDerivedTitles":true,"includeLastMessage":true,"ownerFirst":true,"agentId":"main"}"#;
        assert_eq!(
            parsed::<SessionsList>("sessions.list", json, 4).unwrap().limit,
            Some(10_000)
        );
        assert!(parsed::<SessionsList>("sessions.list", r#"{"limit":0}"#, 4).is_err());
    }

    #[test]
    fn a_patch_tells_absent_from_null_and_stores_what_was_sent() {
        let json = r#"{"key":"main","label":null,"thinkingLevel":"low","responseUsage":"full"}"#;
        let params = parsed::<SessionsPatch>("sessions.patch", json, 3).unwrap();
        assert_eq!(
            serde_json::to_string(&params).unwrap(),
            r#"{"label":null,"thinkingLevel":"low","responseUsage":"full"}"#
        );
        let error = parsed::<SessionsPatch>("sessions.patch", r#"{"foo":1}"#, 3).unwrap_err();
        assert_eq!(
            error,
            "invalid sessions.patch params: must have required property 'key'; at root: unexpected property 'foo'"
        );
    }
}
