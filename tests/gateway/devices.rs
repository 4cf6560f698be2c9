//! Pairing and device tokens as devices and operators meet them over the WebSocket.

use openclaw::wire::device::{DeviceKey, DevicePayload};
use serde_json::{Value, json};

use crate::support::gateway::{TOKEN, TestGateway, config, with};
use crate::support::ws::{WsClient, connect_params};

/// Makes a connection one from elsewhere, which no device is let in from without a person.
const REMOTE: &[(&str, &str)] = &[("x-forwarded-for", "203.0.113.9")];

struct Device(DeviceKey);

impl Device {
    fn new(seed: u8) -> Self {
        Self(DeviceKey::from_seed(&[seed; 32]))
    }

    /// Connects with these credentials (`token` or `deviceToken`); returns the answer too.
    async fn connect(&self, gateway: &TestGateway, scopes: &[&str], field: &str, secret: &str) -> (WsClient, Value) {
        let client = WsClient::open_with(gateway.port, REMOTE).await;
        self.connect_over(client, scopes, field, secret).await
    }

    async fn connect_over(
        &self,
        mut client: WsClient,
        scopes: &[&str],
        field: &str,
        secret: &str,
    ) -> (WsClient, Value) {
        let challenge = client
            .find("challenge", |frame| frame["event"] == "connect.challenge")
            .await;
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let block = self.0.block(&DevicePayload {
            device_id: self.0.id(),
            client_id: "cli",
            client_mode: "cli",
            role: "operator",
            scopes: &scopes,
            signed_at: i64::try_from(now_ms()).unwrap(),
            token: secret,
            nonce: challenge["payload"]["nonce"].as_str().unwrap(),
            platform: "linux",
            device_family: "",
        });
        let params = json!({
            "minProtocol": 3, "maxProtocol": 3,
            "client": {"id": "cli", "version": "1.0.0", "platform": "linux", "mode": "cli", "displayName": "Far away"},
            "role": "operator", "scopes": scopes, "caps": [], "auth": {field: secret}, "device": block,
        });
        let answer = client.call("connect", params).await;
        (client, answer)
    }

    /// Asks to be paired; returns the id of the request.
    async fn ask(&self, gateway: &TestGateway, scopes: &[&str]) -> String {
        let (_, refused) = self.connect(gateway, scopes, "token", TOKEN).await;
        let details = &refused["error"]["details"];
        assert_eq!(details["code"], "PAIRING_REQUIRED", "{refused}");
        details["requestId"].as_str().unwrap().to_owned()
    }

    /// Pairs it with the help of `operator`; returns its token.
    async fn pair(&self, gateway: &TestGateway, operator: &mut WsClient, scopes: &[&str]) -> String {
        let request = self.ask(gateway, scopes).await;
        operator.ok("device.pair.approve", json!({"requestId": request})).await;
        let (_, hello) = self.connect(gateway, scopes, "token", TOKEN).await;
        hello["payload"]["auth"]["deviceToken"]
            .as_str()
            .unwrap_or_else(|| panic!("no device token: {hello}"))
            .to_owned()
    }

    async fn is_let_in_by(&self, gateway: &TestGateway, token: &str, scopes: &[&str]) -> bool {
        let (_, answer) = self.connect(gateway, scopes, "deviceToken", token).await;
        if answer["ok"] == false {
            assert_eq!(
                answer["error"]["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH",
                "{answer}"
            );
        }
        answer["ok"] == true
    }
}

fn now_ms() -> u128 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

async fn gateway() -> TestGateway {
    TestGateway::start(&config("http://127.0.0.1:9/v1")).await
}

async fn event(client: &mut WsClient, name: &str) -> Value {
    client.find(name, |frame| frame["event"] == name).await["payload"].clone()
}

#[tokio::test]
async fn a_request_is_shown_approved_and_gives_a_token_that_lets_the_device_in() {
    let gateway = gateway().await;
    let device = Device::new(1);
    let mut operator = gateway.operator().await;
    let request = device.ask(&gateway, &["operator.read"]).await;
    assert_eq!(
        device.ask(&gateway, &["operator.read"]).await,
        request,
        "asking again is the same request"
    );

    let told = event(&mut operator, "device.pair.requested").await;
    assert_eq!(
        (&told["requestId"], &told["deviceId"]),
        (&json!(request), &json!(device.0.id()))
    );
    let list = operator.ok("device.pair.list", json!({})).await;
    assert_eq!(list["pending"][0]["requestId"], json!(request));
    assert_eq!(list["pending"][0]["displayName"], "Far away");
    assert_eq!(list["paired"], json!([]));

    let approved = operator.ok("device.pair.approve", json!({"requestId": request})).await;
    assert_eq!(approved["requestId"], json!(request));
    assert_eq!(approved["device"]["deviceId"], device.0.id());
    let told = event(&mut operator, "device.pair.resolved").await;
    assert_eq!(told["decision"], "approved");

    let (_, hello) = device.connect(&gateway, &["operator.read"], "token", TOKEN).await;
    let token = hello["payload"]["auth"]["deviceToken"].as_str().unwrap();
    assert!(device.is_let_in_by(&gateway, token, &["operator.read"]).await);
    assert!(
        !device.is_let_in_by(&gateway, token, &["operator.write"]).await,
        "more than was approved"
    );
    let list = operator.ok("device.pair.list", json!({})).await;
    assert_eq!(list["pending"], json!([]));
    assert_eq!(list["paired"][0]["tokens"][0]["scopes"], json!(["operator.read"]));
    assert!(!list.to_string().contains(token), "the list shows a secret");
}

#[tokio::test]
async fn a_rejected_request_is_gone_and_the_device_stays_out() {
    let gateway = gateway().await;
    let device = Device::new(2);
    let mut operator = gateway.operator().await;
    let request = device.ask(&gateway, &["operator.read"]).await;
    let answer = operator.ok("device.pair.reject", json!({"requestId": request})).await;
    assert_eq!(answer, json!({"requestId": request, "deviceId": device.0.id()}));
    assert_eq!(
        event(&mut operator, "device.pair.resolved").await["decision"],
        "rejected"
    );
    for method in ["device.pair.approve", "device.pair.reject"] {
        let refused = operator.err(method, json!({"requestId": request})).await;
        assert_eq!(refused["message"], "unknown requestId", "{method}");
    }
    assert_ne!(device.ask(&gateway, &["operator.read"]).await, request);
}

#[tokio::test]
async fn pairing_needs_its_scope_and_nobody_grants_what_he_does_not_hold() {
    let gateway = gateway().await;
    let request = Device::new(3).ask(&gateway, &["operator.admin"]).await;
    let mut reader = WsClient::connected(gateway.port, connect_params(&["operator.read", "operator.write"])).await;
    for (method, params) in [
        ("device.pair.list", json!({})),
        ("device.pair.approve", json!({"requestId": request})),
        ("device.pair.reject", json!({"requestId": request})),
        ("device.pair.remove", json!({"deviceId": "x"})),
        ("device.token.rotate", json!({"deviceId": "x", "role": "operator"})),
        ("device.token.revoke", json!({"deviceId": "x", "role": "operator"})),
    ] {
        let refused = reader.err(method, params).await;
        assert_eq!(refused["message"], "missing scope: operator.pairing", "{method}");
    }
    let mut clerk = WsClient::connected(gateway.port, connect_params(&["operator.pairing"])).await;
    let refused = clerk.err("device.pair.approve", json!({"requestId": request})).await;
    assert_eq!(refused["message"], "missing scope: operator.admin");
    let refused = clerk.err("device.pair.approve", json!({})).await;
    assert!(refused["message"].as_str().unwrap().contains("requestId"), "{refused}");
}

#[tokio::test]
async fn a_rotated_token_closes_its_connections_and_only_its_device_sees_the_new_one() {
    let gateway = gateway().await;
    let device = Device::new(4);
    let scopes = ["operator.pairing", "operator.read"];
    let mut operator = gateway.operator().await;
    let first = device.pair(&gateway, &mut operator, &scopes).await;
    let own = json!({"deviceId": device.0.id(), "role": "operator"});

    let (mut connected, _) = device.connect(&gateway, &scopes, "deviceToken", &first).await;
    let mut wider = own.clone();
    wider["scopes"] = json!(["operator.admin"]);
    let refused = operator.err("device.token.rotate", wider).await;
    assert_eq!(refused["message"], "device token rotation denied");
    let rotated = operator.ok("device.token.rotate", own.clone()).await;
    assert_eq!(
        (&rotated["role"], &rotated["token"]),
        (&json!("operator"), &Value::Null)
    );
    assert!(rotated["rotatedAtMs"].is_i64());
    assert_eq!(connected.wait_closed().await, (4001, "device removed".to_owned()));
    assert!(
        !device.is_let_in_by(&gateway, &first, &scopes).await,
        "the old token still works"
    );

    let (mut connected, hello) = device.connect(&gateway, &scopes, "token", TOKEN).await;
    let second = hello["payload"]["auth"]["deviceToken"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let rotated = connected.ok("device.token.rotate", own).await;
    let third = rotated["token"].as_str().unwrap();
    assert_eq!(connected.wait_closed().await.0, 4001, "after its answer");
    assert!(!device.is_let_in_by(&gateway, &second, &scopes).await);
    assert!(device.is_let_in_by(&gateway, third, &scopes).await);
}

#[tokio::test]
async fn a_revoked_token_and_a_removed_device_let_nobody_in() {
    let gateway = gateway().await;
    let (kept, gone) = (Device::new(5), Device::new(6));
    let scopes = ["operator.pairing", "operator.read"];
    let mut operator = gateway.operator().await;
    let kept_token = kept.pair(&gateway, &mut operator, &scopes).await;
    let gone_token = gone.pair(&gateway, &mut operator, &scopes).await;

    // A device without admin rights manages itself only.
    let (mut by_token, _) = kept.connect(&gateway, &scopes, "deviceToken", &kept_token).await;
    let own_view = by_token.ok("device.pair.list", json!({})).await;
    assert_eq!(own_view["paired"].as_array().unwrap().len(), 1);
    assert_eq!(own_view["paired"][0]["deviceId"], kept.0.id());
    let refused = by_token
        .err("device.pair.remove", json!({"deviceId": gone.0.id()}))
        .await;
    assert_eq!(refused["message"], "device pairing removal denied");

    let revoked = operator
        .ok(
            "device.token.revoke",
            json!({"deviceId": kept.0.id(), "role": "operator"}),
        )
        .await;
    assert!(revoked["revokedAtMs"].is_i64(), "{revoked}");
    assert_eq!(by_token.wait_closed().await.0, 4001);
    assert!(!kept.is_let_in_by(&gateway, &kept_token, &scopes).await);

    let (mut by_token, _) = gone.connect(&gateway, &scopes, "deviceToken", &gone_token).await;
    let removed = operator
        .ok("device.pair.remove", json!({"deviceId": gone.0.id()}))
        .await;
    assert_eq!(removed, json!({"deviceId": gone.0.id()}));
    assert_eq!(by_token.wait_closed().await, (4001, "device removed".to_owned()));
    assert!(!gone.is_let_in_by(&gateway, &gone_token, &scopes).await);
    let list = operator.ok("device.pair.list", json!({})).await;
    assert_eq!(list["paired"].as_array().unwrap().len(), 1, "{list}");
    let refused = operator
        .err("device.pair.remove", json!({"deviceId": gone.0.id()}))
        .await;
    assert_eq!(refused["message"], "unknown deviceId");
    let refused = operator
        .err("device.token.revoke", json!({"deviceId": kept.0.id(), "role": "node"}))
        .await;
    assert_eq!(refused["message"], "unknown deviceId/role");
}

#[tokio::test]
async fn who_came_in_while_no_credential_was_asked_for_leaves_when_one_is() {
    let open = with(config("http://127.0.0.1:9/v1"), "gateway.auth", json!({"mode": "none"}));
    let gateway = TestGateway::start(&open).await;
    let device = Device::new(9);
    let here = WsClient::open(gateway.port).await;
    let (mut client, hello) = device.connect_over(here, &["operator.admin"], "token", TOKEN).await;
    assert_eq!(hello["ok"], true, "{hello}");
    gateway.write_config(&config("http://127.0.0.1:9/v1"));
    assert_eq!(client.wait_closed().await, (4001, "gateway auth changed".to_owned()));
    let here = WsClient::open(gateway.port).await;
    let (_, refused) = device.connect_over(here, &["operator.admin"], "token", "guess").await;
    assert_eq!(refused["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH", "{refused}");
}
