//! The least scope that each method needs, so that a call never asks for more.
//!
//! The gateway decides; a method that nobody knows here (of a newer gateway) is asked for with the administrator's scope.

use crate::domain::{Access, Scope, access};

/// The one scope to ask for when only `method` is called.
pub fn least_scope(method: &str) -> &'static str {
    let scope = match access::of_protocol(method) {
        Some(Access::Operator(scope)) => scope,
        // Any operator may call these; nodes are refused whatever they ask for.
        Some(Access::Anyone | Access::Node) => Scope::Read,
        None => Scope::Admin,
    };
    scope.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_asks_for_what_the_protocol_says() {
        for (method, scope) in [
            ("health", "operator.read"),
            ("config.get", "operator.read"),
            ("config.patch", "operator.admin"),
            ("doctor.memory.backfillDreamDiary", "operator.write"),
            ("exec.approvals.get", "operator.admin"),
            ("exec.approval.list", "operator.approvals"),
            ("device.token.rotate", "operator.pairing"),
        ] {
            assert_eq!(least_scope(method), scope, "{method}");
        }
    }

    #[test]
    fn an_unknown_method_asks_for_the_administrators_scope() {
        assert_eq!(least_scope("no.such.method"), "operator.admin");
    }
}
