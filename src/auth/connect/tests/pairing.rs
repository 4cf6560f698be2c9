use super::*;
use crate::domain::event::EventName;
use crate::domain::{AuthMethod, Scope};
use crate::wire::error::ErrorCode;

const READ: &[&str] = &["operator.read"];

fn laptop(scopes: &[&str]) -> Call {
    call(CLI).said("displayName", "Laptop").scopes(scopes).device(7)
}

async fn reason(bench: &Bench, call: &Call) -> String {
    detail(&bench.refused(call).await, "reason")
}

#[tokio::test]
async fn the_proof_of_a_device_is_checked_in_order() {
    type Case<'a> = (fn(&mut ConnectParams), &'a str, &'a str, &'a str);
    let bench = Bench::new().await;
    let cases: Vec<Case<'_>> = vec![
        (
            |params| params.device.as_mut().unwrap().public_key = "abc".to_owned(),
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            "device-public-key",
            "device public key invalid",
        ),
        (
            |params| params.device.as_mut().unwrap().id = "abc".to_owned(),
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            "device-id-mismatch",
            "device identity mismatch",
        ),
        (
            |params| params.device.as_mut().unwrap().signed_at -= 120_001,
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
            "device signature expired",
        ),
        (
            |params| params.device.as_mut().unwrap().signed_at += 120_001,
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
            "device signature expired",
        ),
        (
            |params| params.device.as_mut().unwrap().signed_at = i64::MAX,
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
            "device signature expired",
        ),
        (
            |params| params.device.as_mut().unwrap().nonce = " ".to_owned(),
            "DEVICE_AUTH_NONCE_REQUIRED",
            "device-nonce-missing",
            "device nonce required",
        ),
        (
            |params| params.device.as_mut().unwrap().nonce = "other".to_owned(),
            "DEVICE_AUTH_NONCE_MISMATCH",
            "device-nonce-mismatch",
            "device nonce mismatch",
        ),
        (
            |params| params.device.as_mut().unwrap().signed_at -= 1,
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
            "device signature invalid",
        ),
        (
            |params| params.scopes = Some(vec!["operator.admin".to_owned()]),
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
            "device signature invalid",
        ),
        (
            |params| params.auth.as_mut().unwrap().token = Some("right ".to_owned()),
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
            "device signature invalid",
        ),
    ];
    for (edit, code, reason, message) in cases {
        let refusal = bench.refused(&laptop(READ).edited(edit)).await;
        assert_eq!(detail(&refusal, "code"), code);
        assert_eq!(detail(&refusal, "reason"), reason);
        assert_eq!(
            (refusal.error.message.as_str(), refusal.close_reason.as_str()),
            (message, message)
        );
    }
    assert!(bench.authenticator.devices().find(&id(7)).is_none());
}

#[tokio::test]
async fn a_key_cannot_speak_for_another_device() {
    let bench = Bench::new().await;
    bench.granted(&laptop(READ)).await;
    let stolen: [fn(&mut ConnectParams); 2] = [
        |params| params.device.as_mut().unwrap().id = id(7),
        |params| {
            let device = params.device.as_mut().unwrap();
            device.id = id(7);
            device.public_key = DeviceKey::from_seed(&[7; 32]).public_key();
        },
    ];
    for edit in stolen {
        bench.refused(&laptop(READ).device(8).edited(edit)).await;
    }
}

#[tokio::test]
async fn a_local_device_is_paired_silently_and_gets_the_same_token_again() {
    let bench = Bench::new().await;
    let first = bench.granted(&call(CLI).device(1)).await;
    let sorted = [
        "operator.admin",
        "operator.approvals",
        "operator.pairing",
        "operator.read",
        "operator.write",
    ];
    assert_eq!(first.hello_scopes, sorted);
    assert_eq!(first.events.len(), 1);
    assert_eq!(first.events[0].name, EventName::DevicePairResolved);
    assert!(first.events[0].payload.get().contains("\"decision\":\"approved\""));
    let issued = first.device_token.unwrap();
    assert_eq!((issued.token.len(), issued.issued_at_ms), (43, NOW));
    assert!(first.by_settings);

    // The token in its own field, in the token's field, beside a wrong token, and the shared token again.
    for auth in [
        json!({ "deviceToken": issued.token }),
        json!({ "token": issued.token }),
        json!({ "token": "wrong", "deviceToken": issued.token }),
        json!({ "token": "right" }),
    ] {
        let again = bench.granted(&call(CLI).device(1).auth(auth.clone())).await;
        assert_eq!(again.device_token.as_ref().unwrap().token, issued.token, "{auth}");
        assert!(again.events.is_empty());
        let by_device = auth["token"] != "right";
        assert_eq!(again.principal.method == AuthMethod::DeviceToken, by_device);
        assert_eq!(again.by_settings, !by_device);
    }
    let refusal = bench
        .refused(&call(CLI).device(1).auth(json!({ "deviceToken": "nope" })))
        .await;
    assert_eq!(
        refusal.error.details,
        Some(json!({
            "code": "AUTH_DEVICE_TOKEN_MISMATCH", "authReason": "device_token_mismatch",
            "canRetryWithDeviceToken": false, "recommendedNextStep": "update_auth_credentials",
        }))
    );
    let bootstrap = call(CLI).device(1).auth(json!({ "bootstrapToken": "x" }));
    assert_eq!(bench.code(&bootstrap).await, "AUTH_BOOTSTRAP_TOKEN_INVALID");
}

#[tokio::test]
async fn a_caller_gets_the_scopes_it_asked_for_whatever_its_token_could_do() {
    let bench = Bench::new().await;
    bench.granted(&call(CLI).device(1)).await;
    let old = bench.granted(&call(CLI).device(1).scopes(READ)).await;
    assert_eq!(old.hello_scopes.len(), 5);
    assert!(old.principal.may(Scope::Read) && !old.principal.may(Scope::Write));
    let new = bench.granted(&call(CLI).device(1).scopes(READ).protocol(4)).await;
    assert_eq!(new.hello_scopes, READ);
}

#[tokio::test]
async fn a_remote_device_waits_for_a_person_under_one_request() {
    let bench = Bench::new().await;
    let first = bench.refused(&laptop(READ).remote()).await;
    assert_eq!(first.error.code, ErrorCode::NotPaired);
    assert_eq!(first.error.message, "pairing required: device is not approved yet");
    let request = detail(&first, "requestId");
    assert_eq!(
        first.error.details,
        Some(json!({
            "code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": request,
            "remediationHint": "Approve this device from the pending pairing requests.", "deviceId": id(7),
            "requestedRole": "operator", "requestedScopes": ["operator.read"],
        }))
    );
    assert_eq!(
        first.close_reason,
        format!("pairing required: device is not approved yet (requestId: {request})")
    );
    assert_eq!(first.events[0].name, EventName::DevicePairRequested);
    let event: Value = serde_json::from_str(first.events[0].payload.get()).unwrap();
    assert_eq!(
        event,
        json!({
            "requestId": request, "deviceId": id(7), "publicKey": DeviceKey::from_seed(&[7; 32]).public_key(),
            "displayName": "Laptop", "platform": "linux", "clientId": "cli", "clientMode": "cli", "role": "operator",
            "roles": ["operator"], "scopes": ["operator.read"], "silent": false, "isRepair": false, "ts": NOW,
        })
    );
    let second = bench.refused(&laptop(READ).remote()).await;
    assert_eq!(detail(&second, "requestId"), request);
    assert!(second.events.is_empty());

    bench.approve(&laptop(READ).remote()).await;
    let grant = bench.granted(&laptop(READ).remote()).await;
    assert_eq!(grant.hello_scopes, READ);
    assert!(grant.device_token.is_some());
}

#[tokio::test]
async fn pairing_is_refused_with_the_reason_that_fits() {
    let bench = Bench::new().await;
    bench.approve(&laptop(READ).remote()).await;
    let token = bench.granted(&laptop(READ).remote()).await.device_token.unwrap().token;

    let wider = bench.refused(&laptop(&["operator.admin"]).remote()).await;
    assert_eq!(detail(&wider, "reason"), "scope-upgrade");
    let details = wider.error.details.unwrap();
    assert_eq!(details["approvedRoles"], json!(["operator"]));
    assert_eq!(details["approvedScopes"], json!(["operator.read"]));
    assert_eq!(wider.close_reason.len(), 120);

    let with_token = laptop(&["operator.admin"])
        .remote()
        .auth(json!({ "deviceToken": token }));
    assert_eq!(bench.code(&with_token).await, "AUTH_DEVICE_TOKEN_MISMATCH");
    let other = laptop(READ).remote().device(8).auth(json!({ "deviceToken": token }));
    assert_eq!(bench.code(&other).await, "AUTH_DEVICE_TOKEN_MISMATCH");

    let as_node = call(NODE).device(7).remote();
    let refusal = bench.refused(&as_node).await;
    assert_eq!(detail(&refusal, "reason"), "role-upgrade");
    assert_eq!(
        refusal.error.message,
        "pairing required: device is asking for a higher role than currently approved"
    );
    assert_eq!(
        reason(&bench, &laptop(READ).said("platform", "darwin").remote()).await,
        "metadata-upgrade"
    );
    assert_eq!(
        reason(&bench, &laptop(READ).said("platform", "darwin")).await,
        "metadata-upgrade"
    );
    assert_eq!(
        bench
            .granted(&laptop(READ).said("platform", " LINUX").remote())
            .await
            .hello_scopes,
        READ
    );
}

#[tokio::test]
async fn after_a_revocation_a_remote_device_needs_a_person() {
    let bench = Bench::new().await;
    let node = call(NODE).device(9).remote();
    bench.approve(&node).await;
    let token = bench.granted(&node).await.device_token.unwrap().token;
    let admin = bench.granted(&call(BACKEND)).await.principal;
    let devices = bench.authenticator.devices();
    devices.revoke(&admin, &id(9), "node", NOW).await.unwrap();
    for auth in [
        json!({ "deviceToken": token }),
        json!({ "token": token }),
        json!({ "token": "right" }),
        json!({ "token": "right", "deviceToken": token }),
    ] {
        bench.refused(&node.clone().auth(auth)).await;
    }
    assert_eq!(reason(&bench, &node).await, "role-upgrade");
}

#[tokio::test]
async fn the_local_command_line_widens_its_scopes_but_not_from_nothing() {
    let bench = Bench::new().await;
    bench.granted(&laptop(READ)).await;
    let grant = bench.granted(&laptop(&["operator.pairing"])).await;
    assert!(grant.principal.may(Scope::Pairing));
    assert_eq!(grant.hello_scopes, ["operator.pairing", "operator.read"]);

    let token = grant.device_token.unwrap().token;
    let by_token = laptop(&["operator.admin"]).auth(json!({ "deviceToken": token }));
    assert_eq!(bench.code(&by_token).await, "AUTH_DEVICE_TOKEN_MISMATCH");
    for other in [
        laptop(&["operator.admin"]).remote(),
        laptop(&["operator.admin"]).header(OWN_PAGE),
    ] {
        assert_eq!(reason(&bench, &other).await, "scope-upgrade");
    }
    let program = call(TEST).device(3);
    bench.granted(&program.clone().scopes(READ)).await;
    assert_eq!(reason(&bench, &program).await, "scope-upgrade");

    bench.granted(&call(CLI).device(4).scopes(&[])).await;
    assert_eq!(reason(&bench, &call(CLI).device(4)).await, "scope-upgrade");
}

#[tokio::test]
async fn a_local_device_takes_up_a_second_role_with_its_scopes() {
    let bench = Bench::new().await;
    bench.granted(&call(NODE).device(5)).await;
    let grant = bench.granted(&call(CLI).device(5)).await;
    assert!(grant.principal.may(Scope::Admin));
    let admin = grant.principal;
    bench
        .authenticator
        .devices()
        .revoke(&admin, &id(5), "operator", NOW)
        .await
        .unwrap();
    let back = bench.granted(&call(CLI).device(5).scopes(READ)).await;
    assert_eq!(
        back.hello_scopes, READ,
        "what was taken away does not come back by itself"
    );
}

#[tokio::test]
async fn pages_pair_silently_only_as_control_ui() {
    let bench = Bench::new().await;
    let ui = call(CONTROL_UI).header(OWN_PAGE).device(1);
    assert!(bench.granted(&ui).await.device_token.is_some());
    assert_eq!(
        reason(&bench, &call(TEST).header(OWN_PAGE).device(2)).await,
        "not-paired"
    );
}

#[tokio::test]
async fn a_browser_beside_the_container_counts_as_local() {
    let auth = ResolvedAuth {
        allowed_origins: vec!["http://localhost:18789".to_owned()],
        ..settings()
    };
    let bench = Bench::with(auth).await;
    let ui = call(CONTROL_UI)
        .device(1)
        .peer("172.17.0.1")
        .header(("origin", "http://localhost:18789"));
    let local = ui.clone().header(("host", "localhost:18789"));
    assert_eq!(
        reason(&bench, &ui.clone().header(("host", "gw.example"))).await,
        "not-paired"
    );
    assert_eq!(reason(&bench, &local.clone().peer("203.0.113.1")).await, "not-paired");
    assert_eq!(reason(&bench, &local.clone().remote()).await, "not-paired");
    assert!(bench.granted(&local).await.device_token.is_some());
}

#[tokio::test]
async fn native_apps_on_this_machine_may_change_their_platform() {
    let bench = Bench::new().await;
    let app = call(("openclaw-macos", "ui")).device(1);
    bench.granted(&app).await;
    bench.granted(&app.clone().said("platform", "macOS 27")).await;
    assert_eq!(
        reason(&bench, &app.said("platform", "macOS 28").remote()).await,
        "metadata-upgrade"
    );
}

#[tokio::test]
async fn a_local_backend_needs_no_pairing() {
    let bench = Bench::new().await;
    let grant = bench.granted(&call(BACKEND).device(1)).await;
    assert!(grant.device_token.is_none() && grant.pairing.is_none());
    assert!(grant.principal.may(Scope::Admin));
    assert!(bench.authenticator.devices().find(&id(1)).is_none());
    assert_eq!(reason(&bench, &call(BACKEND).device(1).remote()).await, "not-paired");
}

#[tokio::test]
async fn without_authentication_local_devices_pair_and_the_control_ui_need_not() {
    let auth = ResolvedAuth {
        mode: crate::config::AuthMode::None,
        token: None,
        ..settings()
    };
    let bench = Bench::with(auth).await;
    let none = json!({});
    let grant = bench.granted(&call(CLI).auth(none.clone()).device(1)).await;
    assert!(
        grant.device_token.is_some() && grant.by_settings,
        "it came in because everybody does"
    );
    let ui = call(CONTROL_UI).auth(none.clone()).header(OWN_PAGE).device(2);
    let grant = bench.granted(&ui).await;
    assert!(grant.device_token.is_none() && grant.principal.may(Scope::Admin));
    assert_eq!(grant.hello_scopes, FULL);
    assert_eq!(
        reason(&bench, &call(CLI).auth(none).device(3).remote()).await,
        "not-paired"
    );
}

#[tokio::test]
async fn a_grant_knows_when_its_pairing_is_gone() {
    let bench = Bench::new().await;
    let grant = bench.granted(&laptop(READ)).await;
    let mark = grant.pairing.unwrap();
    assert!(bench.authenticator.still_paired(&mark));
    let admin = bench.granted(&call(BACKEND)).await.principal;
    let devices = bench.authenticator.devices();
    devices.rotate(&admin, &id(7), "operator", None, NOW).await.unwrap();
    assert!(!bench.authenticator.still_paired(&mark));
    let mark = bench.granted(&laptop(READ)).await.pairing.unwrap();
    devices.remove(&admin, &id(7)).await.unwrap();
    assert!(!bench.authenticator.still_paired(&mark));
}

#[tokio::test]
async fn requests_are_renewed_after_their_time() {
    let bench = Bench::new().await;
    let first = detail(&bench.refused(&laptop(READ).remote()).await, "requestId");
    bench.clock.set(NOW + 100_000);
    assert_eq!(detail(&bench.refused(&laptop(READ).remote()).await, "requestId"), first);
    let admin = bench.granted(&call(BACKEND)).await.principal;
    let late = NOW + crate::auth::devices::PENDING_TTL_MS;
    assert!(
        bench
            .authenticator
            .devices()
            .approve(&admin, &first, late)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn scopes_that_no_role_has_do_not_change_the_token() {
    let bench = Bench::new().await;
    let odd = call(CLI).device(1).scopes(&["operator.read", "custom"]);
    let first = bench.granted(&odd).await.device_token.unwrap().token;
    let second = bench.granted(&odd).await;
    assert_eq!(second.device_token.unwrap().token, first);
    assert_eq!(second.principal.scopes.names(), ["operator.read", "custom"]);
}

#[tokio::test]
async fn a_node_never_holds_operator_scopes() {
    let bench = Bench::new().await;
    let grant = bench
        .granted(&call(NODE).device(1).scopes(&["operator.admin", "canvas"]))
        .await;
    assert_eq!(grant.principal.scopes.names(), ["canvas"]);
    let token = grant.device_token.unwrap().token;
    let again = call(NODE)
        .device(1)
        .scopes(&["operator.admin"])
        .auth(json!({ "deviceToken": token }));
    assert_eq!(bench.code(&again).await, "AUTH_DEVICE_TOKEN_MISMATCH");
}

#[tokio::test]
async fn a_declaration_narrows_what_is_granted_and_shown() {
    let bench = Bench::new().await;
    let narrow = call(CLI).device(1).header(("x-openclaw-scopes", "operator.write"));
    let grant = bench.granted(&narrow).await;
    assert_eq!(grant.hello_scopes, ["operator.read", "operator.write"]);
    assert_eq!(grant.principal.scopes.names(), ["operator.read", "operator.write"]);
}
