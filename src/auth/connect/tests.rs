mod credentials;
mod pairing;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::auth::devices::tests::MemoryStorage;
use crate::auth::testing::settings;
use crate::auth::{Authenticator, ConnectAttempt, ConnectGrant, ConnectRefusal};
use crate::base::clock::ManualClock;
use crate::config::ResolvedAuth;
use crate::wire::connect::{ConnectAuth, ConnectParams};
use crate::wire::device::{DeviceKey, sign_connect};

const NOW: i64 = 1_795_000_000_000;
const NONCE: &str = "nonce-1";
const FULL: [&str; 5] = [
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.pairing",
];

const BACKEND: (&str, &str) = ("gateway-client", "backend");
const CLI: (&str, &str) = ("cli", "cli");
const PROBE: (&str, &str) = ("cli", "probe");
const CONTROL_UI: (&str, &str) = ("openclaw-control-ui", "webchat");
const NODE: (&str, &str) = ("node-host", "node");
const TEST: (&str, &str) = ("test", "test");

const FORWARDED: (&str, &str) = ("x-forwarded-for", "203.0.113.7");
const OWN_PAGE: (&str, &str) = ("origin", "http://localhost:5173");

/// A connection that is about to be judged.
#[derive(Clone)]
struct Call {
    client: Value,
    role: Option<&'static str>,
    scopes: Vec<String>,
    auth: Value,
    headers: Vec<(&'static str, &'static str)>,
    peer: &'static str,
    protocol: u8,
    device: Option<u8>,
    edit: fn(&mut ConnectParams),
}

/// A local operator with the right token who asks for everything.
fn call(client: (&str, &str)) -> Call {
    Call {
        client: json!({ "id": client.0, "mode": client.1, "version": "1", "platform": "linux" }),
        role: (client == NODE).then_some("node"),
        scopes: if client == NODE {
            Vec::new()
        } else {
            FULL.map(str::to_owned).to_vec()
        },
        auth: json!({ "token": "right" }),
        headers: Vec::new(),
        peer: "127.0.0.1",
        protocol: 3,
        device: None,
        edit: |_| {},
    }
}

impl Call {
    fn auth(mut self, auth: Value) -> Self {
        self.auth = auth;
        self
    }

    fn device(mut self, seed: u8) -> Self {
        self.device = Some(seed);
        self
    }

    fn header(mut self, header: (&'static str, &'static str)) -> Self {
        self.headers.push(header);
        self
    }

    fn remote(self) -> Self {
        self.header(FORWARDED)
    }

    fn peer(mut self, peer: &'static str) -> Self {
        self.peer = peer;
        self
    }

    fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    fn role(mut self, role: &'static str) -> Self {
        self.role = Some(role);
        self
    }

    fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    fn said(mut self, field: &str, value: &str) -> Self {
        self.client[field] = value.into();
        self
    }

    /// Changes the params after they were signed.
    fn edited(mut self, edit: fn(&mut ConnectParams)) -> Self {
        self.edit = edit;
        self
    }
}

struct Bench {
    auth: ResolvedAuth,
    authenticator: Authenticator,
    clock: Arc<ManualClock>,
}

type Judged = Result<ConnectGrant, ConnectRefusal>;

impl Bench {
    async fn new() -> Self {
        Self::with(settings()).await
    }

    async fn with(auth: ResolvedAuth) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let storage = Arc::<MemoryStorage>::default();
        let authenticator = Authenticator::with_storage(storage, Arc::<ManualClock>::clone(&clock))
            .await
            .unwrap();
        Self {
            auth,
            authenticator,
            clock,
        }
    }

    async fn judge(&self, call: &Call) -> Judged {
        let mut params: ConnectParams = serde_json::from_value(json!({
            "minProtocol": 3, "maxProtocol": 4, "client": call.client, "role": call.role, "scopes": call.scopes,
            "auth": call.auth,
        }))
        .unwrap();
        if let Some(seed) = call.device {
            let auth: Option<&ConnectAuth> = params.auth.as_ref();
            let role = call.role.unwrap_or("operator");
            let key = DeviceKey::from_seed(&[seed; 32]);
            params.device = Some(sign_connect(&key, &params.client, role, &call.scopes, auth, NONCE, NOW));
        }
        (call.edit)(&mut params);
        let headers: HeaderMap = call
            .headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let attempt = ConnectAttempt {
            peer: SocketAddr::new(call.peer.parse().unwrap(), 5000),
            headers: &headers,
            params: &params,
            nonce: NONCE,
            protocol: call.protocol,
        };
        self.authenticator.connect(&self.auth, attempt).await
    }

    async fn granted(&self, call: &Call) -> ConnectGrant {
        match self.judge(call).await {
            Ok(grant) => grant,
            Err(refusal) => panic!("refused: {:?}", refusal.error),
        }
    }

    async fn refused(&self, call: &Call) -> ConnectRefusal {
        self.judge(call).await.expect_err("let in")
    }

    /// The `details.code` of a refusal.
    async fn code(&self, call: &Call) -> String {
        detail(&self.refused(call).await, "code")
    }

    /// Pairs by hand: the call is refused with a request, an admin approves it.
    async fn approve(&self, call: &Call) {
        let refusal = self.refused(call).await;
        let admin = self.granted(&super::tests::call(BACKEND)).await.principal;
        self.authenticator
            .devices()
            .approve(&admin, &detail(&refusal, "requestId"), NOW)
            .await
            .unwrap();
    }
}

fn detail(refusal: &ConnectRefusal, name: &str) -> String {
    let details = refusal.error.details.as_ref().unwrap();
    details[name].as_str().unwrap_or_default().to_owned()
}

fn id(seed: u8) -> String {
    DeviceKey::from_seed(&[seed; 32]).id().to_owned()
}
