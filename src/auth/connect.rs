//! The decision about a WebSocket `connect`, in the order that the protocol fixes: role, origin, shared credentials,
//! device, device token, pairing, scopes.
//!
//! Nothing is told to a caller that did not prove itself except what to do about it.

mod asking;
mod device;
mod pairing;
mod refusal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use asking::Asking;
use device::ProvenDevice;
use pairing::Obstacle;

use super::devices::record::{DeviceToken, PairedDevice};
use super::devices::view::{self, Decision};
use super::devices::{BookError, DeviceBook};
use super::limiter::{FailureLimiter, LimitScope, Subject};
use super::shared::{self, Disproof, Proof, trimmed};
use super::{ConnectAttempt, ConnectGrant, ConnectRefusal, IssuedDeviceToken, PairingMark, limits, origin, scopes};
use crate::base::{DeviceId, Secret};
use crate::config::{AuthMode, ResolvedAuth};
use crate::domain::event::Event;
use crate::domain::{AuthMethod, Principal, Role, ScopeSet};
use crate::wire::error::ErrorCode;

type Refusable<T> = Result<T, ConnectRefusal>;

/// What the decision is made with.
pub struct Desk<'a> {
    /// Settings in force.
    pub auth: &'a ResolvedAuth,
    /// Paired devices.
    pub devices: &'a DeviceBook,
    /// Failure counters.
    pub limiter: &'a FailureLimiter,
    /// Wall clock, ms.
    pub now_ms: i64,
}

/// What a proven device may do, and with which token it comes back.
struct Standing {
    scopes: Vec<String>,
    token: Option<DeviceToken>,
    events: Vec<Event>,
}

impl Desk<'_> {
    /// Judges an attempt.
    pub async fn judge(&self, attempt: ConnectAttempt<'_>) -> Refusable<ConnectGrant> {
        let asking = Asking::new(self.auth, attempt)
            .ok_or_else(|| refusal::plain(ErrorCode::InvalidRequest, "invalid role", None))?;
        if asking.has_origin || asking.is_control_ui() || asking.is_webchat() {
            origin::check(self.auth, asking.headers(), asking.facts.local_direct).map_err(refusal::origin)?;
        }
        let proof = shared::judge(
            self.auth,
            attempt.peer,
            asking.headers(),
            asking.facts.local_direct,
            asking.presented(),
        );
        let runtime_token = asking
            .credentials()
            .and_then(|auth| auth.agent_runtime_identity_token.as_deref());
        if trimmed(runtime_token).is_some() {
            // Issued to workers only, which this gateway has none of.
            return Err(refusal::unauthorized(&asking, "unauthorized", false, None));
        }
        match &attempt.params.device {
            None => self.without_device(&asking, proof),
            Some(device) => {
                let device = device::prove(&asking, device, self.now_ms).map_err(refusal::device_flaw)?;
                self.with_device(&asking, &device, proof).await
            }
        }
    }

    fn without_device(&self, asking: &Asking<'_>, proof: Result<Proof, Disproof>) -> Refusable<ConnectGrant> {
        let operator = asking.is_operator();
        let waived = asking.is_control_ui() && operator && self.auth.control_ui_device_auth_disabled;
        let insecure = asking.is_control_ui() && self.auth.control_ui_insecure_auth && asking.facts.local_direct;
        let by_proxy = operator && matches!(&proof, Ok(proof) if proof.method == AuthMethod::TrustedProxy);
        if asking.is_control_ui() && !waived && !insecure && !by_proxy {
            return Err(refusal::control_ui_without_device());
        }
        let proof = match proof {
            Ok(proof) => proof,
            Err(disproof) if waived || asking.presented().any() || self.auth.mode == AuthMode::TrustedProxy => {
                return Err(self.unauthorized(asking, disproof, LimitScope::SharedSecret, false));
            }
            Err(_) => return Err(refusal::device_required()),
        };
        if !waived && (!operator || proof.method == AuthMethod::None) {
            return Err(refusal::device_required());
        }
        let keeps_scopes = waived
            || (proof.is_secret()
                && (insecure
                    || asking.is_local_backend()
                    || (asking.attempt.protocol >= 4 && asking.is_cli() && asking.is_local_program())));
        let scopes = if keeps_scopes {
            asking.scopes.clone()
        } else {
            Vec::new()
        };
        self.forgive(asking, &proof);
        Ok(grant(
            asking,
            proof,
            None,
            Standing {
                scopes,
                token: None,
                events: Vec::new(),
            },
        ))
    }

    async fn with_device(
        &self,
        asking: &Asking<'_>,
        device: &ProvenDevice<'_>,
        proof: Result<Proof, Disproof>,
    ) -> Refusable<ConnectGrant> {
        let proof = match proof {
            Ok(proof) => proof,
            Err(disproof) => self.by_device_token(asking, device, disproof)?,
        };
        self.forgive(asking, &proof);
        let standing = if self.needs_no_pairing(asking, &proof) {
            self.unpaired(asking, device, &proof).await?
        } else {
            self.paired(asking, device, &proof).await?
        };
        if proof.method == AuthMethod::DeviceToken {
            self.devices.note_use(device.id, asking.role, self.now_ms).await;
        }
        Ok(grant(asking, proof, Some(device.id), standing))
    }

    /// The shared credentials do not hold; a token of the device may.
    fn by_device_token(&self, asking: &Asking<'_>, device: &ProvenDevice<'_>, disproof: Disproof) -> Refusable<Proof> {
        let auth = asking.credentials();
        let explicit = trimmed(auth.and_then(|auth| auth.device_token.as_deref()));
        let bootstrap = trimmed(auth.and_then(|auth| auth.bootstrap_token.as_deref()));
        // A client that was given only one field for its token puts a device token there.
        let candidate = explicit.or_else(|| asking.presented().token.filter(|_| bootstrap.is_none()));
        if let Some(candidate) = candidate
            && self.devices.accepts(device.id, asking.role, candidate, &asking.scopes)
        {
            return Ok(Proof::by(AuthMethod::DeviceToken));
        }
        if explicit.is_some() {
            let disproof = Disproof {
                reason: "device_token_mismatch",
                guessed: true,
            };
            return Err(self.unauthorized(asking, disproof, LimitScope::DeviceToken, false));
        }
        if bootstrap.is_some() {
            let disproof = Disproof {
                reason: "bootstrap_token_invalid",
                guessed: true,
            };
            return Err(self.unauthorized(asking, disproof, LimitScope::SharedSecret, false));
        }
        let retry_with_device = disproof.reason == "token_mismatch";
        Err(self.unauthorized(asking, disproof, LimitScope::SharedSecret, retry_with_device))
    }

    fn needs_no_pairing(&self, asking: &Asking<'_>, proof: &Proof) -> bool {
        let own_program = asking.is_local_backend() && (proof.is_secret() || proof.method == AuthMethod::DeviceToken);
        let own_page = asking.is_control_ui()
            && asking.is_operator()
            && (matches!(proof.method, AuthMethod::None | AuthMethod::TrustedProxy)
                || self.auth.control_ui_device_auth_disabled);
        own_program || own_page
    }

    /// Standing of a device that comes in whether it is paired or not.
    async fn unpaired(&self, asking: &Asking<'_>, device: &ProvenDevice<'_>, proof: &Proof) -> Refusable<Standing> {
        let known = self.known(device).filter(|known| {
            known.token(asking.role).is_some() && scopes::covers_all(&known.ask.scopes, &asking.scopes)
        });
        let token = match known {
            Some(_) => self.token(asking, device).await?,
            None => None,
        };
        // What a proxy's user asks for is his own claim; only an approved device turns it into authority.
        let claimed =
            proof.method == AuthMethod::TrustedProxy && !self.auth.control_ui_device_auth_disabled && token.is_none();
        Ok(Standing {
            scopes: if claimed { Vec::new() } else { asking.scopes.clone() },
            token,
            events: Vec::new(),
        })
    }

    /// Standing of a device that has to be paired: approves silently where that is allowed, else puts the ask on the list.
    async fn paired(&self, asking: &Asking<'_>, device: &ProvenDevice<'_>, proof: &Proof) -> Refusable<Standing> {
        let ask = asking.ask(device.id, device.public_key());
        let known = self.known(device);
        let mut events = Vec::new();
        match pairing::obstacle(asking, &ask, known.as_deref(), proof, &self.auth.node_auto_approve) {
            Obstacle::None => {}
            Obstacle::Silent => {
                let request_id = self
                    .devices
                    .approve_silently(&ask, self.now_ms)
                    .await
                    .map_err(|error| refusal::unavailable(&error))?;
                tracing::info!(
                    target: "auth",
                    device = device.id,
                    role = asking.role.as_str(),
                    "device pairing auto-approved"
                );
                events.extend(view::resolved(&request_id, device.id, Decision::Approved, self.now_ms));
            }
            Obstacle::Person(reason) => {
                let (request, is_new) = self
                    .devices
                    .request(ask, self.now_ms)
                    .await
                    .map_err(|error| refusal::unavailable(&BookError::from(error)))?;
                let mut refusal = refusal::pairing(asking, reason, &request, known.as_deref());
                if is_new {
                    tracing::info!(target: "auth", device = device.id, request = request.request_id, "device asks to be paired");
                    refusal.events.extend(view::requested(&request));
                }
                return Err(refusal);
            }
        }
        Ok(Standing {
            scopes: asking.scopes.clone(),
            token: self.token(asking, device).await?,
            events,
        })
    }

    fn known(&self, device: &ProvenDevice<'_>) -> Option<Arc<PairedDevice>> {
        self.devices
            .find(device.id)
            .filter(|known| known.ask.public_key == device.public_key())
    }

    async fn token(&self, asking: &Asking<'_>, device: &ProvenDevice<'_>) -> Refusable<Option<DeviceToken>> {
        self.devices
            .token_for(device.id, asking.role, &asking.scopes, self.now_ms)
            .await
            .map_err(|error| refusal::unavailable(&error))
    }

    /// Counts a guess and words the refusal.
    fn unauthorized(
        &self,
        asking: &Asking<'_>,
        disproof: Disproof,
        scope: LimitScope,
        retry_with_device: bool,
    ) -> ConnectRefusal {
        let limit = limits(self.auth);
        let exempt = limit.exempt_loopback && !asking.has_origin && asking.facts.local_direct;
        if disproof.guessed
            && !exempt
            && let Some(after) = self.limiter.fail(scope, subject(asking), &limit)
        {
            return refusal::unauthorized(asking, "rate_limited", false, Some(after));
        }
        refusal::unauthorized(asking, disproof.reason, retry_with_device, None)
    }

    fn forgive(&self, asking: &Asking<'_>, proof: &Proof) {
        match proof.method {
            AuthMethod::Token | AuthMethod::Password => self.limiter.clear(LimitScope::SharedSecret, subject(asking)),
            AuthMethod::DeviceToken => self.limiter.clear(LimitScope::DeviceToken, subject(asking)),
            _ => {}
        }
    }
}

/// Whose failures count together: pages of a browser on this machine by origin, everybody else by address.
fn subject(asking: &Asking<'_>) -> Subject {
    if asking.facts.client_ip.is_loopback()
        && let Some(page) = asking.headers().get(http::header::ORIGIN)
    {
        return Subject::Origin(String::from_utf8_lossy(page.as_bytes()).chars().take(200).collect());
    }
    Subject::of(asking.facts.client_ip)
}

fn grant(asking: &Asking<'_>, proof: Proof, device: Option<&str>, standing: Standing) -> ConnectGrant {
    let Standing {
        mut scopes,
        token,
        events,
    } = standing;
    let declared = scopes::declared(asking.headers());
    let keeps = |scope: &String| {
        declared.as_ref().is_none_or(|declared| scopes::covers(declared, scope))
            && (asking.is_operator() || scopes::role_of(scope) == Role::Node)
    };
    scopes.retain(keeps);
    let hello_scopes = match &token {
        Some(token) if asking.attempt.protocol < 4 => {
            token.scopes.iter().filter(|scope| keeps(scope)).cloned().collect()
        }
        _ => scopes.clone(),
    };
    let device = device.map(DeviceId::new);
    let pairing = device.clone().zip(token.as_ref()).map(|(device, token)| PairingMark {
        device,
        role: asking.role,
        token: Secret::new(token.expose()),
    });
    ConnectGrant {
        principal: Principal {
            role: asking.role,
            scopes: ScopeSet::from_names(&scopes),
            method: proof.method,
            user: proof.user.clone(),
            device,
            client_ip: asking.facts.client_ip,
            local_direct: asking.facts.local_direct,
        },
        hello_scopes,
        device_token: token.map(|token| IssuedDeviceToken {
            token: token.expose().to_owned(),
            issued_at_ms: token.issued_at_ms(),
        }),
        by_settings: proof.method != AuthMethod::DeviceToken,
        pairing,
        events,
    }
}
