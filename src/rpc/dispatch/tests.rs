use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Access, Denied, WriteBudget, authorize, faults};
use crate::domain::{AuthMethod, Fault, FaultKind, Principal, Role, Scope, ScopeSet};
use crate::rpc::method::MethodFailure;

fn principal(role: Role, scopes: &[Scope]) -> Principal {
    Principal {
        role,
        scopes: ScopeSet::of(scopes),
        method: AuthMethod::Token,
        user: None,
        device: None,
        client_ip: IpAddr::from([127, 0, 0, 1]),
        local_direct: true,
    }
}

#[test]
fn role_is_checked_before_scope() {
    let node = principal(Role::Node, &[Scope::Admin]);
    let reader = principal(Role::Operator, &[Scope::Read]);
    assert_eq!(authorize(Access::Operator(Scope::Read), &node), Err(Denied::Role));
    assert_eq!(authorize(Access::Node, &node), Ok(()));
    assert_eq!(authorize(Access::Node, &reader), Err(Denied::Role));
    assert_eq!(authorize(Access::Anyone, &node), Ok(()));
    assert_eq!(authorize(Access::Operator(Scope::Read), &reader), Ok(()));
    assert_eq!(
        authorize(Access::Operator(Scope::Write), &reader),
        Err(Denied::Scope(Scope::Write))
    );
}

fn rendered(fault: Fault, protocol: u8) -> Value {
    let text = faults::render(&Value::from("1"), MethodFailure::from(fault), protocol);
    let frame: Value = serde_json::from_str(&text).unwrap();
    frame["error"].clone()
}

#[test]
fn a_missing_scope_reads_as_each_protocol_knows_it() {
    let fault = Fault::missing_scope("operator.read");
    assert_eq!(
        rendered(fault.clone(), 3),
        json!({ "code": "INVALID_REQUEST", "message": "missing scope: operator.read" })
    );
    assert_eq!(
        rendered(fault, 4),
        json!({
            "code": "FORBIDDEN",
            "message": "missing scope: operator.read",
            "details": { "code": "MISSING_SCOPE", "missingScope": "operator.read", "requiredScopes": ["operator.read"] },
        })
    );
}

#[test]
fn a_fault_that_passes_is_retryable() {
    let fault = Fault::new(FaultKind::Unavailable, "draining").with_retry_after(Duration::from_millis(1_500));
    assert_eq!(
        rendered(fault, 3),
        json!({ "code": "UNAVAILABLE", "message": "draining", "retryable": true, "retryAfterMs": 1_500 })
    );
}

#[tokio::test(start_paused = true)]
async fn three_successful_writes_a_minute_and_failures_do_not_count() {
    let budget = WriteBudget::default();
    let caller = principal(Role::Operator, &[Scope::Admin]);
    let take = || budget.take("config.patch", &caller, 3);
    for _ in 0..10 {
        drop(take().unwrap());
    }
    for _ in 0..3 {
        take().unwrap().unwrap().keep();
    }
    tokio::time::advance(Duration::from_millis(10_500)).await;
    let fault = take().unwrap_err();
    assert_eq!(fault.message, "rate limit exceeded for config.patch; retry after 50s");
    assert_eq!(
        fault.details,
        Some(json!({ "method": "config.patch", "limit": "3 per 60s" }))
    );
    assert!(budget.take("config.get", &caller, 3).unwrap().is_none());
    tokio::time::advance(Duration::from_secs(50)).await;
    assert!(take().is_ok());
}
