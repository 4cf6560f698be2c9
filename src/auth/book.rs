//! Paired devices, their tokens, and requests that wait for approval.
//!
//! Everything is in memory for look-ups and on disk before an answer is given. Bounded: old pending requests make room,
//! a full book refuses new devices.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::domain::{Fault, Scope, ScopeSet};
use crate::store::{Store, StoreError};

const PAIRED: &str = "devices";
const PENDING: &str = "device-pending";
/// Most paired devices.
const MAX_PAIRED: usize = 1000;
/// Most requests that wait; the oldest goes first.
const MAX_PENDING: usize = 200;
/// How long a request waits, ms.
pub(super) const PENDING_TTL_MS: i64 = 5 * 60 * 1000;

/// A paired device.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    /// Lower-case hex SHA-256 of the key.
    pub device_id: String,
    /// Base64url.
    pub public_key: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Pinned platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Pinned device family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// `client.id` of the last approval.
    pub client_id: String,
    /// `client.mode` of the last approval.
    pub client_mode: String,
    /// Role of the last approval.
    pub role: String,
    /// Every role approved so far.
    pub roles: Vec<String>,
    /// Scopes approved, in the order asked.
    pub scopes: Vec<String>,
    /// Tokens by role.
    pub tokens: BTreeMap<String, DeviceToken>,
    /// First approval, ms.
    pub created_at_ms: i64,
    /// Last approval, ms.
    pub approved_at_ms: i64,
}

/// A token of a device for one role.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceToken {
    /// 43 characters base64url.
    pub token: String,
    /// What it grants, sorted.
    pub scopes: Vec<String>,
    /// When it was made, ms.
    pub created_at_ms: i64,
    /// When it replaced an older one, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<i64>,
    /// When it was taken back, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<i64>,
}

impl std::fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceToken")
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// A request that waits for approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingRequest {
    /// UUID.
    pub request_id: String,
    /// The device.
    pub device_id: String,
    /// Base64url.
    pub public_key: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Device family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// `client.mode`.
    pub client_mode: String,
    /// Role asked for.
    pub role: String,
    /// Role asked for and roles known.
    pub roles: Vec<String>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Whether it needs no person.
    pub silent: bool,
    /// Whether the device is known already.
    pub is_repair: bool,
    /// When it was made, ms.
    pub ts: i64,
}

/// The part of the store that the book needs.
pub(super) trait DeviceStorage: Send + Sync {
    fn load(
        &self,
        collection: &'static str,
    ) -> impl Future<Output = Result<Vec<(String, serde_json::Value)>, StoreError>> + Send;
    fn put(
        &self,
        collection: &'static str,
        changes: Vec<(String, Option<serde_json::Value>)>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl DeviceStorage for Store {
    async fn load(&self, collection: &'static str) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        self.documents(collection).await
    }

    async fn put(
        &self,
        collection: &'static str,
        changes: Vec<(String, Option<serde_json::Value>)>,
    ) -> Result<(), StoreError> {
        self.put_documents(collection, changes).await
    }
}

#[derive(Default)]
struct Pages {
    paired: HashMap<String, PairedDevice>,
    pending: HashMap<String, PendingRequest>,
}

/// The book.
pub(super) struct DeviceBook<S> {
    storage: S,
    pages: Mutex<Pages>,
}

/// Scopes as a token holds them: what is implied is spelled out, sorted.
pub(super) fn token_scopes(scopes: &[String]) -> Vec<String> {
    let mut all: Vec<String> = scopes.to_vec();
    let has = |all: &[String], scope: Scope| all.iter().any(|name| name == scope.as_str());
    if has(&all, Scope::Admin) && !has(&all, Scope::Write) {
        all.push(Scope::Write.as_str().to_owned());
    }
    if has(&all, Scope::Write) && !has(&all, Scope::Read) {
        all.push(Scope::Read.as_str().to_owned());
    }
    all.sort();
    all.dedup();
    all
}

/// Whether every asked scope is covered by `granted`.
pub(super) fn covers(granted: &[String], asked: &[String]) -> bool {
    let set = ScopeSet::from_names(granted);
    asked
        .iter()
        .all(|name| granted.contains(name) || Scope::parse(name).is_some_and(|scope| set.allows(scope)))
}

fn new_token(scopes: Vec<String>, now_ms: i64) -> DeviceToken {
    DeviceToken {
        token: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()),
        scopes,
        created_at_ms: now_ms,
        rotated_at_ms: None,
        revoked_at_ms: None,
    }
}

fn storage_fault(error: &StoreError) -> Fault {
    Fault::unavailable(format!("device pairing cannot be stored: {error}"))
}

impl<S: DeviceStorage> DeviceBook<S> {
    pub(super) async fn open(storage: S) -> Result<Self, StoreError> {
        let mut pages = Pages::default();
        for (key, value) in storage.load(PAIRED).await? {
            match serde_json::from_value(value) {
                Ok(device) => drop(pages.paired.insert(key, device)),
                Err(error) => {
                    tracing::warn!(target: "auth", %error, "a stored device cannot be read; it must pair again")
                }
            }
        }
        for (key, value) in storage.load(PENDING).await? {
            if let Ok(request) = serde_json::from_value(value) {
                pages.pending.insert(key, request);
            }
        }
        Ok(Self {
            storage,
            pages: Mutex::new(pages),
        })
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn device(&self, id: &str) -> Option<PairedDevice> {
        self.pages().paired.get(id).cloned()
    }

    /// The token of (device, role) if `given` is it and it is in force.
    pub(super) fn token(&self, id: &str, role: &str, given: &str) -> Option<DeviceToken> {
        let pages = self.pages();
        let token = pages.paired.get(id)?.tokens.get(role)?;
        let same: bool = token.token.as_bytes().ct_eq(given.as_bytes()).into();
        (same && token.revoked_at_ms.is_none()).then(|| token.clone())
    }

    /// Pending requests that still wait, newest first.
    pub(super) fn pending(&self, now_ms: i64) -> Vec<PendingRequest> {
        let mut all: Vec<PendingRequest> = self
            .pages()
            .pending
            .values()
            .filter(|request| is_live(request, now_ms))
            .cloned()
            .collect();
        all.sort_by_key(|request| std::cmp::Reverse(request.ts));
        all
    }

    /// Paired devices, newest approval first.
    pub(super) fn paired(&self) -> Vec<PairedDevice> {
        let mut all: Vec<PairedDevice> = self.pages().paired.values().cloned().collect();
        all.sort_by_key(|device| std::cmp::Reverse(device.approved_at_ms));
        all
    }

    /// Files a request; the same ask of the same device keeps its id. The flag says whether it is new.
    pub(super) async fn ask(&self, mut request: PendingRequest) -> Result<(PendingRequest, bool), Fault> {
        let mut changes = Vec::new();
        {
            let pages = self.pages();
            let known = pages
                .pending
                .values()
                .find(|known| known.device_id == request.device_id);
            if let Some(known) = known.filter(|known| is_live(known, request.ts)) {
                if known.role == request.role
                    && known.scopes == request.scopes
                    && known.public_key == request.public_key
                {
                    return Ok((known.clone(), false));
                }
                // A changed ask replaces the old one under its id, so that an approval on its way still finds it.
                request.request_id.clone_from(&known.request_id);
            } else if let Some(known) = known {
                changes.push((known.request_id.clone(), None));
            }
            if pages.pending.len() >= MAX_PENDING
                && let Some(oldest) = pages.pending.values().min_by_key(|request| request.ts)
            {
                changes.push((oldest.request_id.clone(), None));
            }
        }
        changes.push((request.request_id.clone(), serde_json::to_value(&request).ok()));
        self.storage
            .put(PENDING, changes.clone())
            .await
            .map_err(|error| storage_fault(&error))?;
        let mut pages = self.pages();
        for (id, value) in changes {
            if value.is_none() {
                pages.pending.remove(&id);
            }
        }
        pages.pending.insert(request.request_id.clone(), request.clone());
        Ok((request, true))
    }

    /// Turns an ask into a paired device (or widens one) and gives it a token for the role.
    pub(super) async fn admit(&self, request: &PendingRequest, now_ms: i64) -> Result<PairedDevice, Fault> {
        let mut device = match self.device(&request.device_id) {
            Some(known) if known.public_key == request.public_key => known,
            Some(_) | None => {
                if self.pages().paired.len() >= MAX_PAIRED {
                    return Err(Fault::unavailable("too many paired devices; remove some first"));
                }
                PairedDevice {
                    device_id: request.device_id.clone(),
                    public_key: request.public_key.clone(),
                    display_name: None,
                    platform: None,
                    device_family: None,
                    client_id: String::new(),
                    client_mode: String::new(),
                    role: String::new(),
                    roles: Vec::new(),
                    scopes: Vec::new(),
                    tokens: BTreeMap::new(),
                    created_at_ms: now_ms,
                    approved_at_ms: now_ms,
                }
            }
        };
        device.display_name = request.display_name.clone().or(device.display_name);
        device.platform.clone_from(&request.platform);
        device.device_family.clone_from(&request.device_family);
        device.client_id.clone_from(&request.client_id);
        device.client_mode.clone_from(&request.client_mode);
        device.role.clone_from(&request.role);
        if !device.roles.contains(&request.role) {
            device.roles.push(request.role.clone());
            device.roles.sort();
        }
        for scope in &request.scopes {
            if !device.scopes.contains(scope) {
                device.scopes.push(scope.clone());
            }
        }
        device.approved_at_ms = now_ms;
        let scopes = if request.role == "operator" {
            token_scopes(&device.scopes)
        } else {
            Vec::new()
        };
        let keep = device
            .tokens
            .get(&request.role)
            .is_some_and(|token| token.revoked_at_ms.is_none() && token.scopes == scopes);
        if !keep {
            device.tokens.insert(request.role.clone(), new_token(scopes, now_ms));
        }
        self.save(&device).await?;
        self.forget(&request.request_id).await?;
        Ok(device)
    }

    /// A request that still waits.
    pub(super) fn waiting(&self, request_id: &str, now_ms: i64) -> Option<PendingRequest> {
        let pages = self.pages();
        pages
            .pending
            .get(request_id)
            .filter(|request| is_live(request, now_ms))
            .cloned()
    }

    pub(super) async fn forget(&self, request_id: &str) -> Result<(), Fault> {
        if self.pages().pending.contains_key(request_id) {
            let change = vec![(request_id.to_owned(), None)];
            self.storage
                .put(PENDING, change)
                .await
                .map_err(|error| storage_fault(&error))?;
            self.pages().pending.remove(request_id);
        }
        Ok(())
    }

    pub(super) async fn remove(&self, id: &str) -> Result<bool, Fault> {
        if self.device(id).is_none() {
            return Ok(false);
        }
        self.storage
            .put(PAIRED, vec![(id.to_owned(), None)])
            .await
            .map_err(|error| storage_fault(&error))?;
        self.pages().paired.remove(id);
        Ok(true)
    }

    /// A new token for (device, role); `scopes` may only narrow what was approved.
    pub(super) async fn rotate(
        &self,
        id: &str,
        role: &str,
        scopes: Option<&[String]>,
        now_ms: i64,
    ) -> Result<DeviceToken, Fault> {
        let denied = || Fault::invalid("device token rotation denied");
        let mut device = self.device(id).ok_or_else(|| Fault::invalid("unknown deviceId"))?;
        let current = device.tokens.get(role).ok_or_else(denied)?;
        let wanted = match scopes {
            Some(scopes) if !covers(&device.scopes, scopes) => return Err(denied()),
            Some(scopes) => token_scopes(scopes),
            None => current.scopes.clone(),
        };
        let mut token = new_token(wanted, current.created_at_ms);
        token.rotated_at_ms = Some(now_ms);
        device.tokens.insert(role.to_owned(), token.clone());
        self.save(&device).await?;
        Ok(token)
    }

    /// Takes the token of (device, role) back; the role must be approved again.
    pub(super) async fn revoke(&self, id: &str, role: &str, now_ms: i64) -> Result<(), Fault> {
        let mut device = self.device(id).ok_or_else(|| Fault::invalid("unknown deviceId"))?;
        let token = device
            .tokens
            .get_mut(role)
            .ok_or_else(|| Fault::invalid("unknown deviceId/role"))?;
        token.revoked_at_ms = Some(now_ms);
        self.save(&device).await
    }

    async fn save(&self, device: &PairedDevice) -> Result<(), Fault> {
        let value = serde_json::to_value(device).ok();
        let change = vec![(device.device_id.clone(), value)];
        self.storage
            .put(PAIRED, change)
            .await
            .map_err(|error| storage_fault(&error))?;
        self.pages().paired.insert(device.device_id.clone(), device.clone());
        Ok(())
    }
}

fn is_live(request: &PendingRequest, now_ms: i64) -> bool {
    now_ms - request.ts < PENDING_TTL_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn token_scopes_spell_out_what_is_implied() {
        assert_eq!(
            token_scopes(&names(&["operator.write"])),
            names(&["operator.read", "operator.write"])
        );
        assert_eq!(
            token_scopes(&names(&["operator.admin"])),
            names(&["operator.admin", "operator.read", "operator.write"])
        );
    }

    #[test]
    fn scopes_are_covered_by_themselves_and_by_what_implies_them() {
        assert!(covers(&names(&["operator.admin"]), &names(&["operator.pairing"])));
        assert!(covers(&names(&["operator.write"]), &names(&["operator.read"])));
        assert!(!covers(&names(&["operator.read"]), &names(&["operator.write"])));
        assert!(covers(&names(&["x.custom"]), &names(&["x.custom"])));
        assert!(!covers(&[], &names(&["x.custom"])));
    }
}
