//! Paired devices, pending requests and device tokens: in memory for lookups, on disk before anybody is told.
//!
//! Whether a device may be approved without a person is not decided here but in `auth::connect`. Grants are written
//! before they count; withdrawals count before they are written, so that a failing disk never keeps a door open.

mod manage;
pub mod record;
mod storage;
#[cfg(test)]
pub(in crate::auth) mod tests;
pub mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use manage::{Approved, BookError, Closing, Rejected, Revoked, Rotated};
use record::{Ask, DeviceToken, PairedDevice, PendingRequest};
pub use storage::{Changes, DeviceStorage};
use storage::{PAIRED, PENDING};

use super::scopes;
use crate::base::DeviceId;
use crate::domain::Role;
use crate::store::StoreError;

/// How long a request waits for a person, ms.
pub const PENDING_TTL_MS: i64 = 5 * 60 * 1000;
const MAX_PENDING: usize = 200;
const MAX_PAIRED: usize = 1000;
/// How old the stored time of last use may get, ms.
const LAST_USED_GRAIN_MS: i64 = 60 * 60 * 1000;

#[derive(Default)]
struct Table {
    paired: HashMap<DeviceId, Arc<PairedDevice>>,
    pending: HashMap<String, Arc<PendingRequest>>,
}

/// The book of devices.
pub struct DeviceBook {
    storage: Arc<dyn DeviceStorage>,
    table: Mutex<Table>,
    /// Held while a change is on its way to disk; changes happen one after the other.
    writer: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for DeviceBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = self.lock();
        f.debug_struct("DeviceBook")
            .field("paired", &table.paired.len())
            .field("pending", &table.pending.len())
            .finish_non_exhaustive()
    }
}

impl DeviceBook {
    /// Loads the book. Records that cannot be read are left out and logged: their devices have to pair again.
    pub async fn load(storage: Arc<dyn DeviceStorage>) -> Result<Self, StoreError> {
        let paired: Vec<PairedDevice> = read(PAIRED, storage.load(PAIRED).await?);
        let pending: Vec<PendingRequest> = read(PENDING, storage.load(PENDING).await?);
        let table = Table {
            paired: paired
                .into_iter()
                .map(|device| (device.ask.device_id.clone(), Arc::new(device)))
                .collect(),
            pending: pending
                .into_iter()
                .map(|request| (request.request_id.clone(), Arc::new(request)))
                .collect(),
        };
        Ok(Self {
            storage,
            table: Mutex::new(table),
            writer: tokio::sync::Mutex::default(),
        })
    }

    /// A paired device.
    pub fn find(&self, id: &str) -> Option<Arc<PairedDevice>> {
        self.lock().paired.get(id).cloned()
    }

    /// Whether `candidate` is the device's token for `role` and grants `scopes`.
    pub fn accepts(&self, id: &str, role: Role, candidate: &str, scopes: &[String]) -> bool {
        self.find(id).is_some_and(|device| {
            device
                .token(role)
                .is_some_and(|token| token.matches(candidate) && scopes::covers_all(&token.scopes, scopes))
        })
    }

    /// Puts an ask on the list, unless the same ask or a larger one waits already. The flag says whether it is new.
    pub async fn request(&self, mut ask: Ask, now_ms: i64) -> Result<(Arc<PendingRequest>, bool), StoreError> {
        let _turn = self.writer.lock().await;
        let (open, is_repair, mut gone) = {
            let table = self.lock();
            let open = table
                .pending
                .values()
                .find(|request| request.ask.device_id == ask.device_id && is_live(request, now_ms))
                .cloned();
            (open, table.paired.contains_key(&ask.device_id), table.stale(now_ms))
        };
        if let Some(open) = open {
            if open.ask.includes(&ask) {
                return Ok((open, false));
            }
            ask.absorb(&open.ask);
            gone.push(open.request_id.clone());
        }
        let surplus = self.lock().surplus(&gone);
        gone.extend(surplus);
        let request = Arc::new(PendingRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            ask,
            silent: false,
            is_repair,
            ts: now_ms,
        });
        let mut changes: Changes = gone.iter().map(|id| (id.clone(), None)).collect();
        changes.push((request.request_id.clone(), Some(document(&*request)?)));
        self.storage.put(PENDING, changes).await?;
        let mut table = self.lock();
        for id in &gone {
            table.pending.remove(id);
        }
        table.pending.insert(request.request_id.clone(), Arc::clone(&request));
        Ok((request, true))
    }

    /// Approves an ask at once, without a person; returns a name for the approval in its event.
    pub async fn approve_silently(&self, ask: &Ask, now_ms: i64) -> Result<String, BookError> {
        let _turn = self.writer.lock().await;
        let existing = self.find(ask.device_id.as_str());
        let device = PairedDevice::approve(existing.as_deref(), ask, true, now_ms);
        let device = self.grant(device).await?;
        self.forget_requests(|request| request.ask.device_id == ask.device_id && device.ask.includes(&request.ask))
            .await;
        Ok(uuid::Uuid::new_v4().to_string())
    }

    /// The token with which a device may come back: the present one if it grants `scopes`, a wider one if that was
    /// approved. `None`: the device is not paired for this role and these scopes.
    pub async fn token_for(
        &self,
        id: &str,
        role: Role,
        scopes: &[String],
        now_ms: i64,
    ) -> Result<Option<DeviceToken>, BookError> {
        let fits = |device: &PairedDevice| {
            device
                .token(role)
                .filter(|token| scopes::covers_all(&token.scopes, scopes))
                .cloned()
        };
        let Some(device) = self.find(id) else { return Ok(None) };
        if let Some(token) = fits(&device) {
            return Ok(Some(token));
        }
        let _turn = self.writer.lock().await;
        let Some(device) = self.find(id) else { return Ok(None) };
        if let Some(token) = fits(&device) {
            return Ok(Some(token));
        }
        let Some(old) = device.token(role) else { return Ok(None) };
        if !scopes::covers_all(&device.ask.scopes, scopes) {
            return Ok(None);
        }
        let wider = scopes::of_token(role, &scopes::union(&old.scopes, scopes));
        if wider == old.scopes {
            // What is missing belongs to no role, and no token will ever hold it.
            return Ok(Some(old.clone()));
        }
        let token = DeviceToken::issue(Some(old), wider, now_ms);
        let mut device = PairedDevice::clone(&device);
        device.tokens.insert(role.as_str().to_owned(), token.clone());
        self.grant(device).await?;
        Ok(Some(token))
    }

    /// Notes that a token let its device in. Written at most once an hour; losing that note harms nobody.
    pub async fn note_use(&self, id: &str, role: Role, now_ms: i64) {
        let is_due = |device: &PairedDevice| {
            device.token(role).is_some_and(|token| {
                token
                    .last_used_at_ms
                    .is_none_or(|last| now_ms.saturating_sub(last) >= LAST_USED_GRAIN_MS)
            })
        };
        if !self.find(id).is_some_and(|device| is_due(&device)) {
            return;
        }
        let _turn = self.writer.lock().await;
        let Some(device) = self.find(id).filter(|device| is_due(device)) else {
            return;
        };
        let mut device = PairedDevice::clone(&device);
        if let Some(token) = device.tokens.get_mut(role.as_str()) {
            token.last_used_at_ms = Some(now_ms);
        }
        if let Err(error) = self.grant(device).await {
            tracing::warn!(target: "auth", %error, "time of last use of a device token was not stored");
        }
    }

    /// Writes a record and then lets it count. Call with `writer` held.
    async fn grant(&self, device: PairedDevice) -> Result<Arc<PairedDevice>, BookError> {
        let id = device.ask.device_id.clone();
        let evicted = {
            let table = self.lock();
            if table.paired.contains_key(&id) || table.paired.len() < MAX_PAIRED {
                None
            } else {
                Some(table.dispensable().ok_or(BookError::Full(MAX_PAIRED))?)
            }
        };
        let mut changes: Changes = vec![(id.to_string(), Some(document(&device)?))];
        changes.extend(evicted.iter().map(|id| (id.to_string(), None)));
        self.storage.put(PAIRED, changes).await?;
        let device = Arc::new(device);
        let mut table = self.lock();
        if let Some(evicted) = evicted {
            tracing::info!(target: "auth", device = %evicted, "least recently used device made room for a new one");
            table.paired.remove(&evicted);
        }
        table.paired.insert(id, Arc::clone(&device));
        Ok(device)
    }

    /// Takes requests off the list that have become pointless. Should the disk keep one, its time is over in minutes.
    async fn forget_requests(&self, which: impl Fn(&PendingRequest) -> bool) {
        let ids: Vec<String> = {
            let mut table = self.lock();
            let ids: Vec<String> = table
                .pending
                .values()
                .filter(|request| which(request))
                .map(|request| request.request_id.clone())
                .collect();
            for id in &ids {
                table.pending.remove(id);
            }
            ids
        };
        if ids.is_empty() {
            return;
        }
        let changes = ids.into_iter().map(|id| (id, None)).collect();
        if let Err(error) = self.storage.put(PENDING, changes).await {
            tracing::warn!(target: "auth", %error, "settled pairing requests were not removed from storage");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Requests whose time is over.
    fn stale(&self, now_ms: i64) -> Vec<String> {
        self.pending
            .values()
            .filter(|request| !is_live(request, now_ms))
            .map(|request| request.request_id.clone())
            .collect()
    }

    /// The oldest requests that have to go for one more to fit, when those in `leaving` go anyway.
    fn surplus(&self, leaving: &[String]) -> Vec<String> {
        let mut staying: Vec<&Arc<PendingRequest>> = self
            .pending
            .values()
            .filter(|request| !leaving.contains(&request.request_id))
            .collect();
        let excess = (staying.len() + 1).saturating_sub(MAX_PENDING);
        staying.sort_by_key(|request| request.ts);
        staying
            .into_iter()
            .take(excess)
            .map(|request| request.request_id.clone())
            .collect()
    }

    /// The device to forget when the book is full: nobody ever approved it, and it was not seen for the longest time.
    fn dispensable(&self) -> Option<DeviceId> {
        self.paired
            .values()
            .filter(|device| device.silent)
            .min_by_key(|device| device.last_active_ms())
            .map(|device| device.ask.device_id.clone())
    }
}

const fn is_live(request: &PendingRequest, now_ms: i64) -> bool {
    now_ms.saturating_sub(request.ts) < PENDING_TTL_MS
}

fn document(record: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(record).map_err(|error| StoreError::Failed(format!("device record: {error}")))
}

fn read<T: DeserializeOwned>(collection: &str, documents: Vec<(String, Value)>) -> Vec<T> {
    documents
        .into_iter()
        .filter_map(|(key, value)| {
            T::deserialize(value)
                .inspect_err(|error| {
                    tracing::error!(target: "auth", collection, key, %error, "device record cannot be read");
                })
                .ok()
        })
        .collect()
}
