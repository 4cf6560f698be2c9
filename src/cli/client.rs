//! A WebSocket client of the control plane: one connection, `connect`, a few requests, gone.
//!
//! Knows nothing of the command line's arguments, of config files or of output. Every wait is under the deadline of the
//! whole exchange. Protocols 3 and 4 are offered; the replies used here are the same in both.

pub mod error;
pub mod handshake;
pub mod http;
pub mod identity;
pub mod scope;
pub mod session;
pub mod socket;
pub mod tls;

pub use error::{CallError, ServerError};
pub use handshake::Caller;
pub use session::Session;

use std::time::Duration;

use serde_json::Value;
use url::Url;

use self::identity::IdentityFolder;
use self::tls::Trust;
use crate::base::Secret;

/// Where to connect and how to prove who we are.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `ws://` or `wss://`.
    pub url: Url,
    /// Shared token.
    pub token: Option<Secret>,
    /// Shared password.
    pub password: Option<Secret>,
    /// Who may answer on `wss://`.
    pub trust: Trust,
    /// Device key and device tokens; absent: never use a device.
    pub identity: Option<IdentityFolder>,
}

impl Endpoint {
    /// Whether a shared secret is known.
    pub fn has_secret(&self) -> bool {
        self.token.is_some() || self.password.is_some()
    }

    /// Whether the address is this machine's loopback.
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            None => false,
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method name.
    pub method: String,
    /// `params`.
    pub params: Value,
    /// Wait for the second response when the first says `accepted`.
    pub expect_final: bool,
}

impl Call {
    /// A call that ends with its first response.
    pub fn new(method: &str, params: Value) -> Self {
        Self {
            method: method.to_owned(),
            params,
            expect_final: false,
        }
    }
}

/// Connects, makes one call and disconnects, all within `timeout`.
///
/// # Errors
/// [`CallError::Timeout`] when the time is over, else what went wrong on the way.
pub async fn call_once(
    endpoint: &Endpoint,
    caller: &Caller,
    call: &Call,
    timeout: Duration,
) -> Result<Value, CallError> {
    let exchange = async {
        let mut session = Session::connect(endpoint, caller).await?;
        let result = session.request(call).await;
        session.close().await;
        result
    };
    tokio::time::timeout(timeout, Box::pin(exchange))
        .await
        .unwrap_or(Err(CallError::Timeout(timeout)))
}
