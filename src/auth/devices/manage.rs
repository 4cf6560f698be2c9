//! What operators do with devices: list, approve, reject, remove, rotate, revoke.
//!
//! A caller that was let in by a device token and is no admin manages its own device only. Nobody grants a scope that
//! he does not hold.

use std::sync::Arc;

use super::record::{DeviceToken, PairedDevice, PendingRequest};
use super::storage::{PAIRED, PENDING};
use super::view::{DeviceList, DeviceSummary};
use super::{DeviceBook, document, is_live};
use crate::auth::scopes;
use crate::base::DeviceId;
use crate::domain::{AuthMethod, Fault, FaultKind, Principal, Role, Scope};
use crate::store::StoreError;

/// Why a device cannot be managed like that.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// No such request, or its time is over.
    #[error("unknown requestId")]
    UnknownRequest,
    /// No such device.
    #[error("unknown deviceId")]
    UnknownDevice,
    /// No such device, or it has no token for the role.
    #[error("unknown deviceId/role")]
    UnknownToken,
    /// Not for this caller, or more than was approved.
    #[error("{0} denied")]
    Denied(&'static str),
    /// The caller does not hold a scope that he would grant.
    #[error("missing scope: {0}")]
    MissingScope(String),
    /// No room, and every device was approved by a person.
    #[error("{0} devices are paired, which is the most: remove one (`openclaw devices remove <deviceId>`)")]
    Full(usize),
    /// The change could not be stored, and does not count.
    #[error("device pairing cannot be saved: {0}")]
    Storage(#[from] StoreError),
}

impl From<BookError> for Fault {
    fn from(error: BookError) -> Self {
        let message = error.to_string();
        match error {
            BookError::UnknownRequest | BookError::UnknownDevice | BookError::UnknownToken => {
                Self::new(FaultKind::NotFound, message)
            }
            BookError::Denied(_) => Self::invalid(message),
            BookError::MissingScope(scope) => Self::missing_scope(&scope),
            BookError::Full(_) => Self::new(FaultKind::Conflict, message),
            BookError::Storage(_) => Self::unavailable(message),
        }
    }
}

/// Connections to close with 4001 "device removed".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Of this device
    pub device: DeviceId,
    /// in this role; `None`: in any.
    pub role: Option<Role>,
}

impl Closing {
    /// Whether the connection of `principal` has to go.
    pub fn includes(&self, principal: &Principal) -> bool {
        principal.device.as_ref() == Some(&self.device) && self.role.is_none_or(|role| role == principal.role)
    }
}

/// An approved request.
#[derive(Debug, Clone)]
pub struct Approved {
    /// The request.
    pub request_id: String,
    /// The device.
    pub device_id: DeviceId,
    /// The device as clients see it.
    pub device: DeviceSummary,
}

/// A rejected request.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The request.
    pub request_id: String,
    /// The device that asked.
    pub device_id: DeviceId,
}

/// A rotated token.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// What the new token grants.
    pub scopes: Vec<String>,
    /// When, ms.
    pub rotated_at_ms: i64,
    /// The new token, if the device itself asked.
    pub token: Option<String>,
    /// Connections that rest on the old token.
    pub closing: Closing,
}

/// A revoked token.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// When, ms.
    pub revoked_at_ms: i64,
    /// Connections that rest on it.
    pub closing: Closing,
}

impl DeviceBook {
    /// Everything the caller may see.
    pub fn list(&self, caller: &Principal, now_ms: i64) -> DeviceList {
        let table = self.lock();
        let mut pending: Vec<PendingRequest> = table
            .pending
            .values()
            .filter(|request| is_live(request, now_ms) && manages(caller, &request.ask.device_id))
            .map(|request| PendingRequest::clone(request))
            .collect();
        pending.sort_by_key(|request| std::cmp::Reverse(request.ts));
        let mut paired: Vec<&Arc<PairedDevice>> = table
            .paired
            .values()
            .filter(|device| manages(caller, &device.ask.device_id))
            .collect();
        paired.sort_by_key(|device| std::cmp::Reverse(device.approved_at_ms));
        DeviceList {
            pending,
            paired: paired
                .into_iter()
                .map(|device| DeviceSummary::from(&**device))
                .collect(),
        }
    }

    /// Approves a request.
    pub async fn approve(&self, caller: &Principal, request_id: &str, now_ms: i64) -> Result<Approved, BookError> {
        let _turn = self.writer.lock().await;
        let request = self.live_request(request_id, now_ms)?;
        if !manages(caller, &request.ask.device_id) {
            return Err(BookError::Denied("device pairing approval"));
        }
        if let Some(scope) = not_held(caller, &request.ask.scopes) {
            return Err(BookError::MissingScope(scope.to_owned()));
        }
        let existing = self.find(request.ask.device_id.as_str());
        let device = PairedDevice::approve(existing.as_deref(), &request.ask, false, now_ms);
        let device = self.grant(device).await?;
        self.forget_requests(|request| request.request_id == request_id).await;
        Ok(Approved {
            request_id: request_id.to_owned(),
            device_id: device.ask.device_id.clone(),
            device: DeviceSummary::from(&*device),
        })
    }

    /// Rejects a request.
    pub async fn reject(&self, caller: &Principal, request_id: &str, now_ms: i64) -> Result<Rejected, BookError> {
        let _turn = self.writer.lock().await;
        let request = self.live_request(request_id, now_ms)?;
        if !manages(caller, &request.ask.device_id) {
            return Err(BookError::Denied("device pairing rejection"));
        }
        self.storage.put(PENDING, vec![(request_id.to_owned(), None)]).await?;
        self.lock().pending.remove(request_id);
        Ok(Rejected {
            request_id: request_id.to_owned(),
            device_id: request.ask.device_id.clone(),
        })
    }

    /// Forgets a device, its tokens and its requests.
    pub async fn remove(&self, caller: &Principal, device_id: &str) -> Result<Closing, BookError> {
        let _turn = self.writer.lock().await;
        let device = self.find(device_id).ok_or(BookError::UnknownDevice)?;
        let id = device.ask.device_id.clone();
        if !manages(caller, &id) {
            return Err(BookError::Denied("device pairing removal"));
        }
        self.lock().paired.remove(device_id);
        let stored = self.storage.put(PAIRED, vec![(device_id.to_owned(), None)]).await;
        if let Err(error) = stored {
            self.lock().paired.insert(id, device);
            return Err(error.into());
        }
        self.forget_requests(|request| request.ask.device_id == id).await;
        Ok(Closing { device: id, role: None })
    }

    /// Replaces a token. Without `scopes`, the new one grants what the old one did.
    pub async fn rotate(
        &self,
        caller: &Principal,
        device_id: &str,
        role: &str,
        scopes: Option<&[String]>,
        now_ms: i64,
    ) -> Result<Rotated, BookError> {
        const DENIED: BookError = BookError::Denied("device token rotation");
        let _turn = self.writer.lock().await;
        let device = self.find(device_id).ok_or(DENIED)?;
        let role = Role::parse(role).ok_or(DENIED)?;
        // What was revoked comes back through a new approval only.
        let old = device.token(role).ok_or(DENIED)?;
        let wanted = scopes.unwrap_or(&old.scopes);
        let allowed = manages(caller, &device.ask.device_id)
            && scopes::covers_all(&device.ask.scopes, wanted)
            && not_held(caller, wanted).is_none();
        if !allowed {
            return Err(DENIED);
        }
        let token = DeviceToken::issue(Some(old), scopes::of_token(role, wanted), now_ms);
        let own = caller.device.as_ref() == Some(&device.ask.device_id);
        let rotated = Rotated {
            scopes: token.scopes.clone(),
            rotated_at_ms: now_ms,
            token: own.then(|| token.expose().to_owned()),
            closing: Closing {
                device: device.ask.device_id.clone(),
                role: Some(role),
            },
        };
        let mut changed = PairedDevice::clone(&device);
        changed.tokens.insert(role.as_str().to_owned(), token);
        self.withdraw(device, changed).await?;
        Ok(rotated)
    }

    /// Revokes a token: the role is no longer effective until it is approved again.
    pub async fn revoke(
        &self,
        caller: &Principal,
        device_id: &str,
        role: &str,
        now_ms: i64,
    ) -> Result<Revoked, BookError> {
        let _turn = self.writer.lock().await;
        let device = self.find(device_id).ok_or(BookError::UnknownToken)?;
        let role = Role::parse(role).ok_or(BookError::UnknownToken)?;
        if !manages(caller, &device.ask.device_id) {
            return Err(BookError::Denied("device token revocation"));
        }
        let closing = Closing {
            device: device.ask.device_id.clone(),
            role: Some(role),
        };
        let mut changed = PairedDevice::clone(&device);
        let token = changed.tokens.get_mut(role.as_str()).ok_or(BookError::UnknownToken)?;
        let revoked_at_ms = *token.revoked_at_ms.get_or_insert(now_ms);
        self.withdraw(device, changed).await?;
        Ok(Revoked { revoked_at_ms, closing })
    }

    /// Lets a narrowed record count and then writes it; if that fails, the old one counts again.
    async fn withdraw(&self, old: Arc<PairedDevice>, new: PairedDevice) -> Result<(), BookError> {
        let id = new.ask.device_id.clone();
        let written = document(&new)?;
        self.lock().paired.insert(id.clone(), Arc::new(new));
        let stored = self.storage.put(PAIRED, vec![(id.to_string(), Some(written))]).await;
        if stored.is_err() {
            self.lock().paired.insert(id, old);
        }
        Ok(stored?)
    }

    fn live_request(&self, request_id: &str, now_ms: i64) -> Result<Arc<PendingRequest>, BookError> {
        self.lock()
            .pending
            .get(request_id)
            .filter(|request| is_live(request, now_ms))
            .cloned()
            .ok_or(BookError::UnknownRequest)
    }
}

/// The first scope that the caller would grant and does not hold. An admin may approve names that nobody knows.
fn not_held<'a>(caller: &Principal, granted: &'a [String]) -> Option<&'a str> {
    if caller.may(Scope::Admin) {
        return None;
    }
    scopes::missing(caller.scopes.names(), granted)
}

/// Whether the caller may manage this device.
fn manages(caller: &Principal, device: &DeviceId) -> bool {
    caller.method != AuthMethod::DeviceToken || caller.may(Scope::Admin) || caller.device.as_ref() == Some(device)
}
