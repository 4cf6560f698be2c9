//! A `connect` with everything about it worked out once.

use http::HeaderMap;

use crate::auth::devices::record::Ask;
use crate::auth::shared::Presented;
use crate::auth::{ClientFacts, ConnectAttempt, client, origin};
use crate::base::{DeviceId, net};
use crate::config::ResolvedAuth;
use crate::domain::Role;
use crate::wire::connect::{ClientInfo, ConnectAuth};

/// The attempt and what follows from it.
pub struct Asking<'a> {
    /// As it came.
    pub attempt: ConnectAttempt<'a>,
    /// Address and locality.
    pub facts: ClientFacts,
    /// Effective role.
    pub role: Role,
    /// Requested scopes, in the order sent.
    pub scopes: Vec<String>,
    /// Whether a page asks.
    pub has_origin: bool,
}

impl<'a> Asking<'a> {
    /// Works it out. `None`: the role is unknown.
    pub fn new(auth: &ResolvedAuth, attempt: ConnectAttempt<'a>) -> Option<Self> {
        let role = match attempt.params.role.as_deref() {
            None => Role::Operator,
            Some(name) => Role::parse(name)?,
        };
        Some(Self {
            attempt,
            facts: client::facts(auth, attempt.peer, attempt.headers),
            role,
            scopes: attempt.params.scopes.clone().unwrap_or_default(),
            has_origin: origin::is_present(attempt.headers),
        })
    }

    /// Headers of the upgrade.
    pub fn headers(&self) -> &'a HeaderMap {
        self.attempt.headers
    }

    /// `client`.
    pub fn client(&self) -> &'a ClientInfo {
        &self.attempt.params.client
    }

    /// `auth`.
    pub fn credentials(&self) -> Option<&'a ConnectAuth> {
        self.attempt.params.auth.as_ref()
    }

    /// Token and password.
    pub fn presented(&self) -> Presented<'a> {
        let auth = self.credentials();
        Presented::new(
            auth.and_then(|auth| auth.token.as_deref()),
            auth.and_then(|auth| auth.password.as_deref()),
        )
    }

    /// Whether it asks as operator.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Whether it is the Control UI.
    pub fn is_control_ui(&self) -> bool {
        self.client().id == "openclaw-control-ui"
    }

    /// Whether it is a chat page.
    pub fn is_webchat(&self) -> bool {
        self.client().mode == "webchat" || self.client().id == "webchat-ui"
    }

    /// Whether it is the command line (and not one of its probes).
    pub fn is_cli(&self) -> bool {
        self.client().id == "cli" && self.client().mode == "cli"
    }

    /// Whether it is one of the native apps.
    pub fn is_native_app(&self) -> bool {
        self.client().mode == "ui"
            && matches!(
                self.client().id.as_str(),
                "openclaw-macos" | "openclaw-ios" | "openclaw-android"
            )
    }

    /// Whether it is a program on this machine that speaks for the gateway's owner.
    pub fn is_local_backend(&self) -> bool {
        self.client().id == "gateway-client"
            && self.client().mode == "backend"
            && self.is_operator()
            && self.is_local_program()
    }

    /// Whether it is on this machine and no page.
    pub const fn is_local_program(&self) -> bool {
        self.facts.local_direct && !self.has_origin
    }

    /// Whether it counts as local for pairing. `secret`: the shared token or password was right.
    ///
    /// A browser that reaches a container through a port published on this machine comes from the container's network,
    /// so for it both sides of the page must name this machine.
    pub fn is_local(&self, secret: bool) -> bool {
        self.facts.local_direct
            || (secret
                && self.is_control_ui()
                && self.is_webchat()
                && !self.facts.forwarded
                && net::is_private(self.attempt.peer.ip())
                && origin::are_loopback(self.headers()))
    }

    /// What the device asks for.
    pub fn ask(&self, device_id: &str, public_key: String) -> Ask {
        let client = self.client();
        let remote = Some(self.facts.client_ip).filter(|address| !address.is_loopback());
        Ask {
            device_id: DeviceId::new(device_id),
            public_key,
            display_name: client.display_name.clone(),
            platform: Some(client.platform.clone()),
            device_family: client.device_family.clone(),
            client_id: client.id.clone(),
            client_mode: client.mode.clone(),
            role: self.role.as_str().to_owned(),
            roles: vec![self.role.as_str().to_owned()],
            scopes: self.scopes.clone(),
            remote_ip: remote.map(|address| address.to_string()),
        }
    }
}
