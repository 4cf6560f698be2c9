//! The gateway behind nginx, HAProxy and Caddy, with the configurations of `deploy/compose`: who the caller is comes from
//! the proxy alone, and nothing on the way holds back, cuts or mixes what the gateway sends.

mod proxy;
mod socket;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper_util::rt::TokioIo;
use openclaw::grpc::pb::GetStatusRequest;
use openclaw::grpc::pb::control_client::ControlClient;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use proxy::{KEY, Kind, Proxy, client_address, person};
use socket::Socket;

use super::support::gateway::{TestGateway, config, user_says, with};
use super::support::model::ModelDouble;
use super::support::{PATIENCE, eventually};

/// Longest wait for one token that the provider was told to send, and for the provider to hear that the client left.
const PROMPT: Duration = Duration::from_secs(1);

/// The origin whose pages may use the identity that the proxy vouches for.
const PAGE: &str = "https://openclaw.example.com";

/// Provider, gateway and proxy.
struct Site {
    model: ModelDouble,
    gateway: TestGateway,
    proxy: Proxy,
    client: Client,
}

impl Site {
    async fn start(kind: Kind) -> Self {
        let model = ModelDouble::start().await;
        let trusting = with(
            config(&model.base_url()),
            "gateway.auth",
            json!({"mode": "trusted-proxy", "trustedProxy": {
                "userHeader": "x-forwarded-user", "requiredHeaders": ["x-forwarded-proto", "x-forwarded-host"],
                "allowUsers": ["ann", "bot"], "allowLoopback": true,
            }}),
        );
        let trusting = with(trusting, "gateway.trustedProxies", json!(["127.0.0.1/32"]));
        let trusting = with(trusting, "gateway.controlUi.allowedOrigins", json!([PAGE]));
        let gateway = TestGateway::start(&trusting).await;
        let proxy = Proxy::start(kind, gateway.port).await;
        let client = proxy.client().build().unwrap();
        Self {
            model,
            gateway,
            proxy,
            client,
        }
    }

    /// The same site for a client that does not know HTTP/2.
    fn old_client(&self) -> Client {
        self.proxy.client().http1_only().build().unwrap()
    }

    fn models(&self) -> RequestBuilder {
        self.client.get(self.proxy.url("/v1/models"))
    }

    fn chat(&self, client: &Client, body: &Value) -> RequestBuilder {
        client
            .post(self.proxy.url("/v1/chat/completions"))
            .header("authorization", person("ann"))
            .json(body)
    }

    /// An HTTP/2 connection through the proxy.
    async fn grpc(&self) -> Channel {
        let mut connection = Some(TokioIo::new(self.proxy.connect(b"h2").await));
        let connector = tower::service_fn(move |_: http::Uri| {
            let once = connection.take().ok_or(std::io::ErrorKind::NotConnected);
            async move { once.map_err(std::io::Error::from) }
        });
        let endpoint = Endpoint::from_shared(self.proxy.url("")).unwrap();
        endpoint.connect_with_connector(connector).await.unwrap()
    }

    /// A streamed answer, once its headers are here.
    async fn stream(&self, client: &Client, prompt: &str) -> Stream {
        let mut body = user_says(prompt);
        body["stream"] = json!(true);
        let answer = self.chat(client, &body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert!(
            !answer.headers().contains_key("content-encoding"),
            "{:?}",
            answer.headers()
        );
        Stream {
            answer,
            unread: String::new(),
        }
    }
}

/// Lines of a streamed answer as they arrive.
struct Stream {
    answer: Response,
    unread: String,
}

impl Stream {
    /// The next line that says something; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some((line, rest)) = self.unread.split_once('\n') {
                let line = line.to_owned();
                self.unread = rest.to_owned();
                if line.is_empty() {
                    continue;
                }
                return Some(line);
            }
            let bytes = self.answer.chunk().await.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Text of the next delta that has some; `None` at the end.
    async fn text(&mut self) -> Option<String> {
        while let Some(line) = self.line().await {
            let event = line.strip_prefix("data: ").unwrap_or("null");
            if let Ok(event) = serde_json::from_str::<Value>(event)
                && let Some(text) = event["choices"][0]["delta"]["content"].as_str()
                && !text.is_empty()
            {
                return Some(text.to_owned());
            }
        }
        None
    }

    async fn whole(mut self) -> String {
        let mut all = String::new();
        while let Some(text) = self.text().await {
            all.push_str(&text);
        }
        all
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// Only who signed in at the proxy gets in, as who he is: not as who he says he is, and not around the proxy.
async fn identity(kind: Kind) {
    let site = Site::start(kind).await;
    let claim = |request: RequestBuilder, name: &str| {
        request
            .header("X-Forwarded-User", name)
            .header("x-forwarded-user", name)
            .header("Forwarded", format!("for={name}"))
    };
    assert_eq!(status(site.models()).await, 401, "nobody");
    assert_eq!(status(claim(site.models(), "ann")).await, 401, "nobody who says ann");
    assert_eq!(status(site.models().basic_auth("ann", Some("guess"))).await, 401);
    assert_eq!(status(site.models().bearer_auth("guess")).await, 401);

    let ann = || site.models().header("authorization", person("ann"));
    assert_eq!(status(ann()).await, 200);
    assert_eq!(status(claim(ann(), "eve")).await, 200, "ann, whatever she says");
    assert_eq!(
        status(site.models().bearer_auth(KEY)).await,
        200,
        "a program by its key"
    );

    assert_eq!(status(ann().header("origin", PAGE)).await, 200);
    let foreign = ann().header("origin", "https://elsewhere.example.com");
    assert_eq!(status(foreign).await, 401, "a page elsewhere that borrows her login");

    let eve = || site.models().header("authorization", person("eve"));
    for request in [eve(), claim(eve(), "ann")] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "the gateway does not allow eve");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "unauthorized", "{body}");
    }

    // Headers that `Connection` names are for one hop; a proxy that drops its own ones then would make a stranger local.
    let named = "close, x-forwarded-user, x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-real-ip";
    let ready = site.old_client().get(site.proxy.url("/readyz"));
    let ready = ready.header("authorization", person("eve")).header("connection", named);
    let answer: Value = ready.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        answer,
        json!({"ready": true}),
        "details are for local callers and those let in"
    );

    let around = reqwest::Client::builder()
        .local_address(Some("127.0.0.2".parse().unwrap()))
        .build()
        .unwrap();
    let direct = claim(around.get(site.gateway.url("/v1/models")), "ann")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "localhost");
    assert_eq!(status(direct).await, 401, "an address that is no proxy of ours");
}

/// A token arrives while the provider holds the next one back.
async fn tokens(kind: Kind) {
    let site = Site::start(kind).await;
    for client in [site.client.clone(), site.old_client()] {
        let mut stream = site.stream(&client, "[[steps:10]]").await;
        let mut slowest = Duration::ZERO;
        for n in 0..10 {
            site.model.confirm();
            let sent = Instant::now();
            let text = tokio::time::timeout(PATIENCE, stream.text()).await.expect("held back");
            assert_eq!(text.unwrap(), format!("t{n} "));
            slowest = slowest.max(sent.elapsed());
        }
        assert_eq!(stream.text().await, None);
        eprintln!("{kind:?}: slowest of 10 tokens {slowest:?}");
        assert!(slowest < PROMPT, "{slowest:?}");
    }
}

/// Fifty answers whose tokens take turns stay apart.
async fn streams_at_once(kind: Kind) {
    let site = Site::start(kind).await;
    let one = async |n: usize| {
        let stream = site.stream(&site.client, &format!("[[together:50:n{n}]]")).await;
        let expected: String = (0..5).map(|piece| format!("n{n}.{piece} ")).collect();
        assert_eq!(stream.whole().await, expected);
    };
    tokio::time::timeout(PATIENCE * 2, join_all((0..50).map(one)))
        .await
        .expect("all answers in time");
}

/// A client that leaves frees the provider.
async fn leaving(kind: Kind) {
    let site = Site::start(kind).await;
    for client in [site.client.clone(), site.old_client()] {
        let mut stream = site.stream(&client, "[[stall]]").await;
        assert_eq!(stream.text().await.unwrap(), "partial ");
        assert_eq!(site.model.open(), 1);
        drop(stream);
        let left = Instant::now();
        eventually("the provider is free", async || (site.model.open() == 0).then_some(())).await;
        assert!(left.elapsed() < PROMPT, "{:?}", left.elapsed());
    }
}

/// Large uploads pass; those above the gateway's limit get its answer, not a broken connection.
async fn large_bodies(kind: Kind) {
    let site = Site::start(kind).await;
    let megabytes = |count: usize| user_says(&"x".repeat(count << 20));
    for client in [site.client.clone(), site.old_client()] {
        let answer = site.chat(&client, &megabytes(12)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(site.model.seen().last().unwrap().prompt().len(), 12 << 20);

        let answer = site.chat(&client, &megabytes(22)).send().await.unwrap();
        assert_eq!(answer.status(), 413);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error", "{body}");
    }
}

/// WebSockets and gRPC, with the proxy's word on who it is.
async fn other_protocols(kind: Kind) {
    let site = Site::start(kind).await;
    let (_socket, answer) = Socket::connect(&site.proxy, "ann").await;
    assert_eq!(answer["payload"]["type"], "hello-ok", "{answer}");
    let present = answer["payload"]["snapshot"]["presence"].to_string();
    assert!(
        present.contains(&format!("\"ip\":\"{}\",\"version\":\"1.0.0\"", client_address())),
        "the client's own address: {present}"
    );
    let (_socket, answer) = Socket::connect(&site.proxy, "eve").await;
    assert_eq!(answer["ok"], false, "{answer}");

    let ready = HealthCheckRequest {
        service: "readiness".to_owned(),
    };
    let answer = HealthClient::new(site.grpc().await)
        .check(signed("ann", ready.clone()))
        .await;
    assert_eq!(answer.unwrap().into_inner().status(), ServingStatus::Serving);
    let nobody = HealthClient::new(site.grpc().await).check(ready).await;
    nobody.expect_err("the proxy lets nobody in without a name");

    let status = ControlClient::new(site.grpc().await)
        .get_status(signed("ann", GetStatusRequest {}))
        .await;
    assert!(status.unwrap().into_inner().ready);
    let refused = ControlClient::new(site.grpc().await)
        .get_status(signed("eve", GetStatusRequest {}))
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
}

/// The gateway is also below `/openclaw`, for a name that other services share.
async fn base_path(kind: Kind) {
    let site = Site::start(kind).await;
    let below = |path: &str| site.client.get(site.proxy.url(&format!("/openclaw{path}")));
    assert_eq!(status(below("/v1/models")).await, 401, "nobody");
    for path in ["/v1/models", "/v1/models/openclaw%2Fmain", "/v1/models?limit=1"] {
        let request = below(path).header("authorization", person("ann"));
        assert_eq!(status(request).await, 200, "{path}");
    }
    let other = site.client.get(site.proxy.url("/openclawed/v1/models"));
    assert_eq!(status(other.header("authorization", person("ann"))).await, 404);

    let (_socket, answer) = Socket::connect_at(&site.proxy, "/openclaw/", "ann").await;
    assert_eq!(answer["payload"]["type"], "hello-ok", "{answer}");
}

fn signed<T>(name: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", person(name).parse().unwrap());
    request
}

/// A provider that is silent for longer than proxies wait by default cuts nobody off: neither a stream, which hears comments
/// meanwhile, nor a whole answer, which hears nothing, nor an idle WebSocket.
async fn silence(kind: Kind) {
    let site = Site::start(kind).await;
    let (mut socket, _) = Socket::connect(&site.proxy, "ann").await;
    let whole = tokio::spawn(site.chat(&site.client, &user_says("[[steps:1]]")).send());
    eventually("the whole answer is asked for", async || {
        (site.model.open() == 1).then_some(())
    })
    .await;
    let begin = Instant::now();
    let mut stream = site.stream(&site.client, "[[steps:1]]").await;
    while begin.elapsed() < Duration::from_secs(65) {
        let line = stream.line().await.expect("the stream goes on");
        assert!(
            line.starts_with(':') || line.contains(r#""role":"assistant""#),
            "{line}"
        );
    }
    site.model.confirm();
    site.model.confirm();
    assert_eq!(stream.whole().await, "t0 ");
    assert_eq!(whole.await.unwrap().unwrap().status(), 200);
    tokio::time::timeout(PATIENCE * 2, socket.find(|frame| frame["event"] == "tick"))
        .await
        .expect("the socket is alive");
}

macro_rules! behind {
    ($($name:ident: $kind:expr;)*) => {$(
        mod $name {
            use super::Kind;

            #[tokio::test]
            async fn callers_are_who_the_proxy_says() {
                super::identity($kind).await;
            }

            #[tokio::test]
            async fn tokens_arrive_one_by_one() {
                super::tokens($kind).await;
            }

            #[tokio::test]
            async fn fifty_streams_stay_apart() {
                super::streams_at_once($kind).await;
            }

            #[tokio::test]
            async fn a_client_that_leaves_frees_the_provider() {
                super::leaving($kind).await;
            }

            #[tokio::test]
            async fn large_bodies_pass_and_too_large_ones_are_answered() {
                super::large_bodies($kind).await;
            }

            #[tokio::test]
            async fn a_shared_name_has_it_below_a_path() {
                super::base_path($kind).await;
            }

            #[tokio::test]
            async fn websockets_and_grpc_pass() {
                super::other_protocols($kind).await;
            }
        }
    )*};
}

behind! {
    nginx: Kind::Nginx;
    haproxy: Kind::Haproxy;
    caddy: Kind::Caddy;
}

#[tokio::test]
async fn silence_cuts_nobody_off() {
    tokio::join!(silence(Kind::Nginx), silence(Kind::Haproxy), silence(Kind::Caddy));
}
