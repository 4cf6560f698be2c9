//! The decision about one WebSocket `connect`, in the protocol's order: origin, shared credentials, missing-device rules,
//! device signature, device tokens, pairing.

use http::header::ORIGIN;
use serde_json::json;
use serde_json::value::to_raw_value;

use super::book::{DeviceBook, DeviceStorage, PairedDevice, PendingRequest, covers};
use super::facts::{Locality, client_facts, is_in, locality, single};
use super::http::proxy_user;
use super::limiter::{DEFAULT, Limiter};
use super::origin::{self, Verdict};
use super::refusal::{Reason, refuse, refuse_pairing, unauthorized};
use super::signature::verify;
use super::{ClientFacts, ConnectAttempt, ConnectGrant, ConnectRefusal, IssuedDeviceToken};
use crate::base::{DeviceId, Secret};
use crate::config::{AuthMode, RateLimit, ResolvedAuth};
use crate::domain::event::{Audience, Event, EventName};
use crate::domain::{AuthMethod, Principal, Role, Scope, ScopeSet};
use crate::wire::connect::{ConnectAuth, ConnectParams};
use crate::wire::device::public_key_text;
use crate::wire::error::ErrorCode;

/// What the shared credentials are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shared {
    /// Right, by this method.
    Ok(AuthMethod),
    /// Not right, for this reason.
    Wrong(Reason),
}

impl Shared {
    fn is_ok(self) -> bool {
        matches!(self, Self::Ok(_))
    }

    /// Whether a secret (not just the mode) let the caller in.
    fn is_secret(self) -> bool {
        matches!(self, Self::Ok(AuthMethod::Token | AuthMethod::Password))
    }
}

/// One decision in progress.
pub(super) struct Decision<'a, S> {
    pub(super) book: &'a DeviceBook<S>,
    pub(super) limiter: &'a Limiter,
    pub(super) auth: &'a ResolvedAuth,
    pub(super) attempt: ConnectAttempt<'a>,
    pub(super) now_ms: i64,
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn event(name: EventName, payload: &impl serde::Serialize) -> Option<Event> {
    let payload = to_raw_value(payload).ok()?;
    Some(Event {
        name,
        payload: payload.into(),
        audience: Audience::Broadcast,
        droppable: true,
    })
}

pub(super) fn resolved_event(request: &PendingRequest, decision: &str, now_ms: i64) -> Option<Event> {
    event(
        EventName::DevicePairResolved,
        &json!({"requestId": request.request_id, "deviceId": request.device_id, "decision": decision, "ts": now_ms}),
    )
}

impl<S: DeviceStorage> Decision<'_, S> {
    fn params(&self) -> &ConnectParams {
        self.attempt.params
    }

    fn credentials(&self) -> ConnectAuth {
        self.params().auth.clone().unwrap_or_default()
    }

    fn is_control_ui(&self) -> bool {
        self.params().client.id == "openclaw-control-ui"
    }

    fn is_browser_client(&self) -> bool {
        self.is_control_ui() || matches!(self.params().client.mode.as_str(), "webchat")
    }

    fn is_client(&self, id: &str, mode: &str) -> bool {
        self.params().client.id == id && self.params().client.mode == mode
    }

    fn has_origin(&self) -> bool {
        self.attempt.headers.contains_key(ORIGIN)
    }

    fn role(&self) -> Role {
        if self.params().role.as_deref() == Some("node") {
            Role::Node
        } else {
            Role::Operator
        }
    }

    fn role_name(&self) -> &'static str {
        match self.role() {
            Role::Operator => "operator",
            Role::Node => "node",
        }
    }

    /// Decides.
    pub(super) async fn run(self) -> Result<ConnectGrant, ConnectRefusal> {
        let facts = client_facts(self.auth, self.attempt.peer, self.attempt.headers);
        self.check_origin(facts)?;
        if self.credentials().agent_runtime_identity_token.is_some() {
            return Err(unauthorized(self.params(), Reason::Other("unauthorized"), false));
        }
        let shared = self.shared(facts);
        let asked = self.params().scopes.clone().unwrap_or_default();
        if self.params().device.is_none() {
            return self.without_device(facts, shared, asked);
        }
        let key = verify(self.params(), self.role_name(), &asked, self.attempt.nonce, self.now_ms)?;
        self.with_device(facts, shared, asked, &key).await
    }

    fn check_origin(&self, facts: ClientFacts) -> Result<(), ConnectRefusal> {
        let reason = match origin::judge(self.auth, self.attempt.headers, facts.local_direct) {
            Verdict::Allowed => return Ok(()),
            Verdict::Absent if !self.is_browser_client() => return Ok(()),
            Verdict::NotAllowed => "origin not allowed",
            Verdict::Absent | Verdict::Invalid => "origin missing or invalid",
        };
        Err(refuse(
            ErrorCode::InvalidRequest,
            "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)",
            json!({"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason}),
        ))
    }

    /// The key under which wrong credentials of this caller are counted, and the limit that applies.
    fn limit(&self, facts: ClientFacts) -> Option<(String, RateLimit)> {
        if self.has_origin() {
            // A page can make a visitor's browser guess; loopback is no excuse for it.
            let who = match single(self.attempt.headers, ORIGIN.as_str()) {
                Some(origin) if facts.client_ip.is_loopback() => format!("browser-origin:{origin}"),
                _ => facts.client_ip.to_string(),
            };
            return Some((format!("ws-origin:{who}"), self.auth.rate_limit.unwrap_or(DEFAULT)));
        }
        let limit = self.auth.rate_limit.unwrap_or(DEFAULT);
        let exempt = limit.exempt_loopback && facts.client_ip.is_loopback();
        (!exempt).then(|| (format!("shared-secret:{}", facts.client_ip), limit))
    }

    fn shared(&self, facts: ClientFacts) -> Shared {
        let credentials = self.credentials();
        match self.auth.mode {
            AuthMode::None => Shared::Ok(AuthMethod::None),
            AuthMode::Token => self.compare(
                facts,
                self.auth.token.as_ref(),
                given(credentials.token.as_ref()),
                AuthMethod::Token,
                [Reason::TokenNotConfigured, Reason::TokenMissing, Reason::TokenMismatch],
            ),
            AuthMode::Password => self.compare(
                facts,
                self.auth.password.as_ref(),
                given(credentials.password.as_ref()),
                AuthMethod::Password,
                [
                    Reason::PasswordNotConfigured,
                    Reason::PasswordMissing,
                    Reason::PasswordMismatch,
                ],
            ),
            AuthMode::TrustedProxy => match proxy_user(self.auth, self.attempt.peer, self.attempt.headers) {
                Ok(_) => Shared::Ok(AuthMethod::TrustedProxy),
                Err(_) if facts.local_direct && self.auth.password.is_some() => self.compare(
                    facts,
                    self.auth.password.as_ref(),
                    given(credentials.password.as_ref()),
                    AuthMethod::Password,
                    [
                        Reason::PasswordNotConfigured,
                        Reason::PasswordMissing,
                        Reason::PasswordMismatch,
                    ],
                ),
                Err(reason) => Shared::Wrong(Reason::Other(reason)),
            },
        }
    }

    fn compare(
        &self,
        facts: ClientFacts,
        secret: Option<&Secret>,
        given: Option<&str>,
        method: AuthMethod,
        [unset, missing, mismatch]: [Reason; 3],
    ) -> Shared {
        let Some(secret) = secret else {
            return Shared::Wrong(unset);
        };
        let Some(given) = given else {
            return Shared::Wrong(missing);
        };
        let limit = self.limit(facts);
        if secret.matches(given) {
            if let Some((key, _)) = limit {
                self.limiter.succeed(&key);
            }
            return Shared::Ok(method);
        }
        if let Some((key, limit)) = limit {
            // A device token may travel in the token field; it is judged later and must not count as a guess.
            if self.is_device_token(given) {
                return Shared::Wrong(mismatch);
            }
            if self.limiter.locked(&key).is_some() {
                return Shared::Wrong(Reason::RateLimited);
            }
            self.limiter.fail(&key, &limit);
        }
        Shared::Wrong(mismatch)
    }

    fn is_device_token(&self, given: &str) -> bool {
        let device = self.params().device.as_ref();
        device.is_some_and(|device| self.book.token(&device.id, self.role_name(), given).is_some())
    }

    fn without_device(
        &self,
        facts: ClientFacts,
        shared: Shared,
        asked: Vec<String>,
    ) -> Result<ConnectGrant, ConnectRefusal> {
        let needs_device = || {
            refuse(
                ErrorCode::NotPaired,
                "device identity required",
                json!({"code": "DEVICE_IDENTITY_REQUIRED"}),
            )
        };
        if self.role() == Role::Node {
            return Err(needs_device());
        }
        let mut keep = false;
        if self.is_control_ui() {
            let insecure_ok = self.auth.control_ui_insecure_auth && facts.local_direct;
            keep = self.auth.control_ui_device_auth_disabled || insecure_ok;
            let proxied = shared == Shared::Ok(AuthMethod::TrustedProxy);
            if !keep && !proxied {
                return Err(refuse(
                    ErrorCode::InvalidRequest,
                    "control ui requires device identity (use HTTPS or localhost secure context)",
                    json!({"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}),
                ));
            }
        }
        let method = match shared {
            Shared::Ok(AuthMethod::None) => return Err(needs_device()),
            Shared::Ok(method) => method,
            Shared::Wrong(_) if self.has_no_credentials() => return Err(needs_device()),
            Shared::Wrong(reason) => return Err(unauthorized(self.params(), reason, false)),
        };
        let is_plain_local = facts.local_direct && !self.has_origin() && shared.is_secret();
        keep |= is_plain_local && self.is_client("gateway-client", "backend");
        keep |= self.attempt.protocol >= 4 && is_plain_local && self.is_client("cli", "cli");
        let scopes = if keep { asked } else { Vec::new() };
        Ok(self.grant(facts, method, scopes.clone(), scopes, None, None))
    }

    fn has_no_credentials(&self) -> bool {
        let auth = self.credentials();
        let fields = [&auth.token, &auth.password, &auth.device_token, &auth.bootstrap_token];
        self.auth.mode != AuthMode::TrustedProxy && fields.iter().all(|field| given(field.as_ref()).is_none())
    }

    async fn with_device(
        &self,
        facts: ClientFacts,
        shared: Shared,
        asked: Vec<String>,
        key: &[u8; 32],
    ) -> Result<ConnectGrant, ConnectRefusal> {
        let Some(block) = &self.params().device else {
            return Err(unauthorized(self.params(), Reason::Other("unauthorized"), false));
        };
        let id = block.id.as_str();
        let credentials = self.credentials();
        let explicit = given(credentials.device_token.as_ref());
        let candidate = explicit.or_else(|| given(credentials.token.as_ref()).filter(|_| !shared.is_ok()));
        let mut by_token = None;
        if (explicit.is_some() || !shared.is_ok())
            && let Some(candidate) = candidate
        {
            by_token = self
                .book
                .token(id, self.role_name(), candidate)
                .filter(|token| self.role() == Role::Node || covers(&token.scopes, &asked));
        }
        if by_token.is_none() {
            match shared {
                Shared::Ok(_) => {}
                Shared::Wrong(_) if explicit.is_some() => {
                    return Err(unauthorized(self.params(), Reason::DeviceTokenMismatch, false));
                }
                Shared::Wrong(_) if given(credentials.bootstrap_token.as_ref()).is_some() => {
                    return Err(unauthorized(self.params(), Reason::BootstrapInvalid, false));
                }
                Shared::Wrong(reason) => {
                    let mismatch = matches!(reason, Reason::TokenMismatch | Reason::PasswordMismatch);
                    return Err(unauthorized(self.params(), reason, mismatch));
                }
            }
        }
        let method = match (&by_token, shared) {
            (Some(_), _) => AuthMethod::DeviceToken,
            (None, Shared::Ok(AuthMethod::None)) => AuthMethod::Device,
            (None, Shared::Ok(method)) => method,
            (None, Shared::Wrong(_)) => AuthMethod::DeviceToken,
        };
        self.pair(facts, shared, method, asked, key).await
    }

    async fn pair(
        &self,
        facts: ClientFacts,
        shared: Shared,
        method: AuthMethod,
        asked: Vec<String>,
        key: &[u8; 32],
    ) -> Result<ConnectGrant, ConnectRefusal> {
        let public_key = public_key_text(key);
        let id = super::book_id(key);
        let device = DeviceId::new(id.as_str());
        let known = self.book.device(&id).filter(|known| known.public_key == public_key);
        if known.is_none() && self.skips_pairing(facts, method) {
            // An unpaired Control UI behind an identity proxy is known by name only: it may look at nothing.
            let scopes = if method == AuthMethod::TrustedProxy {
                Vec::new()
            } else {
                asked
            };
            return Ok(self.grant(facts, method, scopes.clone(), scopes, Some(device), None));
        }
        let place = locality(
            facts,
            self.attempt.peer,
            self.attempt.headers,
            self.is_control_ui(),
            shared.is_secret(),
        );
        let near = place != Locality::Remote;
        let mut events = Vec::new();
        let paired = match self.upgrade(known.as_ref(), &asked) {
            None => known,
            Some(upgrade) => {
                let request = self.request(&id, &public_key, &asked, known.as_ref(), facts);
                if self.is_silent(upgrade, near, facts, shared) {
                    let paired = self.book.admit(&request, self.now_ms).await.map_err(|fault| {
                        refuse(
                            ErrorCode::Unavailable,
                            fault.message,
                            json!({"code": "PAIRING_UNAVAILABLE"}),
                        )
                    })?;
                    tracing::info!(target: "auth", device = %id, role = self.role_name(), "device pairing auto-approved");
                    events.extend(resolved_event(&request, "approved", self.now_ms));
                    Some(paired)
                } else {
                    return Err(self.refuse_pairing(upgrade, request, known.as_ref()).await);
                }
            }
        };
        let token = paired
            .as_ref()
            .and_then(|paired| paired.tokens.get(self.role_name()))
            .cloned();
        let (principal_scopes, hello_scopes) = match (&token, self.role()) {
            (_, Role::Node) => (Vec::new(), asked),
            (Some(token), Role::Operator) => (asked, token.scopes.clone()),
            (None, Role::Operator) => (asked.clone(), asked),
        };
        let issued = token.map(|token| IssuedDeviceToken {
            token: token.token,
            issued_at_ms: token.rotated_at_ms.unwrap_or(token.created_at_ms),
        });
        let mut grant = self.grant(facts, method, principal_scopes, hello_scopes, Some(device), issued);
        grant.events = events;
        Ok(grant)
    }

    fn skips_pairing(&self, facts: ClientFacts, method: AuthMethod) -> bool {
        match method {
            AuthMethod::Device => self.is_control_ui(),
            AuthMethod::TrustedProxy => self.is_control_ui() && self.role() == Role::Operator,
            AuthMethod::Token | AuthMethod::Password => {
                (self.is_client("gateway-client", "backend") && facts.local_direct && !self.has_origin())
                    || (self.is_control_ui() && self.auth.control_ui_device_auth_disabled)
            }
            AuthMethod::DeviceToken | AuthMethod::None => false,
        }
    }

    /// What the device asks beyond what it has.
    fn upgrade(&self, known: Option<&PairedDevice>, asked: &[String]) -> Option<Upgrade> {
        let Some(known) = known else {
            return Some(Upgrade::NotPaired);
        };
        let token = known.tokens.get(self.role_name());
        if token.is_none_or(|token| token.revoked_at_ms.is_some()) {
            return Some(Upgrade::Role);
        }
        if self.role() == Role::Operator && !covers(&known.scopes, asked) {
            return Some(Upgrade::Scope);
        }
        let client = &self.params().client;
        let same = |pinned: Option<&str>, now: Option<&str>| pinned.is_none() || pinned == now;
        let same_platform = same(known.platform.as_deref(), Some(client.platform.as_str()));
        let same_family = same(known.device_family.as_deref(), client.device_family.as_deref());
        (!same_platform || !same_family).then_some(Upgrade::Metadata)
    }

    fn is_silent(&self, upgrade: Upgrade, near: bool, facts: ClientFacts, shared: Shared) -> bool {
        let no_foreign_page = !self.has_origin() || self.is_browser_client();
        match upgrade {
            Upgrade::NotPaired | Upgrade::Role if near && no_foreign_page => true,
            Upgrade::NotPaired => {
                let from_allowed = is_in(&self.auth.node_auto_approve, facts.client_ip);
                let bare_node = self.role() == Role::Node && self.params().scopes.as_ref().is_none_or(Vec::is_empty);
                bare_node && !self.has_origin() && from_allowed
            }
            // The holder of the shared secret on this machine could read the state directory anyway; refusing the command
            // line its second command would only be a trap.
            Upgrade::Scope => {
                facts.local_direct && shared.is_secret() && !self.has_origin() && self.is_client("cli", "cli")
            }
            Upgrade::Role | Upgrade::Metadata => false,
        }
    }

    fn request(
        &self,
        id: &str,
        public_key: &str,
        asked: &[String],
        known: Option<&PairedDevice>,
        facts: ClientFacts,
    ) -> PendingRequest {
        let client = &self.params().client;
        let mut roles = known.map(|known| known.roles.clone()).unwrap_or_default();
        if !roles.iter().any(|role| role == self.role_name()) {
            roles.push(self.role_name().to_owned());
            roles.sort();
        }
        PendingRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            device_id: id.to_owned(),
            public_key: public_key.to_owned(),
            display_name: client.display_name.clone(),
            platform: Some(client.platform.clone()),
            device_family: client.device_family.clone(),
            client_id: client.id.clone(),
            client_mode: client.mode.clone(),
            role: self.role_name().to_owned(),
            roles,
            scopes: asked.to_vec(),
            remote_ip: (!facts.local_direct).then(|| facts.client_ip.to_string()),
            silent: false,
            is_repair: known.is_some(),
            ts: self.now_ms,
        }
    }

    async fn refuse_pairing(
        &self,
        upgrade: Upgrade,
        request: PendingRequest,
        known: Option<&PairedDevice>,
    ) -> ConnectRefusal {
        let (request, new) = match self.book.ask(request).await {
            Ok(filed) => filed,
            Err(fault) => {
                return refuse(
                    ErrorCode::Unavailable,
                    fault.message,
                    json!({"code": "PAIRING_UNAVAILABLE"}),
                );
            }
        };
        let (reason, message, hint) = upgrade.texts();
        let mut details = json!({
            "code": "PAIRING_REQUIRED",
            "reason": reason,
            "requestId": request.request_id,
            "remediationHint": hint,
            "deviceId": request.device_id,
            "requestedRole": request.role,
            "requestedScopes": request.scopes,
        });
        if let (Some(details), Some(known)) = (details.as_object_mut(), known) {
            details.insert("approvedRoles".to_owned(), json!(known.roles));
            details.insert("approvedScopes".to_owned(), json!(known.scopes));
        }
        let events = new.then(|| event(EventName::DevicePairRequested, &request)).flatten();
        refuse_pairing(message, &request.request_id, details, events.into_iter().collect())
    }

    fn grant(
        &self,
        facts: ClientFacts,
        method: AuthMethod,
        scopes: Vec<String>,
        hello_scopes: Vec<String>,
        device: Option<DeviceId>,
        device_token: Option<IssuedDeviceToken>,
    ) -> ConnectGrant {
        let user = (method == AuthMethod::TrustedProxy)
            .then(|| proxy_user(self.auth, self.attempt.peer, self.attempt.headers).ok())
            .flatten();
        ConnectGrant {
            principal: Principal {
                role: self.role(),
                scopes: ScopeSet::from_names(&scopes),
                method,
                user,
                device,
                client_ip: facts.client_ip,
                local_direct: facts.local_direct,
            },
            hello_scopes,
            device_token,
            shared_secret: matches!(method, AuthMethod::Token | AuthMethod::Password),
            events: Vec::new(),
        }
    }
}

/// Why a device must be approved (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    NotPaired,
    Role,
    Scope,
    Metadata,
}

impl Upgrade {
    /// Reason, message, hint.
    const fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::NotPaired => (
                "not-paired",
                "pairing required: device is not approved yet",
                "Approve this device from the pending pairing requests.",
            ),
            Self::Role => (
                "role-upgrade",
                "pairing required: device is asking for a higher role than currently approved",
                "Review the requested role upgrade, then approve the pending request.",
            ),
            Self::Scope => (
                "scope-upgrade",
                "pairing required: device is asking for more scopes than currently approved",
                "Review the requested scopes, then approve the pending upgrade.",
            ),
            Self::Metadata => (
                "metadata-upgrade",
                "pairing required: device identity changed and must be re-approved",
                "Review the refreshed device details, then approve the pending request.",
            ),
        }
    }
}

/// Whether a scope list of a caller allows approving what a request asks.
pub(super) fn may_approve(principal: &Principal, request: &PendingRequest) -> Result<(), String> {
    for name in &request.scopes {
        let held = match Scope::parse(name) {
            Some(scope) => principal.may(scope),
            None => principal.scopes.names().contains(name) || principal.may(Scope::Admin),
        };
        if !held {
            return Err(name.clone());
        }
    }
    Ok(())
}
